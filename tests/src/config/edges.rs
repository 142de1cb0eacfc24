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
    pub(super) times: [Millis; 2],
}

/// Of `debounce_stream` and `throttle_stream`.
#[derive(Debug, Clone, Copy)]
pub struct StreamConfig {
    pub(super) debounces: bool,
    /// What the machine is told.
    pub terms: Terms,
    /// The interval, if all items come through.
    pub pace: Option<Millis>,
    pub(super) times: [Millis; 2],
}

impl DebounceConfig {
    pub(super) fn edges(self) -> EdgesConfig {
        let terms = Terms::debounce(self.wait.duration()).max_wait(self.max_wait.duration());
        let terms = terms.leading(self.leading).trailing(self.trailing);
        EdgesConfig { debounces: true, terms, superseded: self.superseded, times: [self.wait, self.max_wait] }
    }

    pub(super) fn stream(self) -> StreamConfig {
        let EdgesConfig { terms, times, .. } = self.edges();
        StreamConfig { debounces: true, terms, pace: None, times }
    }
}

impl ThrottleConfig {
    pub(super) fn edges(self) -> EdgesConfig {
        let terms = Terms::throttle(self.interval.duration()).leading(self.leading).trailing(self.trailing);
        EdgesConfig { debounces: false, terms, superseded: self.superseded, times: [self.interval; 2] }
    }

    pub(super) fn stream(self) -> StreamConfig {
        let EdgesConfig { mut terms, times, .. } = self.edges();
        if self.mode == Some(StreamMode::Audit) {
            terms = Terms::audit(self.interval.duration());
        }
        let pace = (self.mode == Some(StreamMode::Pace)).then_some(self.interval);
        StreamConfig { debounces: false, terms, pace, times }
    }
}
