//! What a scenario says of its pattern.

mod backoff;
mod edges;
mod polling;
mod retry;
mod waterfall;

use serde_json::{Map, Value};

pub(crate) use self::backoff::{AnyBackoff, BackoffConfig};
use self::edges::{DebounceConfig, ThrottleConfig};
pub(crate) use self::edges::{EdgesConfig, StreamConfig, Superseded};
pub(crate) use self::polling::{PollingConfig, PollingErrors, PollingMode};
pub(crate) use self::retry::{RetryConfig, TimeoutConfig};
pub(crate) use self::waterfall::{Steps, WaterfallConfig};
use crate::millis::Millis;
use crate::scenario::{Action, strictly};

/// A pattern with its configuration.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// `timeout`.
    Timeout(TimeoutConfig),
    /// `retry`.
    Retry(Box<RetryConfig>),
    /// `debounce`, `throttle`.
    Edges(EdgesConfig),
    /// `debounce_stream`, `throttle_stream`.
    Stream(StreamConfig),
    /// `waterfall`.
    Waterfall(WaterfallConfig),
    /// `polling`.
    Polling(Box<PollingConfig>),
}

impl Pattern {
    pub(crate) fn parse(name: &str, config: Option<Map<String, Value>>) -> Result<Self, String> {
        let config = Value::Object(config.unwrap_or_default());
        match name {
            "timeout" => strictly(config, "config").map(Self::Timeout),
            "retry" => strictly(config, "config").map(|retry| Self::Retry(Box::new(retry))),
            "debounce" => strictly(config, "config").map(|debounce: DebounceConfig| Self::Edges(debounce.edges())),
            "throttle" => strictly(config, "config").map(|throttle: ThrottleConfig| Self::Edges(throttle.edges())),
            "debounce_stream" => strictly(config, "config").map(|debounce: DebounceConfig| Self::Stream(debounce.stream())),
            "throttle_stream" => strictly(config, "config").map(|throttle: ThrottleConfig| Self::Stream(throttle.stream())),
            "waterfall" => {
                strictly(config, "config").and_then(|waterfall: WaterfallConfig| waterfall.check()).map(Self::Waterfall)
            }
            "polling" => {
                strictly(config, "config").and_then(PollingConfig::check).map(|polling| Self::Polling(Box::new(polling)))
            }
            _ => Err(format!("pattern: unknown pattern `{name}`")),
        }
    }

    /// The name of the pattern.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Retry(_) => "retry",
            Self::Waterfall(_) => "waterfall",
            Self::Polling(_) => "polling",
            Self::Edges(EdgesConfig { debounces: true, .. }) => "debounce",
            Self::Edges(EdgesConfig { debounces: false, .. }) => "throttle",
            Self::Stream(StreamConfig { debounces: true, .. }) => "debounce_stream",
            Self::Stream(StreamConfig { debounces: false, .. }) => "throttle_stream",
        }
    }
}

impl Pattern {
    /// The times that are written in its configuration, but those of a backoff with jitter, of which nothing depends on their exactness.
    pub(crate) fn times(&self) -> Vec<Millis> {
        match self {
            Self::Timeout(timeout) => vec![timeout.after],
            Self::Waterfall(_) => Vec::new(),
            Self::Polling(polling) => {
                let mut times = vec![polling.deadline, polling.initial_delay];
                times.extend(polling.interval);
                times.extend(polling.backoff.iter().flat_map(BackoffConfig::times));
                times
            }
            Self::Edges(EdgesConfig { times, .. }) | Self::Stream(StreamConfig { times, .. }) => times.to_vec(),
            Self::Retry(retry) => {
                let mut times = vec![retry.attempt_timeout, retry.deadline, retry.retry_after_max, retry.reset_after];
                times.push(retry.between);
                times.extend(retry.backoff.times());
                times
            }
        }
    }
}

impl Pattern {
    /// What can be done to the pattern itself.
    fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Edges(_) => &["cancel", "flush", "trigger"],
            Self::Stream(_) => &["end"],
            Self::Timeout(_) | Self::Retry(_) | Self::Polling(_) | Self::Waterfall(_) => &[],
        }
    }

    /// What a call may be given, beside its argument.
    fn options(&self) -> &'static [&'static str] {
        match self {
            Self::Edges(_) | Self::Stream(_) | Self::Timeout(_) | Self::Retry(_) | Self::Polling(_) | Self::Waterfall(_) => &[],
        }
    }

    /// Whether that can be done to it.
    pub(crate) fn check(&self, action: &Action) -> Result<(), String> {
        let known = match action {
            Action::Item { .. } => matches!(self, Self::Stream(_)),
            Action::Do(order) => self.verbs().contains(&&*order.verb),
            Action::Call(request) => {
                !matches!(self, Self::Stream(_)) && request.options().all(|option| self.options().contains(&option))
            }
            Action::Drop { .. } => !matches!(self, Self::Stream(_)),
            Action::Jump { .. } => true,
        };
        if known { Ok(()) } else { Err(format!("{action:?} is nothing that can be done to `{}`", self.name())) }
    }
}

fn yes() -> bool {
    true
}

fn never() -> Millis {
    Millis::NEVER
}
