//! What goes through the entries, and the queue of those that are to be fetched anew.

use super::{Copied, Counts, Shard, Stored};
use crate::cache::rules::{Age, Rules};
use crate::cache::snapshot::Snapshot;
use crate::cache::store::{AT_ONCE, Entry, Sought};
use crate::storage::Storage;
use crate::time::Instant;

/// What looks for an entry before a slot looks through so many slots at once, and no more: if there is none in these, it is unsure, and is to be asked to go on from there.
impl<K, V, E, S: Storage, F: Storage> Shard<K, V, E, S, F> {
    /// Takes an entry out that is of no use any more.
    pub(in crate::cache) fn take_ended(&mut self, rules: &Rules, now: Instant) -> Sought<Stored<K, V, E, S::Link>> {
        let ended = self.store.take_ended(now, rules);
        if let Sought::Found(_) = ended {
            self.counts.expired = self.counts.expired.wrapping_add(1);
        }
        ended
    }

    /// Clones of the last entry before a slot, from which that goes on by `next`.
    pub(in crate::cache) fn last_before<T>(
        &mut self,
        slot: &mut usize,
        copy: fn(&Result<V, E>) -> Option<T>,
    ) -> Sought<Copied<K, T, S::Link>>
    where
        K: Clone,
    {
        let Some((next, link)) = self.store.last_before(*slot) else { return Sought::Nothing };
        let Some((link, Entry { key, value, .. })) = link.and_then(|link| Some((link, self.store.get_mut(link)?))) else {
            *slot = next;
            return Sought::Unsure;
        };
        let (key, asked) = (key.clone(), copy(value));
        Sought::Found(Copied { key, asked, link, epoch: self.epoch, next })
    }

    /// Clones of the last entry before a slot that would be served.
    pub(in crate::cache) fn next_served(&mut self, rules: &Rules, slot: &mut usize, now: Instant) -> Sought<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        let mut last = None;
        loop {
            let Some((next, link)) = self.store.last_before(*slot) else { return Sought::Nothing };
            *slot = next;
            let Some(link) = link else { return Sought::Unsure };
            if let Some(Entry { key, value: Ok(value), times, .. }) = self.store.get_mut(link)
                && rules.age(times, now, 0) <= Age::Stale
            {
                return Sought::Found((key.clone(), value.clone()));
            }
            if next <= *last.get_or_insert(next.saturating_sub(AT_ONCE)) {
                return Sought::Unsure;
            }
        }
    }

    /// Takes an entry out that was copied: if nothing was kept since; or, at the last try, if it is of the same key still.
    pub(in crate::cache) fn take_copied<T>(
        &mut self,
        copied: &Copied<K, T, S::Link>,
        is_last: bool,
    ) -> Option<Stored<K, V, E, S::Link>>
    where
        K: Eq,
    {
        let is_it = self.epoch == copied.epoch || is_last && self.store.get_mut(copied.link)?.key == copied.key;
        if is_it { self.store.remove(copied.link) } else { None }
    }

    pub(in crate::cache) fn len(&self) -> usize {
        self.store.len()
    }

    /// Takes the last entry before a slot out.
    pub(in crate::cache) fn take_before(&mut self, slot: &mut usize) -> Sought<Stored<K, V, E, S::Link>> {
        let Some((next, link)) = self.store.last_before(*slot) else { return Sought::Nothing };
        *slot = next;
        link.and_then(|link| self.store.remove(link)).map_or(Sought::Unsure, Sought::Found)
    }

    /// Whether an entry is still to be fetched anew, and nobody does. It is off the queue.
    pub(in crate::cache) fn take_due(
        &mut self,
        rules: &Rules,
        hash: u64,
        mut is_it: impl FnMut(&K) -> bool,
        now: Instant,
    ) -> bool {
        let Some(link) = self.store.find(hash, &mut is_it) else { return false };
        let Some(Entry { times, .. }) = self.store.get_mut(link) else { return false };
        let was_queued = times.is_queued();
        times.set_queued(false);
        was_queued && rules.age(times, now, 0) != Age::Dead && !self.flights.is_listed(hash, is_it)
    }

    /// Whether a key is to be put into the queue: that of an entry which is not in it yet.
    pub(in crate::cache) fn queue(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) -> bool {
        let Some(entry) = self.store.find(hash, is_it).and_then(|link| self.store.get_mut(link)) else { return false };
        let was_queued = entry.times.is_queued();
        entry.times.set_queued(true);
        !was_queued
    }

    /// It could not be put into the queue.
    pub(in crate::cache) fn unqueue(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) {
        if let Some(entry) = self.store.find(hash, is_it).and_then(|link| self.store.get_mut(link)) {
            entry.times.set_queued(false);
        }
    }

    pub(in crate::cache) fn snapshot(&self) -> Snapshot {
        let Counts { hits, stale, misses, fetches, errors, expired, evicted, stale_if_error } = self.counts;
        let (fetching, waiting) = self.flights.len();
        let (len, weight) = (self.store.len(), self.store.weight());
        Snapshot {
            len,
            weight,
            fetching,
            waiting,
            queued: 0,
            hits,
            stale,
            misses,
            fetches,
            errors,
            stale_if_error,
            expired,
            evicted,
        }
    }
}
