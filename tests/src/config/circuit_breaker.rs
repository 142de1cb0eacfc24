use aplomb::Ratio;
use serde::Deserialize;
use serde_json::Value;

use super::backoff::ratio;
use super::{AnyBackoff, BackoffConfig, never};
use crate::millis::Millis;

/// Of `circuit_breaker`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// When it trips.
    pub trip: TripConfig,
    /// Which calls are slow, and how many of them trip it; null: none.
    pub slow_call: Option<SlowCallConfig>,
    /// How long it opens.
    #[serde(default = "minute")]
    open_for: Millis,
    /// How long it opens, each time; null: `open_for`.
    open_backoff: Option<BackoffConfig>,
    /// How many probes at once.
    #[serde(default = "one")]
    pub half_open_calls: u32,
    /// How long it is half-open.
    #[serde(default = "never")]
    pub half_open_for: Millis,
    /// How many probes have to succeed.
    #[serde(default = "one")]
    pub success_threshold: u32,
    /// The errors that are failures; absent: all.
    pub failure_if: Option<Vec<Value>>,
    /// Whether there is one for each `key` of a call.
    #[serde(default)]
    pub keyed: bool,
    /// How many keys there is room for.
    pub capacity: Option<usize>,
}

fn one() -> u32 {
    1
}

fn minute() -> Millis {
    Millis(60_000_000_000)
}

/// When it trips: by failures in a row, or by their share of the last calls, or of the calls of the last time.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "`consecutive`, or `failure_rate` and `min_calls` with `last_calls` or `last`"
)]
pub enum TripConfig {
    /// So many failures in a row.
    Consecutive { consecutive: u32 },
    /// Too many of the last calls.
    LastCalls { failure_rate: Option<f64>, min_calls: Option<u32>, last_calls: u32 },
    /// Too many of the calls of the last time.
    LastTime { failure_rate: Option<f64>, min_calls: Option<u32>, last: Millis, buckets: Option<u32> },
}

/// Which calls are slow.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowCallConfig {
    /// Those that take longer than that.
    pub longer_than: Millis,
    /// Which share of them trips.
    pub(crate) rate: f64,
}

impl SlowCallConfig {
    pub(crate) fn rate(self) -> Ratio {
        ratio(self.rate)
    }
}

/// Which share of the calls trips it, unless said otherwise.
pub(crate) const FAILURE_RATE: f64 = 0.5;

/// How many of the calls trip it.
pub(crate) fn failure_rate(share: Option<f64>) -> Ratio {
    ratio(share.unwrap_or(FAILURE_RATE))
}

impl CircuitBreakerConfig {
    pub(crate) fn open(&self) -> AnyBackoff {
        self.opens().build().0
    }

    /// How long it opens, each time.
    pub(crate) fn opens(&self) -> BackoffConfig {
        let constant = || BackoffConfig::Constant { delay: self.open_for, jitter: None, seed: None };
        self.open_backoff.clone().unwrap_or_else(constant)
    }

    pub(super) fn times(&self) -> Vec<Millis> {
        let mut times = vec![self.half_open_for, self.open_for];
        times.extend(self.slow_call.map(|slow| slow.longer_than));
        times.extend(self.open_backoff.iter().flat_map(BackoffConfig::times));
        if let TripConfig::LastTime { last, .. } = self.trip {
            times.push(last);
        }
        times
    }

    pub(super) fn check(self) -> Result<Self, String> {
        if self.slow_call.is_some() && matches!(self.trip, TripConfig::Consecutive { .. }) {
            return Err("config: `slow_call` is a share of the calls in a window".into());
        }
        if self.capacity.is_some() && !self.keyed {
            return Err("config: `capacity` is that of a keyed breaker".into());
        }
        Ok(self)
    }
}
