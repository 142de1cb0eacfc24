use aplomb::adaptive_limit::{Aimd, Gradient, Vegas};
use aplomb::ratio::Ratio;
use serde::Deserialize;
use serde_json::Value;

use super::backoff::ratio;
use super::never;
use crate::millis::Millis;

/// Of `adaptive_limit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveLimitConfig {
    /// By which rule the limit is found.
    #[serde(default)]
    pub algorithm: LimitRule,
    /// Where it begins.
    pub initial_limit: Option<u32>,
    /// The smallest that it gets.
    pub min_limit: Option<u32>,
    /// The largest.
    pub max_limit: Option<u32>,
    /// For how long calls are measured before it changes.
    pub window: Option<Millis>,
    /// How many calls are.
    pub min_calls: Option<u32>,
    /// Which share of them may be a sign of overload.
    pub overload_tolerance: Option<f64>,
    /// How many wait; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
    /// How long they wait.
    #[serde(default = "never")]
    pub max_wait: Millis,
    /// The errors that are a sign of overload; absent: none.
    #[serde(default)]
    pub overload_if: Vec<Value>,
}

/// By which rule the limit is found.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LimitRule {
    /// Until calls take too long.
    Aimd {
        /// How long they may take; null: for ever.
        #[serde(default = "never")]
        max_latency: Millis,
        /// What is left of the limit then.
        backoff: Option<f64>,
    },
    /// By the quickest calls.
    Vegas {
        /// How often it looks how quick those are.
        probe_every: Option<u32>,
    },
    /// By the average of the long run.
    Gradient {
        /// How much longer calls may take.
        tolerance: Option<f64>,
        /// How much of the way it goes at once.
        smoothing: Option<f64>,
        /// How many may be queued.
        queue_size: Option<u32>,
        /// How often it looks how quick the service is.
        probe_every: Option<u32>,
    },
}

impl Default for LimitRule {
    fn default() -> Self {
        Self::Gradient { tolerance: None, smoothing: None, queue_size: None, probe_every: None }
    }
}

impl LimitRule {
    pub(crate) fn aimd(max_latency: Millis, backoff: Option<f64>) -> Aimd {
        backoff.map(ratio).into_iter().fold(Aimd::new(max_latency.duration()), Aimd::backoff)
    }

    pub(crate) fn vegas(probe_every: Option<u32>) -> Vegas {
        probe_every.into_iter().fold(Vegas::new(), Vegas::probe_every)
    }

    pub(crate) fn gradient(
        tolerance: Option<f64>,
        smoothing: Option<f64>,
        queue_size: Option<u32>,
        probe_every: Option<u32>,
    ) -> Gradient {
        let gradient = tolerance.map(ratio).into_iter().fold(Gradient::new(), Gradient::tolerance);
        let gradient = smoothing.map(ratio).into_iter().fold(gradient, Gradient::smoothing);
        let gradient = queue_size.into_iter().fold(gradient, Gradient::queue_size);
        probe_every.into_iter().fold(gradient, Gradient::probe_every)
    }
}

impl AdaptiveLimitConfig {
    pub(crate) fn overload_tolerance(&self) -> Option<Ratio> {
        self.overload_tolerance.map(ratio)
    }

    pub(super) fn times(&self) -> Vec<Millis> {
        let mut times = vec![self.max_wait];
        times.extend(self.window);
        if let LimitRule::Aimd { max_latency, .. } = self.algorithm {
            times.push(max_latency);
        }
        times
    }
}
