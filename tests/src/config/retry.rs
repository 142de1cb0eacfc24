use serde::Deserialize;
use serde_json::Value;

use super::{BackoffConfig, never};
use crate::millis::Millis;

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

impl TimeoutConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        vec![self.after]
    }
}

impl RetryConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        let mut times = vec![self.attempt_timeout, self.deadline, self.retry_after_max, self.reset_after, self.between];
        times.extend(self.backoff.times());
        times
    }
}
