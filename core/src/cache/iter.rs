use core::fmt;

use super::settings::Cache;
use super::store::Sought;
use crate::observe::Silent;
use crate::platform::Platform;
use crate::storage::Storage;

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    K: Clone,
    V: Clone,
    S: Storage,
    F: Storage,
{
    /// Clones of all values that would be served, with their keys. Others may store and take out meanwhile: what is there all the time comes once; and at times twice, where few heavy entries take the place of many light ones.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let squares: Cache<u32, u32> = Cache::new();
    /// for number in 1..=3 {
    ///     squares.insert(number, number * number);
    /// }
    /// assert_eq!(squares.iter().map(|(_, square)| square).sum::<u32>(), 14);
    /// ```
    pub const fn iter(&self) -> Iter<'_, P, K, V, E, S, H, F, SHARDS, O> {
        Iter { cache: self, shard: 0, slot: usize::MAX }
    }
}

/// The entries of a cache; made by [`Cache::iter`].
#[must_use = "iterators do nothing unless consumed"]
pub struct Iter<'c, P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O = Silent> {
    cache: &'c Cache<P, K, V, E, S, H, F, SHARDS, O>,
    shard: usize,
    slot: usize,
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Iterator for Iter<'_, P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    K: Clone,
    V: Clone,
    S: Storage,
    F: Storage,
{
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        let Self { cache, shard, slot } = self;
        loop {
            let read = cache.read();
            let served = cache.shards.get(*shard)?.with(|shard| {
                let now = cache.now(shard, read);
                shard.next_served(&cache.settings.rules, slot, now)
            });
            match served {
                Sought::Found(served) => return Some(served),
                Sought::Unsure => {}
                Sought::Nothing => (*shard, *slot) = (*shard + 1, usize::MAX),
            }
        }
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> fmt::Debug
    for Iter<'_, P, K, V, E, S, H, F, SHARDS, O>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("shard", &self.shard).field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl<'c, P, K, V, E, S, H, F, const SHARDS: usize, O> IntoIterator for &'c Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    K: Clone,
    V: Clone,
    S: Storage,
    F: Storage,
{
    type Item = (K, V);
    type IntoIter = Iter<'c, P, K, V, E, S, H, F, SHARDS, O>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
