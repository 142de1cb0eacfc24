//! How much there is room for.

use super::{Cache, Settings};
use crate::cache::store;
use crate::key::per_shard;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::flights;
use crate::wide::divided;

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O> {
    /// How many entries there is room for. At least 1, and no more than the storage has room for; on the heap, a shard has no more than 134,217,727, however many are asked for.
    ///
    /// Of several shards, each has room for its part, rounded up; one may be full while others are not. Where it is lowered after entries have come, they stay, and each that comes takes the place of one. On the heap, memory is taken as entries come, by [doubling](crate::cache#what-it-takes).
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.settings.capacity = Some(entries);
        self.note();
        self
    }

    /// How much all entries may weigh together, by [`weigh_by`](Cache::weigh_by). At least 1. Without it, each entry weighs 1. Of several shards, each has its part, rounded up; an entry that is heavier than that is not kept.
    #[must_use]
    pub const fn max_weight(mut self, weight: u64) -> Self {
        self.settings.max_weight = weight;
        self.note();
        self
    }

    /// How much an entry weighs: its bytes, mostly. Called once for each, outside the lock. An error that is kept weighs 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PAGES: Cache<String, Vec<u8>> = checked!(
    ///     Cache::new().max_weight(64 << 20).weigh_by(|url: &String, page: &Vec<u8>| (url.len() + page.len() + 100) as u32)
    /// );
    ///
    /// PAGES.insert("/".into(), vec![0; 1_000]);
    /// assert_eq!(PAGES.snapshot().weight, 1_101);
    /// ```
    #[must_use]
    pub const fn weigh_by(mut self, weigh: fn(&K, &V) -> u32) -> Self {
        self.settings.weigh_by = Some(weigh);
        self
    }

    /// How many keys are fetched at once; a caller that would have to fetch another one ends at once, with [`FlightError::Full`](crate::FlightError::Full). At least 1, and no more than the [flight storage](Cache::flight_storage) has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn max_fetches(mut self, keys: usize) -> Self {
        self.settings.max_fetches = Some(keys);
        self.note();
        self
    }

    /// How many callers may wait for another one's fetch; the next one ends at once, with [`FlightError::QueueFull`](crate::FlightError::QueueFull). Zero is legal; no more than the [flight storage](Cache::flight_storage) has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.settings.max_waiting = callers;
        self.note();
        self
    }

    /// What a shard has room for.
    #[inline]
    pub(in crate::cache) fn limits(&self) -> store::Limits {
        let Settings { max_weight, weigh_by, .. } = self.settings;
        let capacity = self.entries().div_ceil(SHARDS).min(store::most::<S>());
        let is_shared_out = SHARDS > 1 && max_weight != u64::MAX;
        let max_weight = if is_shared_out { Self::share(max_weight) } else { max_weight };
        if weigh_by.is_some() {
            return store::Limits { capacity, max_weight };
        }
        // Each weighs 1: so many.
        store::Limits { capacity: capacity.min(usize::try_from(max_weight).unwrap_or(usize::MAX)), max_weight: u64::MAX }
    }

    /// A shard's part, rounded up.
    #[inline]
    fn share(weight: u64) -> u64 {
        let (share, rest) = divided(weight, u64::try_from(SHARDS).unwrap_or(u64::MAX)).unwrap_or((0, 0));
        share.saturating_add(u64::from(rest > 0))
    }

    /// How many keys may be fetched at once in all.
    #[inline]
    pub(in crate::cache) fn fetches(&self) -> usize {
        self.settings.max_fetches.unwrap_or(Self::FLIGHT_ROOM)
    }

    #[inline]
    pub(in crate::cache) fn flight_limits(&self) -> flights::Limits {
        flights::Limits {
            flights: self.fetches().div_ceil(SHARDS).min(F::CAPACITY),
            waiting: per_shard::<SHARDS>(self.settings.max_waiting),
        }
    }
}
