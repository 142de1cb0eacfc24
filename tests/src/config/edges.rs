use aplomb::edge::Terms;
use serde::Deserialize;

use super::{never, yes};
use crate::millis::Millis;

/// Of `debounce`, and as a stream.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DebounceConfig {
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
pub(super) struct ThrottleConfig {
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
    pub(crate) leading: bool,
    pub(crate) trailing: bool,
    /// `wait` and `max_wait`, or `interval` twice.
    pub(crate) times: [Millis; 2],
}

/// Of `debounce_stream` and `throttle_stream`.
#[derive(Debug, Clone, Copy)]
pub struct StreamConfig {
    pub(crate) edges: EdgesConfig,
    /// What the machine is told.
    pub terms: Terms,
    /// The interval, if all items come through.
    pub pace: Option<Millis>,
    pub(crate) audits: bool,
}

impl DebounceConfig {
    pub(super) fn edges(self) -> EdgesConfig {
        let terms = Terms::debounce(self.wait.duration()).max_wait(self.max_wait.duration());
        let Self { wait, leading, trailing, max_wait, superseded } = self;
        let terms = terms.leading(leading).trailing(trailing);
        EdgesConfig { debounces: true, terms, superseded, leading, trailing, times: [wait, max_wait] }
    }

    pub(super) fn stream(self) -> StreamConfig {
        let edges = self.edges();
        StreamConfig { edges, terms: edges.terms, pace: None, audits: false }
    }
}

impl ThrottleConfig {
    pub(super) fn edges(self) -> EdgesConfig {
        let Self { interval, leading, trailing, superseded, .. } = self;
        let terms = Terms::throttle(interval.duration()).leading(leading).trailing(trailing);
        EdgesConfig { debounces: false, terms, superseded, leading, trailing, times: [interval; 2] }
    }

    pub(super) fn stream(self) -> StreamConfig {
        let edges = self.edges();
        let audits = self.mode == Some(StreamMode::Audit);
        let terms = if audits { Terms::audit(self.interval.duration()) } else { edges.terms };
        let pace = (self.mode == Some(StreamMode::Pace)).then_some(self.interval);
        StreamConfig { edges, terms, pace, audits }
    }
}
