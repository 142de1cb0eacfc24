//! Entries, and who fetches them, behind one lock.

use core::convert::Infallible;

use super::rules::{Age, Rules, Times};
use super::snapshot::Snapshot;
use super::store::{self, Displaced, Entry, Limits, Store, count_use};
use crate::storage::Storage;
use crate::sync::flights::{self, FlightTable, Landed, Ticket};
use crate::time::{Instant, Steady};

pub(super) struct Shard<K, V, E, S: Storage, F: Storage> {
    pub(super) steady: Steady,
    /// Whether an entry had a TTL of its own: then time matters, whatever the settings say.
    pub(super) has_own_ttls: bool,
    store: Store<K, Result<V, E>, S>,
    pub(super) flights: FlightTable<K, Result<V, E>, F, Infallible>,
    counts: Counts,
    /// How long fetches take, in nanoseconds: lately more than before.
    cost: u64,
    /// Another one when a fetch begins, or something is kept.
    epoch: u32,
}

#[derive(Clone, Copy)]
struct Counts {
    hits: u64,
    stale: u64,
    misses: u64,
    fetches: u64,
    errors: u64,
    expired: u64,
    evicted: u64,
}

/// What a read finds.
pub(super) enum Look<V, E, L> {
    Served {
        outcome: Result<V, E>,
        /// Whether the caller is to see to it that it is fetched anew.
        is_due: bool,
    },
    /// Somebody fetches it.
    Fetched,
    /// Nobody does. As long as the epoch is the same, nobody has begun to, and nothing was kept.
    Absent { epoch: u32 },
    /// Nobody did: now this caller does.
    Leads(L),
    /// There is no room for another fetch.
    Full,
}

/// How a read finds out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It counts, and asks for what is due by the queue.
    Queues,
    /// It counts, and its caller fetches what is due.
    Fetches,
    /// It is not counted: the caller has looked before.
    Again,
}

/// An entry to be.
pub(super) struct New<V, E> {
    pub(super) outcome: Result<V, E>,
    /// In nanoseconds.
    pub(super) ttl: u64,
    pub(super) weight: u32,
    /// For its jitter.
    pub(super) random: u64,
}

/// What holds for all that is kept now.
#[derive(Clone, Copy)]
pub(super) struct Terms<'c> {
    pub(super) rules: &'c Rules,
    pub(super) limits: Limits,
    pub(super) now: Instant,
}

pub(super) type Stored<K, V, E, L> = Entry<K, Result<V, E>, L>;

/// What was there of a key.
pub(super) struct Invalidated<K, V, E, L> {
    pub(super) entry: Option<Stored<K, V, E, L>>,
    _forgotten: Option<K>,
}

/// Clones of an entry. As long as the epoch is the same, so is the entry.
pub(super) struct Copied<K, V, L> {
    pub(super) key: K,
    /// None of an error.
    pub(super) value: Option<V>,
    pub(super) link: L,
    pub(super) epoch: u32,
    /// Where to go on.
    pub(super) next: usize,
}

/// What is not needed any more, to be dropped outside the lock.
pub(super) type Gone<K, V, E> = (Option<K>, Option<Result<V, E>>, Option<(K, Result<V, E>)>);

/// What came of a fetch that has ended.
pub(super) struct Arrived<K, V, E> {
    /// Answers instead of the error.
    pub(super) reserve: Option<V>,
    pub(super) awaited: u32,
    pub(super) gone: Gone<K, V, E>,
}

impl<K, V, E, S: Storage, F: Storage> Shard<K, V, E, S, F> {
    pub(super) const NEW: Self = Self {
        steady: Steady::new(),
        has_own_ttls: false,
        store: Store::new(),
        flights: FlightTable::new(),
        counts: Counts::NONE,
        cost: 0,
        epoch: 0,
    };

    /// Reads. The value is cloned under the lock, since it might be gone after it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what it returns would go through memory, piece by piece")]
    pub(super) fn look(
        &mut self,
        rules: &Rules,
        hash: u64,
        mut is_it: impl FnMut(&K) -> bool,
        now: Instant,
        random: fn() -> u64,
        reading: Reading,
    ) -> Look<V, E, Ticket<F::Link>>
    where
        V: Clone,
        E: Clone,
    {
        if let Some(link) = self.store.find(hash, &mut is_it)
            && let Some(Entry { value, times, .. }) = self.store.get_mut(link)
        {
            let age = rules.age(times, now, self.cost, random);
            if age <= Age::Stale {
                rules.read(times, now);
                count_use(times);
                let outcome = value.clone();
                let may_ask = match reading {
                    Reading::Queues => !times.is_queued(),
                    Reading::Fetches => true,
                    Reading::Again => false,
                };
                let is_due = age >= Age::Due && may_ask && !self.flights.is_listed(hash, is_it);
                match (reading, age) {
                    (Reading::Again, _) => {}
                    (_, Age::Stale) => self.counts.stale = self.counts.stale.wrapping_add(1),
                    _ => self.counts.hits = self.counts.hits.wrapping_add(1),
                }
                return Look::Served { outcome, is_due };
            }
        }
        if reading != Reading::Again {
            self.counts.misses = self.counts.misses.wrapping_add(1);
        }
        if self.flights.is_listed(hash, is_it) { Look::Fetched } else { Look::Absent { epoch: self.epoch } }
    }

    /// The value that would be served, and nothing is learnt from it.
    pub(super) fn peek(&mut self, rules: &Rules, hash: u64, is_it: impl FnMut(&K) -> bool, now: Instant) -> Option<V>
    where
        V: Clone,
    {
        let link = self.store.find(hash, is_it)?;
        let Entry { value, times, .. } = self.store.get_mut(link)?;
        let value = value.as_ref().ok()?;
        (rules.age(times, now, 0, || u64::MAX) <= Age::Stale).then(|| value.clone())
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Begins a fetch of what nobody fetches.
    pub(super) fn lead(&mut self, hash: u64, key: K, limits: flights::Limits) -> Result<Ticket<F::Link>, K> {
        let ticket = self.flights.begin(hash, key, limits)?;
        self.counts.fetches = self.counts.fetches.wrapping_add(1);
        self.epoch = self.epoch.wrapping_add(1);
        Ok(ticket)
    }

    /// Begins a fetch, unless somebody fetches it.
    pub(super) fn lead_if_nobody(
        &mut self,
        hash: u64,
        key: K,
        is_it: impl FnMut(&K) -> bool,
        limits: flights::Limits,
    ) -> Result<Ticket<F::Link>, K> {
        if self.flights.is_listed(hash, is_it) { Err(key) } else { self.lead(hash, key, limits) }
    }

    /// Makes way for what is to be kept in the place of a key, by one: again, until nothing goes any more.
    pub(super) fn make_room(
        &mut self,
        Terms { rules, limits, now }: Terms<'_>,
        hash: u64,
        key: &K,
        new: &New<V, E>,
    ) -> Option<Displaced<K, Result<V, E>>>
    where
        K: Eq,
    {
        if limits.max_weight == u64::MAX {
            return None;
        }
        let known = self.store.find(hash, |known| known == key);
        let more = new.weight.saturating_sub(known.map_or(0, |link| self.store.weight_of(link)));
        let is_kept = u64::from(new.weight) <= limits.max_weight && rules.dies_at(&new.times(rules, now)) > now;
        if more == 0 || !is_kept {
            return None;
        }
        let displaced = self.store.make_room(more, now, limits, rules.ends())?;
        self.count_displaced(&displaced);
        Some(displaced)
    }

    /// A fetch took so many nanoseconds.
    pub(super) const fn learn_cost(&mut self, nanos: u64) {
        self.cost = if self.cost == 0 { nanos } else { self.cost - self.cost / 8 + nanos / 8 };
    }

    /// A fetch has ended. What it brought is kept, unless its key was forgotten meanwhile, or it is `None`. If it failed, what is there and may still be served stays.
    pub(super) fn arrive(
        &mut self,
        terms: Terms<'_>,
        hash: u64,
        ticket: Ticket<F::Link>,
        has_failed: bool,
        new: Option<New<V, E>>,
    ) -> Arrived<K, V, E>
    where
        K: Eq,
        V: Clone,
    {
        let Terms { rules, now, .. } = terms;
        self.counts.errors = self.counts.errors.wrapping_add(u64::from(has_failed));
        let Landed { key, awaited } = self.flights.land(ticket);
        let unused = |key, new: Option<New<V, E>>| (key, new.map(|new| new.outcome), None);
        let Some(key) = key else { return Arrived { reserve: None, awaited, gone: unused(None, new) } };
        let known = self.store.find(hash, |known| *known == key);
        if let (true, Some(link)) = (has_failed, known)
            && let Some(Entry { value: Ok(value), times, .. }) = self.store.get_mut(link)
            && rules.age(times, now, 0, || u64::MAX) != Age::Dead
        {
            let reserve = Some(value.clone());
            return Arrived { reserve, awaited, gone: unused(Some(key), new) };
        }
        let Some(new) = new else { return Arrived { reserve: None, awaited, gone: unused(Some(key), None) } };
        Arrived { reserve: None, awaited, gone: self.put_at(terms, hash, known, key, new) }
    }

    /// Keeps an entry, in the place of the one of that key if there is one; which goes also if the new one is not to be kept. A fetch under way does not keep what it brings.
    pub(super) fn put(&mut self, terms: Terms<'_>, hash: u64, key: K, new: New<V, E>) -> (Gone<K, V, E>, Option<K>)
    where
        K: Eq,
    {
        let forgotten = self.flights.forget(hash, |known| *known == key);
        let known = self.store.find(hash, |known| *known == key);
        (self.put_at(terms, hash, known, key, new), forgotten)
    }

    fn put_at(
        &mut self,
        Terms { rules, limits, now }: Terms<'_>,
        hash: u64,
        known: Option<S::Link>,
        key: K,
        new: New<V, E>,
    ) -> Gone<K, V, E> {
        self.epoch = self.epoch.wrapping_add(1);
        let times = new.times(rules, now);
        let New { outcome, weight, .. } = new;
        if let Some(entry) = known.and_then(|link| self.store.get_mut(link)) {
            let is_expired = rules.age(&entry.times, now, 0, || u64::MAX) > Age::Due;
            self.counts.expired = self.counts.expired.wrapping_add(u64::from(is_expired));
        }
        let end = rules.dies_at(&times);
        if u64::from(weight) > limits.max_weight || end <= now {
            // What was there is not its value any more.
            let old = known.and_then(|link| self.store.remove(link));
            return (Some(key), Some(outcome), old.map(|old| (old.key, old.value)));
        }
        if let Some(link) = known {
            return (Some(key), self.store.replace(link, outcome, times, weight, end), None);
        }
        match self.store.insert(hash, store::New { key, value: outcome, times, weight }, now, limits, rules.ends()) {
            Ok(displaced) => {
                if let Some(displaced) = &displaced {
                    self.count_displaced(displaced);
                }
                (None, None, displaced.map(|displaced| displaced.entry))
            }
            Err((key, outcome)) => (Some(key), Some(outcome), None),
        }
    }

    /// Takes the entry of a key out, and has whoever fetches it answer its callers only.
    pub(super) fn invalidate(&mut self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Invalidated<K, V, E, S::Link> {
        let forgotten = self.flights.forget(hash, &mut is_it);
        let entry = self.store.find(hash, is_it).and_then(|link| self.store.remove(link));
        Invalidated { entry, _forgotten: forgotten }
    }

    /// Clones of the next entry from a slot on.
    pub(super) fn next_from(&mut self, slot: usize) -> Option<Copied<K, V, S::Link>>
    where
        K: Clone,
        V: Clone,
    {
        let (next, link) = self.store.next_from(slot)?;
        let Entry { key, value, .. } = self.store.get_mut(link)?;
        let (key, value) = (key.clone(), value.as_ref().ok().cloned());
        Some(Copied { key, value, link, epoch: self.epoch, next })
    }

    /// Clones of the next entry from a slot on that would be served.
    pub(super) fn next_served(&mut self, rules: &Rules, slot: &mut usize, now: Instant) -> Option<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        loop {
            let (next, link) = self.store.next_from(*slot)?;
            *slot = next;
            if let Some(Entry { key, value: Ok(value), times, .. }) = self.store.get_mut(link)
                && rules.age(times, now, 0, || u64::MAX) <= Age::Stale
            {
                return Some((key.clone(), value.clone()));
            }
        }
    }

    /// Takes an entry out that was copied: if nothing was kept since; or, at the last try, if it is of the same key still.
    pub(super) fn take_copied(&mut self, copied: &Copied<K, V, S::Link>, is_last: bool) -> Option<Stored<K, V, E, S::Link>>
    where
        K: Eq,
    {
        let is_it = self.epoch == copied.epoch || is_last && self.store.get_mut(copied.link)?.key == copied.key;
        if is_it { self.store.remove(copied.link) } else { None }
    }

    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    /// Takes the next entry out from a slot on.
    pub(super) fn take_from(&mut self, slot: &mut usize) -> Option<Stored<K, V, E, S::Link>> {
        let (next, link) = self.store.next_from(*slot)?;
        *slot = next;
        self.store.remove(link)
    }

    /// Whether an entry is still to be fetched anew, and nobody does. It is off the queue.
    pub(super) fn take_due(&mut self, rules: &Rules, hash: u64, mut is_it: impl FnMut(&K) -> bool, now: Instant) -> bool {
        let Some(link) = self.store.find(hash, &mut is_it) else { return false };
        let Some(Entry { times, .. }) = self.store.get_mut(link) else { return false };
        let was_queued = times.is_queued();
        times.set_queued(false);
        was_queued && rules.age(times, now, 0, || u64::MAX) != Age::Dead && !self.flights.is_listed(hash, is_it)
    }

    /// Whether a key is to be put into the queue: that of an entry which is not in it yet.
    pub(super) fn queue(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) -> bool {
        let Some(entry) = self.store.find(hash, is_it).and_then(|link| self.store.get_mut(link)) else { return false };
        let was_queued = entry.times.is_queued();
        entry.times.set_queued(true);
        !was_queued
    }

    /// It could not be put into the queue.
    pub(super) fn unqueue(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) {
        if let Some(entry) = self.store.find(hash, is_it).and_then(|link| self.store.get_mut(link)) {
            entry.times.set_queued(false);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let Counts { hits, stale, misses, fetches, errors, expired, evicted } = self.counts;
        let (fetching, waiting) = self.flights.len();
        let (len, weight) = (self.store.len(), self.store.weight());
        Snapshot { len, weight, fetching, waiting, hits, stale, misses, fetches, errors, expired, evicted }
    }

    fn count_displaced(&mut self, displaced: &Displaced<K, Result<V, E>>) {
        let count = if displaced.has_ended { &mut self.counts.expired } else { &mut self.counts.evicted };
        *count = count.wrapping_add(1);
    }
}

impl<V, E> New<V, E> {
    fn times(&self, rules: &Rules, now: Instant) -> Times {
        rules.times(now, self.ttl, self.outcome.is_err(), self.random)
    }
}

impl Counts {
    const NONE: Self = Self { hits: 0, stale: 0, misses: 0, fetches: 0, errors: 0, expired: 0, evicted: 0 };
}
