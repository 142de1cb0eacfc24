use serde::Deserialize;
use serde_json::Value;

use super::{BackoffConfig, never};
use crate::millis::Millis;

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
    pub(super) fn check(self) -> Result<Self, String> {
        match (self.interval, &self.backoff) {
            (Some(_), None) => Ok(self),
            (None, Some(_)) if self.mode == PollingMode::Delay => Ok(self),
            _ => Err("config: one of `interval` and `backoff`, and no `mode` with the latter".into()),
        }
    }
}
