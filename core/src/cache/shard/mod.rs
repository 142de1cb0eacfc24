//! Entries, and who fetches them, behind one lock.

mod walk;

use core::convert::Infallible;

use crate::cache::event::Removal;
use crate::cache::rules::{Age, Rules, Times};
use crate::cache::store::{self, Displaced, Entry, Limits, Store, count_use};
use crate::platform::SMALL;
use crate::storage::{Link, Storage};
use crate::sync::flights::{self, FlightTable, Landed, Ticket};
use crate::time::{Clock, Instant, Steady};

/// What a hit writes comes first, beside the lock, and in one line of the processor's cache with it: threads that take turns hand over no other.
#[cfg_attr(target_pointer_width = "64", repr(C))]
pub(super) struct Shard<K, V, E, S: Storage, F: Storage> {
    steady: Steady,
    counts: Counts,
    store: Store<K, Result<V, E>, S>,
    pub(super) flights: FlightTable<K, Result<V, E>, F, Infallible>,
    /// How long fetches take that succeed, in nanoseconds: lately more than before.
    cost: u64,
    /// Another one when something is kept, or makes room.
    epoch: u32,
    /// Whether an entry had a TTL of its own: then time matters, whatever the settings say.
    pub(super) has_own_ttls: bool,
}

#[derive(Clone, Copy)]
#[cfg_attr(target_pointer_width = "64", repr(C))]
struct Counts {
    hits: u64,
    stale: u64,
    misses: u64,
    fetches: u64,
    errors: u64,
    expired: u64,
    evicted: u64,
    stale_if_error: u64,
}

/// What a read finds.
pub(in crate::cache) enum Look<T> {
    Served {
        outcome: T,
        is_stale: bool,
        /// Whether the caller is to see to it that it is fetched anew.
        is_due: bool,
    },
    /// Somebody fetches it.
    Fetched,
    /// Nobody does.
    Absent,
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
pub(super) struct Invalidated<K, V, E, L: Link> {
    pub(super) entry: Option<Stored<K, V, E, L>>,
    _forgotten: Option<K>,
}

/// Clones of an entry. As long as the epoch is the same, so is the entry.
pub(super) struct Copied<K, T, L> {
    pub(super) key: K,
    /// Of its value or its error, if that is what is asked about.
    pub(super) asked: Option<T>,
    pub(super) link: L,
    pub(super) epoch: u32,
    /// Where to go on.
    pub(super) next: usize,
}

/// What is not needed any more, put there under the lock, to be dropped outside.
pub(super) struct Gone<K, V, E> {
    /// The entry in whose place something is kept; or that made room for it.
    pub(super) displaced: Option<Displaced<K, Result<V, E>>>,
    key: Option<K>,
    outcome: Option<Result<V, E>>,
}

/// What came of a fetch that has ended.
pub(super) struct Arrived<V> {
    /// Answers instead of the error.
    pub(super) reserve: Option<V>,
    /// Whether that is past its end.
    pub(super) is_stale: bool,
    pub(super) awaited: u32,
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

    /// The present, when the clock was read and said so. If it was set back, nobody knows how much time has passed: what has an end has ended.
    #[inline]
    pub(super) fn advance<C: Clock>(&mut self, rules: &Rules, read: Instant, clock: &C) -> Instant {
        let Self { steady, store, .. } = self;
        steady.advance_telling(read, clock, || store.end_all(rules))
    }

    /// Reads what is fresh: most reads, and so by the shortest way. The value is cloned under the lock, since it might be gone after it. Else where it is, if it is there, for [`look`](Self::look): on small machines always, whose one way is shorter than two.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what it returns would go through memory, piece by piece")]
    pub(super) fn hit(
        &mut self,
        rules: &Rules,
        hash: u64,
        is_it: impl FnMut(&K) -> bool,
        now: Instant,
    ) -> Result<Result<V, E>, Option<S::Link>>
    where
        V: Clone,
        E: Clone,
    {
        let Some(link) = self.store.find(hash, is_it) else { return Err(None) };
        match self.store.get_mut(link) {
            Some(Entry { value, times, .. }) if !SMALL && rules.is_plainly_fresh(times, now) => {
                count_use(times);
                self.counts.hits = self.counts.hits.wrapping_add(1);
                Ok(value.clone())
            }
            _ => Err(Some(link)),
        }
    }

    /// Reads what is not [plainly fresh](Self::hit), where it is; or what is not there.
    #[inline(never)]
    pub(super) fn look(
        &mut self,
        rules: &Rules,
        hash: u64,
        known: Option<S::Link>,
        is_it: impl FnMut(&K) -> bool,
        now: Instant,
        reading: Reading,
    ) -> Look<Result<V, E>>
    where
        V: Clone,
        E: Clone,
    {
        let cost = self.cost;
        let mut found = None;
        if let Some(link) = known
            && let Some(Entry { value, times, .. }) = self.store.get_mut(link)
        {
            let age = rules.age(times, now, cost);
            if age <= Age::Stale {
                let may_ask = match reading {
                    Reading::Queues => !times.is_queued(),
                    Reading::Fetches => true,
                    Reading::Again => false,
                };
                found = Some((value.clone(), age == Age::Stale, age >= Age::Due && may_ask));
                self.store.read(link, now, rules);
            }
        }
        if reading != Reading::Again {
            let count = match &found {
                Some((_, true, _)) => &mut self.counts.stale,
                Some(_) => &mut self.counts.hits,
                None => &mut self.counts.misses,
            };
            *count = count.wrapping_add(1);
        }
        let is_fetched = matches!(found, None | Some((_, _, true))) && self.flights.is_listed(hash, is_it);
        match found {
            Some((outcome, is_stale, may_ask)) => Look::Served { outcome, is_stale, is_due: may_ask && !is_fetched },
            None if is_fetched => Look::Fetched,
            None => Look::Absent,
        }
    }

    /// Where the entry of a key is.
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(&K) -> bool) -> Option<S::Link> {
        self.store.find(hash, is_it)
    }

    /// The value that would be served, and nothing is learnt from it.
    pub(super) fn peek(&mut self, rules: &Rules, hash: u64, is_it: impl FnMut(&K) -> bool, now: Instant) -> Option<V>
    where
        V: Clone,
    {
        let link = self.find(hash, is_it)?;
        self.peek_at(rules, link, now)
    }

    /// As [`peek`](Self::peek), where it is.
    pub(super) fn peek_at(&mut self, rules: &Rules, link: S::Link, now: Instant) -> Option<V>
    where
        V: Clone,
    {
        let Entry { value, times, .. } = self.store.get_mut(link)?;
        let value = value.as_ref().ok()?;
        (rules.age(times, now, 0) <= Age::Stale).then(|| value.clone())
    }

    /// Begins a fetch of what nobody fetches.
    pub(super) fn lead(&mut self, hash: u64, key: &mut Option<K>, limits: flights::Limits) -> Option<Ticket<F::Link>> {
        let ticket = self.flights.begin(hash, key, limits)?;
        self.counts.fetches = self.counts.fetches.wrapping_add(1);
        Some(ticket)
    }

    /// Begins a fetch, unless somebody fetches it.
    pub(super) fn lead_if_nobody(
        &mut self,
        hash: u64,
        key: &mut Option<K>,
        is_it: impl FnMut(&K) -> bool,
        limits: flights::Limits,
    ) -> Option<Ticket<F::Link>> {
        if self.flights.is_listed(hash, is_it) { None } else { self.lead(hash, key, limits) }
    }

    /// Makes way for what is to be kept in the place of a key, by one: again, until nothing goes any more.
    pub(super) fn make_room(
        &mut self,
        Terms { rules, limits, now }: Terms<'_>,
        hash: u64,
        key: &K,
        new: &New<V, E>,
        gone: &mut Gone<K, V, E>,
    ) where
        K: Eq,
    {
        if limits.max_weight == u64::MAX {
            return;
        }
        let known = self.store.find(hash, |known| known == key);
        let more = new.weight.saturating_sub(known.map_or(0, |link| self.store.weight_of(link)));
        let is_kept = u64::from(new.weight) <= limits.max_weight && rules.dies_at(&new.times(rules, now)) > now;
        if more == 0 || !is_kept || new.outcome.is_err() && known.is_some_and(|link| self.may_answer(rules, link, now)) {
            return;
        }
        self.store.make_room(more, known, now, limits, rules, &mut gone.displaced);
        if let Some(displaced) = &gone.displaced {
            self.epoch = self.epoch.wrapping_add(1);
            self.count_displaced(displaced);
        }
    }

    /// A fetch that has succeeded took so many nanoseconds, of what lives for so many. It counts for no more than an eighth of that, so that one during which the machine was suspended does not have all that is fresh fetched anew.
    pub(super) fn learn_cost(&mut self, nanos: u64, ttl: u64) {
        let nanos = nanos.min(ttl / 8);
        self.cost = if self.cost == 0 { nanos } else { self.cost - self.cost / 8 + nanos / 8 };
    }

    /// A fetch has ended. What it brought is kept, unless its key was forgotten meanwhile, or it is `None`. If it failed, what is there and may still be served stays; and answers whoever waits, and its leader, if that is to be answered.
    #[allow(clippy::too_many_arguments, reason = "all of it is known of a fetch")]
    pub(super) fn arrive(
        &mut self,
        terms: Terms<'_>,
        hash: u64,
        ticket: Ticket<F::Link>,
        answers: bool,
        has_failed: bool,
        new: Option<New<V, E>>,
        gone: &mut Gone<K, V, E>,
    ) -> Arrived<V>
    where
        K: Eq,
        V: Clone,
    {
        let Terms { rules, now, .. } = terms;
        self.counts.errors = self.counts.errors.wrapping_add(u64::from(has_failed));
        let Landed { key, awaited } = self.flights.land(ticket);
        let arrived = Arrived { reserve: None, is_stale: false, awaited };
        let Some(key) = key else {
            gone.outcome = new.map(|new| new.outcome);
            return arrived;
        };
        let known = self.store.find(hash, |known| *known == key);
        if let (true, Some(link)) = (has_failed, known)
            && let Some((value, is_stale)) = self.answer_with(rules, link, now, answers || awaited > 0)
        {
            (gone.key, gone.outcome) = (Some(key), new.map(|new| new.outcome));
            return Arrived { reserve: Some(value), is_stale, awaited };
        }
        match new {
            Some(new) => self.put_at(terms, hash, known, key, new, gone),
            None => gone.key = Some(key),
        }
        arrived
    }

    /// Keeps an entry, in the place of the one of that key if there is one; which goes also if the new one is not to be kept. A fetch under way does not keep what it brings.
    pub(super) fn put(&mut self, terms: Terms<'_>, hash: u64, key: K, new: New<V, E>, gone: &mut Gone<K, V, E>) -> Option<K>
    where
        K: Eq,
    {
        let forgotten = self.flights.forget(hash, |known| *known == key);
        let known = self.store.find(hash, |known| *known == key);
        self.put_at(terms, hash, known, key, new, gone);
        forgotten
    }

    fn put_at(
        &mut self,
        Terms { rules, limits, now }: Terms<'_>,
        hash: u64,
        known: Option<S::Link>,
        key: K,
        new: New<V, E>,
        gone: &mut Gone<K, V, E>,
    ) {
        self.epoch = self.epoch.wrapping_add(1);
        let times = new.times(rules, now);
        let New { outcome, weight, .. } = new;
        let is_expired = |entry: &mut Stored<K, V, E, S::Link>| rules.age(&entry.times, now, 0) > Age::Due;
        let is_expired = known.and_then(|link| self.store.get_mut(link)).is_some_and(is_expired);
        let cause = if is_expired { Removal::Expired } else { Removal::Replaced };
        let end = rules.dies_at(&times);
        if u64::from(weight) > limits.max_weight || end <= now {
            // What was there is not its value any more.
            let old = known.and_then(|link| self.store.remove(link));
            gone.displaced = old.map(|old| Displaced { entry: (old.key, old.value), cause });
            (gone.key, gone.outcome) = (Some(key), Some(outcome));
        } else if let Some(link) = known {
            let old = self.store.replace(link, outcome, times, weight, end);
            gone.displaced = old.map(|old| Displaced { entry: (key, old), cause });
        } else {
            self.store.make_place(now, limits, rules, &mut gone.displaced);
            let new = store::New { key, value: outcome, times, weight, end };
            if let Err((key, outcome)) = self.store.insert(hash, new, limits, rules) {
                (gone.key, gone.outcome) = (Some(key), Some(outcome));
            }
        }
        if let Some(displaced) = &gone.displaced {
            self.count_displaced(displaced);
        }
    }

    /// Takes the entry of a key out, and has whoever fetches it answer its callers only.
    pub(super) fn invalidate(&mut self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Invalidated<K, V, E, S::Link> {
        let forgotten = self.flights.forget(hash, &mut is_it);
        let entry = self.store.find(hash, is_it).and_then(|link| self.store.remove(link));
        Invalidated { entry, _forgotten: forgotten }
    }

    /// What may answer for a fetch that is late, or for which there is no room; and whether it is past its end.
    pub(super) fn reserve(&mut self, rules: &Rules, hash: u64, is_it: impl FnMut(&K) -> bool, now: Instant) -> Option<(V, bool)>
    where
        V: Clone,
    {
        let link = self.store.find(hash, is_it)?;
        self.answer_with(rules, link, now, true)
    }

    /// A value that is of use to anybody may answer for a fetch; and whether it is past its end. If somebody asks, it is read by that.
    fn answer_with(&mut self, rules: &Rules, link: S::Link, now: Instant, is_asked: bool) -> Option<(V, bool)>
    where
        V: Clone,
    {
        let Entry { value: Ok(value), times, .. } = self.store.get_mut(link)? else { return None };
        let age = rules.age(times, now, 0);
        if age == Age::Dead {
            return None;
        }
        let (value, is_stale) = (value.clone(), is_asked && age > Age::Due);
        if is_asked {
            self.store.read(link, now, rules);
        }
        self.counts.stale_if_error = self.counts.stale_if_error.wrapping_add(u64::from(is_stale));
        Some((value, is_stale))
    }

    /// Whether there is a value that may answer for a fetch: then an error does not come in its place.
    fn may_answer(&mut self, rules: &Rules, link: S::Link, now: Instant) -> bool {
        let entry = self.store.get_mut(link);
        entry.is_some_and(|Entry { value, times, .. }| value.is_ok() && rules.age(times, now, 0) != Age::Dead)
    }

    fn count_displaced(&mut self, displaced: &Displaced<K, Result<V, E>>) {
        let count = match displaced.cause {
            Removal::Expired => &mut self.counts.expired,
            Removal::Evicted => &mut self.counts.evicted,
            Removal::Replaced | Removal::Invalidated => return,
        };
        *count = count.wrapping_add(1);
    }
}

impl<K, V, E> Gone<K, V, E> {
    pub(super) const NOTHING: Self = Self { displaced: None, key: None, outcome: None };
}

impl<V, E> New<V, E> {
    fn times(&self, rules: &Rules, now: Instant) -> Times {
        rules.times(now, self.ttl, self.outcome.is_err())
    }
}

impl Counts {
    const NONE: Self = Self { hits: 0, stale: 0, misses: 0, fetches: 0, errors: 0, expired: 0, evicted: 0, stale_if_error: 0 };
}
