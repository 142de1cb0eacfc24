use aplomb::rate_limiter::Rate;
use serde::Deserialize;

use super::never;
use crate::millis::Millis;
use crate::scenario::{Action, Order, strictly};

/// Of `rate_limiter`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimiterConfig {
    /// The rule by which permits are given.
    #[serde(default)]
    pub algorithm: RateLimiterAlgorithm,
    /// How many permits there are in each `per`.
    permits: u32,
    /// In how much time; null: never any again.
    per: Millis,
    /// How many permits a token bucket holds; absent: `permits`.
    burst: Option<u32>,
    /// How many calls run at once; null: any number.
    pub max_concurrent: Option<u32>,
    /// How many callers wait; null: as many as there is room for.
    pub max_waiting: Option<u32>,
    /// Of a layer: how long a call waits.
    #[serde(default = "never")]
    pub max_wait: Millis,
    /// Whether there is one for each `key` of a call.
    #[serde(default)]
    pub keyed: bool,
    /// How many keys there is room for.
    pub capacity: Option<usize>,
}

/// A rule by which permits are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimiterAlgorithm {
    /// One by one at an even pace, and so many at once.
    #[default]
    TokenBucket,
    /// So many in each window.
    FixedWindow,
    /// So many in any window.
    SlidingWindow,
    /// So many in any window, by an estimate.
    SlidingCounter,
}

/// What a limiter is set to: by its configuration, or by `set_rate`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateSetting {
    pub(crate) permits: u32,
    pub(crate) per: Millis,
    burst: Option<u32>,
}

impl RateSetting {
    pub(crate) fn rate(self) -> Rate {
        Rate::new(self.permits, self.per.duration())
    }

    pub(crate) fn burst(self) -> u32 {
        self.burst.unwrap_or(self.permits)
    }

    pub(super) fn check(self, algorithm: RateLimiterAlgorithm) -> Result<Self, String> {
        if self.burst.is_some() && algorithm != RateLimiterAlgorithm::TokenBucket {
            return Err("`burst` belongs to a token bucket".into());
        }
        Ok(self)
    }
}

impl RateLimiterConfig {
    pub(crate) fn setting(&self) -> RateSetting {
        RateSetting { permits: self.permits, per: self.per, burst: self.burst }
    }

    pub(super) fn times(&self) -> Vec<Millis> {
        vec![self.per, self.max_wait]
    }

    /// Of a limiter that is no layer, each call says how long it waits.
    pub(super) fn check_alone(self) -> Result<Self, String> {
        if self.max_wait != Millis::NEVER {
            return Err("config: `max_wait` is that of a layer".into());
        }
        self.check()
    }

    pub(super) fn check(self) -> Result<Self, String> {
        if self.capacity.is_some() && !self.keyed {
            return Err("config: `capacity` is that of a keyed limiter".into());
        }
        self.setting().check(self.algorithm).map_err(|what| format!("config: {what}"))?;
        Ok(self)
    }

    pub(super) fn check_action(&self, action: &Action) -> Result<(), String> {
        match action {
            Action::Do(Order { value, .. }) => {
                let setting: RateSetting = strictly(value.clone().unwrap_or_default(), "value")?;
                setting.check(self.algorithm).map(|_| ()).map_err(|what| format!("value: {what}"))
            }
            Action::Call(request)
                if u8::from(!request.waits) + u8::from(request.reserves) + u8::from(request.deadline.is_some()) > 1 =>
            {
                Err("a call has one of `try`, `reserve`, `deadline`".into())
            }
            _ => Ok(()),
        }
    }
}
