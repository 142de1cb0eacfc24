use serde::Deserialize;

use super::never;
use crate::millis::Millis;

/// Of `cache`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// How long a value is good.
    #[serde(default = "never")]
    pub ttl: Millis,
    /// How long each value is good, instead.
    pub ttl_by: Option<TtlBy>,
    /// How long an entry lives after it was read last.
    #[serde(default = "never")]
    pub time_to_idle: Millis,
    /// From what age on it is fetched anew when it is read.
    #[serde(default = "never")]
    pub refresh_after: Millis,
    /// How long an error is kept; null: not at all.
    pub error_ttl: Option<Millis>,
    /// How long after its end a value is still served, and fetched anew meanwhile.
    #[serde(default)]
    pub stale_while_revalidate: Millis,
    /// How long after its end a value is served if a fetch fails.
    #[serde(default)]
    pub stale_if_error: Millis,
    /// How many entries there is room for; null: as many as unless said otherwise.
    pub capacity: Option<usize>,
    /// How much all values may weigh together, of which each is its own weight; null: they have none.
    pub max_weight: Option<u64>,
    /// How many keys are fetched at once; null: as many as the storage has room for.
    pub max_fetches: Option<usize>,
    /// How many wait for another one's fetch; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
}

/// What tells how long a value is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TtlBy {
    /// The value itself, in milliseconds.
    Value,
}

impl CacheConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        let mut times = vec![self.ttl, self.time_to_idle, self.refresh_after];
        times.extend(self.error_ttl);
        times.extend([self.stale_while_revalidate, self.stale_if_error]);
        times
    }
}
