use aplomb::Ratio;
use serde::Deserialize;
use serde_json::Value;

use super::backoff::ratio;
use super::never;
use crate::millis::Millis;
use crate::scenario::present;

/// Of `hedge`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HedgeConfig {
    /// When a start is late; null: never.
    #[serde(default, deserialize_with = "present")]
    pub after: Option<Millis>,
    /// Instead of that: by what was seen.
    pub percentile: Option<PercentileConfig>,
    /// How often it is started beside the first time.
    #[serde(default = "one")]
    pub max_hedges: u32,
    /// How many of these there may be.
    pub budget: Option<HedgeBudgetConfig>,
    /// The values that count as failures; absent: none.
    #[serde(default)]
    pub failure_values: Vec<Value>,
    /// The errors that end a call at once; absent: none.
    #[serde(default)]
    pub fatal_if: Vec<Value>,
}

fn one() -> u32 {
    1
}

/// A percentile of what calls took.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PercentileConfig {
    /// Which.
    pub share: f64,
    /// How many samples are enough.
    pub min_samples: Option<u32>,
    /// The delay before that.
    #[serde(default = "never")]
    pub initial: Millis,
    /// The shortest delay.
    pub min: Option<Millis>,
    /// The longest delay.
    #[serde(default = "never")]
    pub max: Millis,
}

impl PercentileConfig {
    pub(crate) fn share(self) -> Ratio {
        ratio(self.share)
    }
}

/// A budget.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HedgeBudgetConfig {
    /// Of the calls.
    pub share: f64,
    /// Beyond that.
    pub burst: u32,
}

impl HedgeBudgetConfig {
    pub(crate) fn share(self) -> Ratio {
        ratio(self.share)
    }
}

impl HedgeConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        let mut times: Vec<_> = self.after.into_iter().collect();
        if let Some(percentile) = self.percentile {
            times.extend([percentile.initial, percentile.max]);
            times.extend(percentile.min);
        }
        times
    }

    pub(super) fn check(self) -> Result<Self, String> {
        if self.after.is_some() == self.percentile.is_some() {
            return Err("config: a hedge has `after` or `percentile`".into());
        }
        Ok(self)
    }
}
