use super::settings::Cache;
use crate::platform::Platform;
use crate::storage::Storage;

/// What has become of reads, fetches and entries since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many entries there are, those included that have ended and not yet been taken out.
    pub len: usize,
    /// What they weigh.
    pub weight: u64,
    /// How many fetches are under way.
    pub fetching: usize,
    /// How many callers wait for them.
    pub waiting: u32,
    /// How many keys wait for a [refresher](Cache::run), whether they are still due or not.
    pub queued: usize,
    /// Reads that found a fresh value, or an error that is kept.
    pub hits: u64,
    /// Of those that were served, how many got a value past its end.
    pub stale: u64,
    /// Reads that found nothing to be served at once.
    pub misses: u64,
    /// Fetches that were begun, for misses and to refresh; one that was handed over counts once. The other misses shared them, or were rejected.
    pub fetches: u64,
    /// Fetches that failed.
    pub errors: u64,
    /// Fetches that failed, calls that were late, and reads for which there was no room to fetch or to wait, in whose place a value past its end answered. The last are misses too.
    pub stale_if_error: u64,
    /// Entries that were purged, replaced, or made room, after their end. What was invalidated then is not counted.
    pub expired: u64,
    /// Entries that had to make room.
    pub evicted: u64,
}

impl Snapshot {
    /// The share of reads that were served at once, in parts of a million.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let cache: Cache<u32, u32> = Cache::new();
    /// cache.insert(1, 10);
    /// aplomb_sim::block_on(async {
    ///     for _ in 0..3 {
    ///         assert_eq!(cache.get(&1, || async { Ok(11) }).await, Ok(10));
    ///     }
    ///     assert_eq!(cache.get(&2, || async { Ok(20) }).await, Ok(20));
    /// });
    /// assert_eq!(cache.snapshot().hit_ratio(), 750_000);
    /// ```
    #[must_use]
    pub fn hit_ratio(&self) -> u32 {
        let served = u128::from(self.hits) + u128::from(self.stale);
        let all = served + u128::from(self.misses);
        u32::try_from((served * 1_000_000).checked_div(all).unwrap_or(0)).unwrap_or(0)
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O> {
    /// How it stands, and what has happened so far.
    pub fn snapshot(&self) -> Snapshot {
        let mut sum = Snapshot { queued: self.refreshes.with(|refreshes| refreshes.len()), ..Snapshot::default() };
        for shard in &self.shards {
            let of_shard = shard.with(|shard| shard.snapshot());
            sum.len = sum.len.saturating_add(of_shard.len);
            sum.weight = sum.weight.saturating_add(of_shard.weight);
            sum.fetching = sum.fetching.saturating_add(of_shard.fetching);
            sum.waiting = sum.waiting.saturating_add(of_shard.waiting);
            sum.hits = sum.hits.wrapping_add(of_shard.hits);
            sum.stale = sum.stale.wrapping_add(of_shard.stale);
            sum.misses = sum.misses.wrapping_add(of_shard.misses);
            sum.fetches = sum.fetches.wrapping_add(of_shard.fetches);
            sum.errors = sum.errors.wrapping_add(of_shard.errors);
            sum.stale_if_error = sum.stale_if_error.wrapping_add(of_shard.stale_if_error);
            sum.expired = sum.expired.wrapping_add(of_shard.expired);
            sum.evicted = sum.evicted.wrapping_add(of_shard.evicted);
        }
        sum
    }
}
