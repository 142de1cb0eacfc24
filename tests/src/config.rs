//! What a scenario says of its pattern.

use std::time::Duration;

use aplomb::backoff::{Backoff, Constant, Exponential, Fibonacci, Jitter, Linear, List, Place, Schedule};
use aplomb::edge::Terms;
use aplomb::{ConfigError, Ratio};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// Whether that can be done to it.
    pub(crate) fn check(&self, action: Action<'_>) -> Result<(), String> {
        let known = match (self, action) {
            (Self::Stream(_), Action::Item { .. } | Action::Do { verb: "end", .. } | Action::Jump { .. }) => true,
            (Self::Edges(_), Action::Do { verb, .. }) => ["cancel", "flush", "trigger"].contains(&verb),
            (Self::Stream(_), _) | (_, Action::Item { .. } | Action::Do { .. }) => false,
            _ => true,
        };
        if known { Ok(()) } else { Err(format!("{action:?} is nothing that can be done to `{}`", self.name())) }
    }
}

/// Of `polling`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollingConfig {
    /// The time between two attempts.
    pub interval: Option<Millis>,
    /// The delays between attempts, instead.
    pub backoff: Option<BackoffConfig>,
    /// From where the interval counts.
    #[serde(default)]
    pub mode: PollingMode,
    /// The first included; null: without limit.
    pub max_attempts: Option<u32>,
    /// The value that ends it; absent: any.
    #[serde(default, deserialize_with = "crate::scenario::present")]
    pub until: Option<Value>,
    /// Which errors end it.
    #[serde(default)]
    pub errors: PollingErrors,
    /// How long it may take.
    #[serde(default = "never")]
    pub deadline: Millis,
    /// How long to wait before the first attempt.
    #[serde(default)]
    pub initial_delay: Millis,
}

/// From where an interval counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollingMode {
    /// From the end of an attempt.
    #[default]
    Delay,
    /// From the first start, on a grid.
    Rate,
}

/// Which errors end polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollingErrors {
    /// None.
    #[default]
    Tolerate,
    /// All.
    Fail,
    /// One more than so many in a row.
    InARow(u32),
}

impl PollingConfig {
    fn check(self) -> Result<Self, String> {
        match (self.interval, &self.backoff) {
            (Some(_), None) => Ok(self),
            (None, Some(_)) if self.mode == PollingMode::Delay => Ok(self),
            _ => Err("config: one of `interval` and `backoff`, and no `mode` with the latter".into()),
        }
    }
}

/// Of `waterfall`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaterfallConfig {
    /// How many steps there are, or their names.
    pub steps: Steps,
}

/// The steps of a waterfall.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number of steps, or a list of names")]
pub enum Steps {
    /// So many, without names.
    Number(usize),
    /// These.
    Names(Vec<String>),
}

impl Steps {
    /// How many.
    #[must_use]
    pub fn number(&self) -> usize {
        match self {
            Self::Number(number) => *number,
            Self::Names(names) => names.len(),
        }
    }
}

impl WaterfallConfig {
    fn check(self) -> Result<Self, String> {
        // Each number of steps is a type of its own.
        if (1..=5).contains(&self.steps.number()) { Ok(self) } else { Err("config.steps: from 1 to 5 can be played".into()) }
    }
}

/// Of `debounce`, and as a stream.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct DebounceConfig {
    wait: Millis,
    #[serde(default)]
    leading: bool,
    #[serde(default = "yes")]
    trailing: bool,
    #[serde(default = "never")]
    max_wait: Millis,
    #[serde(default)]
    superseded: Superseded,
}

/// Of `throttle`, and as a stream.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThrottleConfig {
    interval: Millis,
    #[serde(default = "yes")]
    leading: bool,
    #[serde(default = "yes")]
    trailing: bool,
    #[serde(default)]
    mode: Option<StreamMode>,
    #[serde(default)]
    superseded: Superseded,
}

fn yes() -> bool {
    true
}

/// What becomes of callers that are superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Superseded {
    /// They end.
    #[default]
    Reject,
    /// They share the result.
    Share,
}

/// Streams that are throttled otherwise than by edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StreamMode {
    /// All items, so far apart.
    Pace,
    /// The newest, so long after the first.
    Audit,
}

/// Of `debounce` and `throttle`.
#[derive(Debug, Clone, Copy)]
pub struct EdgesConfig {
    /// Which of the two.
    pub debounces: bool,
    /// What the machine is told.
    pub terms: Terms,
    /// What becomes of callers.
    pub superseded: Superseded,
    times: [Millis; 2],
}

/// Of `debounce_stream` and `throttle_stream`.
#[derive(Debug, Clone, Copy)]
pub struct StreamConfig {
    debounces: bool,
    /// What the machine is told.
    pub terms: Terms,
    /// The interval, if all items come through.
    pub pace: Option<Millis>,
    times: [Millis; 2],
}

impl DebounceConfig {
    fn edges(self) -> EdgesConfig {
        let terms = Terms::debounce(self.wait.duration()).max_wait(self.max_wait.duration());
        let terms = terms.leading(self.leading).trailing(self.trailing);
        EdgesConfig { debounces: true, terms, superseded: self.superseded, times: [self.wait, self.max_wait] }
    }

    fn stream(self) -> StreamConfig {
        let EdgesConfig { terms, times, .. } = self.edges();
        StreamConfig { debounces: true, terms, pace: None, times }
    }
}

impl ThrottleConfig {
    fn edges(self) -> EdgesConfig {
        let terms = Terms::throttle(self.interval.duration()).leading(self.leading).trailing(self.trailing);
        EdgesConfig { debounces: false, terms, superseded: self.superseded, times: [self.interval; 2] }
    }

    fn stream(self) -> StreamConfig {
        let EdgesConfig { mut terms, times, .. } = self.edges();
        if self.mode == Some(StreamMode::Audit) {
            terms = Terms::audit(self.interval.duration());
        }
        let pace = (self.mode == Some(StreamMode::Pace)).then_some(self.interval);
        StreamConfig { debounces: false, terms, pace, times }
    }
}

/// Of `timeout`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutConfig {
    /// How long the operation is given.
    pub after: Millis,
}

/// Of `retry`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// The first included; null: without limit.
    #[serde(default = "three")]
    pub max_attempts: Option<u32>,
    /// The delays between attempts.
    #[serde(default)]
    pub backoff: BackoffConfig,
    /// The errors that are retried; absent: all.
    pub retry_if: Option<Vec<Value>>,
    /// The values that are retried; absent: none.
    pub retry_if_value: Option<Vec<Value>>,
    /// How long an attempt may take.
    #[serde(default = "never")]
    pub attempt_timeout: Millis,
    /// How long the call may take.
    #[serde(default = "never")]
    pub deadline: Millis,
    /// The ceiling for the delay that an error asks for.
    #[serde(default = "never")]
    pub retry_after_max: Millis,
    /// How long an attempt has to last for the backoff to begin anew.
    #[serde(default = "never")]
    pub reset_after: Millis,
    /// How long the hook between two attempts takes.
    #[serde(default)]
    pub between: Millis,
    /// The budget that all callers of the scenario share.
    pub budget: Option<BudgetConfig>,
}

#[allow(clippy::unnecessary_wraps, reason = "it is the default of an `Option`")]
fn three() -> Option<u32> {
    Some(3)
}

fn never() -> Millis {
    Millis::NEVER
}

/// A retry budget.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Tokens at first, and at most.
    pub capacity: u32,
    /// What a retry costs.
    pub retry_cost: u32,
    /// What a success puts back.
    pub success_refund: u32,
}

/// A backoff, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackoffConfig {
    /// The same delay each time.
    Constant { delay: Millis, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by a step.
    Linear { initial: Millis, step: Millis, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by a factor.
    Exponential { initial: Millis, factor: f64, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by the delay before.
    Fibonacci { initial: Millis, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// One by one.
    List { delays: Vec<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
}

/// That of `Retry::new()`, without its jitter.
impl Default for BackoffConfig {
    fn default() -> Self {
        let (initial, max) = (Millis(100_000_000), Some(Millis(20_000_000_000)));
        Self::Exponential { initial, factor: 2.0, max, jitter: None, seed: None }
    }
}

/// A jitter, as it is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterConfig {
    /// As without.
    None,
    /// From zero.
    Full,
    /// From the half.
    Equal,
    /// From the one before.
    Decorrelated,
    /// More or less.
    Proportional(f64),
}

/// A backoff that is known at run time only. Lists leak, a few durations for each scenario that has one.
#[derive(Debug, Clone, Copy)]
pub enum AnyBackoff {
    /// `constant`.
    Constant(Constant),
    /// `linear`.
    Linear(Linear),
    /// `exponential`.
    Exponential(Exponential),
    /// `fibonacci`.
    Fibonacci(Fibonacci),
    /// `list`.
    List(List<'static>),
}

/// Where a call stands in an [`AnyBackoff`].
#[derive(Debug)]
pub enum AnyPlace {
    /// In `constant`.
    Constant(Place<()>),
    /// In `linear` or `exponential`.
    Grown(Place<u64>),
    /// In `fibonacci`.
    Fibonacci(Place<(u64, u64)>),
    /// In `list`.
    List(Place<usize>),
}

impl Backoff for AnyBackoff {
    type State = AnyPlace;

    fn start(&self) -> AnyPlace {
        match self {
            Self::Constant(backoff) => AnyPlace::Constant(backoff.start()),
            Self::Linear(backoff) => AnyPlace::Grown(backoff.start()),
            Self::Exponential(backoff) => AnyPlace::Grown(backoff.start()),
            Self::Fibonacci(backoff) => AnyPlace::Fibonacci(backoff.start()),
            Self::List(backoff) => AnyPlace::List(backoff.start()),
        }
    }

    fn delay(&self, state: &mut AnyPlace, random: impl FnOnce() -> u64) -> Option<Duration> {
        match (self, state) {
            (Self::Constant(backoff), AnyPlace::Constant(place)) => backoff.delay(place, random),
            (Self::Linear(backoff), AnyPlace::Grown(place)) => backoff.delay(place, random),
            (Self::Exponential(backoff), AnyPlace::Grown(place)) => backoff.delay(place, random),
            (Self::Fibonacci(backoff), AnyPlace::Fibonacci(place)) => backoff.delay(place, random),
            (Self::List(backoff), AnyPlace::List(place)) => backoff.delay(place, random),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Constant(backoff) => Backoff::check(backoff),
            Self::Linear(backoff) => Backoff::check(backoff),
            Self::Exponential(backoff) => Backoff::check(backoff),
            Self::Fibonacci(backoff) => Backoff::check(backoff),
            Self::List(backoff) => Backoff::check(backoff),
        }
    }
}

impl BackoffConfig {
    fn times(&self) -> Vec<Millis> {
        match self {
            Self::Constant { delay, .. } => vec![*delay],
            Self::Linear { initial, step, max, .. } => [Some(*initial), Some(*step), *max].into_iter().flatten().collect(),
            Self::Exponential { initial, max, .. } | Self::Fibonacci { initial, max, .. } => {
                [Some(*initial), *max].into_iter().flatten().collect()
            }
            Self::List { delays, .. } => delays.clone(),
        }
    }

    /// The backoff, and the seed of its jitter.
    #[must_use]
    pub fn build(&self) -> (AnyBackoff, Option<u64>) {
        match self {
            Self::Constant { delay, jitter, seed } => {
                (AnyBackoff::Constant(bounded(Constant::every(delay.duration()), None, *jitter)), *seed)
            }
            Self::Linear { initial, step, max, jitter, seed } => {
                let linear = Linear::from(initial.duration()).step(step.duration());
                (AnyBackoff::Linear(bounded(linear, *max, *jitter)), *seed)
            }
            Self::Exponential { initial, factor, max, jitter, seed } => {
                let exponential = Exponential::from(initial.duration()).factor(ratio(*factor));
                (AnyBackoff::Exponential(bounded(exponential, *max, *jitter)), *seed)
            }
            Self::Fibonacci { initial, max, jitter, seed } => {
                (AnyBackoff::Fibonacci(bounded(Fibonacci::from(initial.duration()), *max, *jitter)), *seed)
            }
            Self::List { delays, jitter, seed } => {
                let delays = delays.iter().map(|delay| delay.duration()).collect::<Vec<_>>().leak();
                (AnyBackoff::List(bounded(List::of(delays), None, *jitter)), *seed)
            }
        }
    }
}

fn bounded<G: Copy>(schedule: Schedule<G>, max: Option<Millis>, jitter: Option<JitterConfig>) -> Schedule<G> {
    schedule.max(max.unwrap_or(Millis::NEVER).duration()).jitter(match jitter {
        None | Some(JitterConfig::None) => Jitter::None,
        Some(JitterConfig::Full) => Jitter::Full,
        Some(JitterConfig::Equal) => Jitter::Equal,
        Some(JitterConfig::Decorrelated) => Jitter::Decorrelated,
        Some(JitterConfig::Proportional(share)) => Jitter::Proportional(ratio(share)),
    })
}

/// A number as a fraction, exact to six places.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn ratio(number: f64) -> Ratio {
    const PLACES: u32 = 1_000_000;
    if number.fract() == 0.0 {
        Ratio::new(number as u32, 1)
    } else {
        Ratio::new((number * f64::from(PLACES)).round() as u32, PLACES)
    }
}
