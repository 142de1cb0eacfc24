//! The lines of many keys, behind one lock.

use core::task::Waker;

use super::crowds::{Crowds, Place};
use crate::config::ConfigError;
use crate::rate_limiter::algorithm::{Algorithm, Refused};
use crate::rate_limiter::line::{Crowd, Desk, Limits, Waiters};
use crate::storage::Storage;
use crate::table::{BLOCK, Earliest, Entry, Moved, Table};
use crate::time::{Instant, Steady};

pub(super) struct Shard<K, A: Algorithm, S: Storage> {
    pub(super) steady: Steady,
    pub(super) table: Table<K, Known<A, S::Link>, S>,
    /// The rule, if it has been changed.
    changed: Option<A>,
    /// What was taken before is not given back: it was by another rule.
    returnable_from: Instant,
    /// Nor are permits that were taken before, unless they hold their key: it may have been forgotten since, and all of its permits have come back with that.
    pub(super) kept_from: Instant,
    /// Which change it was: of two that come at once, the later one stands in all shards.
    change: u64,
    /// Of the keys where somebody runs or waits.
    pub(super) crowds: Crowds<S>,
    waiters: Waiters<A, S>,
    /// When keys that nobody uses are as good as new.
    renewals: Earliest<S>,
}

/// What is kept of a key: little, since of most nothing but this is ever needed.
pub(super) struct Known<A: Algorithm, L> {
    taken: A::State,
    /// Those who run and wait, if there are any.
    crowd: Option<L>,
}

/// What was forgotten to make room, to be dropped outside the lock.
pub(super) type Forgotten<K, A, S> = Option<Entry<K, Known<A, <S as Storage>::Link>>>;

/// There is no room for a key.
pub(super) struct Crowded<K> {
    /// The key comes back.
    pub(super) key: K,
    /// When one of those that are there may not be used any more, where that is known.
    pub(super) until: Option<Instant>,
}

/// What is the same for all shards.
#[derive(Clone, Copy)]
pub(super) struct House<'l, A> {
    /// The rule, unless it has been changed.
    pub(super) algorithm: &'l A,
    pub(super) limits: Limits,
    pub(super) lateness: u64,
    /// How many keys a shard has room for.
    pub(super) capacity: usize,
}

/// Those of a line, while something is done with it: put back at the end, also if a rule of the caller's own panics.
struct Lent<'s, S: Storage> {
    crowd: Crowd<S::Link>,
    crowds: &'s mut Crowds<S>,
    /// Where they are, if there are any.
    link: &'s mut Option<S::Link>,
    /// Where their key is.
    index: usize,
}

impl<S: Storage> Drop for Lent<'_, S> {
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn drop(&mut self) {
        if self.link.is_some() || !self.crowd.is_none() {
            *self.link = self.crowds.set(*self.link, self.crowd, self.index);
        }
    }
}

/// What came of doing something with a line, and where its callers are found again, if there are any.
pub(super) struct Served<R, L> {
    pub(super) result: R,
    pub(super) crowd: Option<Place<L>>,
}

impl<K, A: Algorithm + Copy, S: Storage> Shard<K, A, S> {
    pub(super) const NEW: Self = Self {
        steady: Steady::new(),
        table: Table::new(),
        changed: None,
        returnable_from: Instant::ORIGIN,
        kept_from: Instant::ORIGIN,
        change: 0,
        crowds: Crowds::new(),
        waiters: Waiters::NONE,
        renewals: Earliest::new(),
    };

    /// Does something with the line of a key that is there.
    #[allow(clippy::inline_always, reason = "what it returns would go through memory, piece by piece")]
    #[inline(always)]
    pub(super) fn with<R>(
        &mut self,
        house: House<'_, A>,
        index: usize,
        now: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Option<Served<R, S::Link>> {
        let Known { taken, crowd: link } = &mut self.table.get_mut(index)?.value;
        let algorithm = self.changed.as_ref().unwrap_or(house.algorithm);
        let was_empty = link.is_none();
        let mut lent = Lent { crowd: self.crowds.get(*link), crowds: &mut self.crowds, link, index };
        let result = act(&mut Desk {
            algorithm,
            limits: house.limits,
            taken,
            crowd: &mut lent.crowd,
            waiters: &mut self.waiters,
            steady: self.steady,
            now,
            returnable_from: self.returnable_from,
            lateness: house.lateness,
        });
        drop(lent);
        if link.is_none() && !was_empty {
            self.renewals.lower(index, algorithm.renewed_at(taken));
        }
        let crowd = link.and_then(|link| self.crowds.place(link));
        Some(Served { result, crowd })
    }

    /// Something was given back to the line of a key: it may be as good as new sooner.
    pub(super) fn is_renewed_sooner(&mut self, house: House<'_, A>, index: usize) {
        let algorithm = self.changed.as_ref().unwrap_or(house.algorithm);
        if let Some(entry) = self.table.get_mut(index) {
            self.renewals.lower(index, algorithm.renewed_at(&entry.value.taken));
        }
    }

    /// Takes permits of a key that nobody else waits for or uses, as of most, without a line being made up; `None` if somebody does.
    #[inline]
    pub(super) fn take_alone(
        &mut self,
        house: House<'_, A>,
        index: usize,
        now: Instant,
        permits: u32,
    ) -> Option<Result<(), Refused>> {
        let Known { taken, crowd: None } = &mut self.table.get_mut(index)?.value else { return None };
        Some(self.changed.as_ref().unwrap_or(house.algorithm).try_take(taken, now, permits))
    }

    /// Does something with those of a line, whatever the time.
    pub(super) fn with_crowd<R>(
        &mut self,
        house: House<'_, A>,
        place: Place<S::Link>,
        act: impl FnOnce(&mut Crowd<S::Link>) -> R,
    ) -> Option<R> {
        let (index, now) = (self.crowds.index(place)?, self.steady.latest());
        self.with(house, index, now, |desk| act(desk.crowd)).map(|served| served.result)
    }

    /// Adds a line for a key that is not there. If there is no room, one is forgotten that is as good as new, and comes back.
    ///
    /// # Errors
    ///
    /// The key comes back if all are in use, with the instant at which one may not be any more, where that is known.
    pub(super) fn add(&mut self, house: House<'_, A>, hash: u64, key: K, now: Instant) -> Result<Forgotten<K, A, S>, Crowded<K>> {
        let forgotten = if self.table.len() >= house.capacity {
            match self.forget_renewed(house, self.table.home(hash), now) {
                Ok(forgotten) => forgotten,
                Err(until) => return Err(Crowded { key, until: (!until.is_never()).then_some(until) }),
            }
        } else {
            None
        };
        if self.table.grow(house.capacity) {
            self.renewals.start_anew(self.table.slots());
            for (index, entry) in self.table.iter_mut() {
                if let Some(link) = entry.value.crowd {
                    self.crowds.follow(link, index);
                }
            }
        }
        match self.table.insert(hash, key, Known { taken: A::START, crowd: None }, house.capacity) {
            Ok(index) => {
                self.renewals.lower(index, now);
                Ok(forgotten)
            }
            Err(Entry { key, .. }) => Err(Crowded { key, until: None }),
        }
    }

    /// Forgets a key that is as good as new, or tells when the first one may be. It lies near `home`, where another comes in: if keys were taken out from one end of the table, and came in everywhere, the rest of it would fill up, and a look-up go through all of it.
    fn forget_renewed(&mut self, house: House<'_, A>, home: usize, now: Instant) -> Result<Forgotten<K, A, S>, Instant> {
        let algorithm = *self.changed.as_ref().unwrap_or(house.algorithm);
        loop {
            let block = self.renewals.near(home, now)?;
            let mut earliest = Instant::MAX;
            let slots = block.saturating_mul(BLOCK)..block.saturating_add(1).saturating_mul(BLOCK);
            for index in slots {
                // One that is used is told of when it no longer is.
                let Some(known) = self.table.get_mut(index).map(|entry| &entry.value).filter(|known| known.crowd.is_none())
                else {
                    continue;
                };
                let at = algorithm.renewed_at(&known.taken);
                if at <= now {
                    return Ok(self.remove(index));
                }
                earliest = earliest.min(at);
            }
            self.renewals.set(block, earliest);
        }
    }

    /// Forgets a key, if nobody uses its line. All that was taken of its permits comes back with that, and does so only once.
    pub(super) fn forget(&mut self, index: usize) -> Forgotten<K, A, S> {
        if self.table.get_mut(index)?.value.crowd.is_some() {
            return None;
        }
        self.kept_from = self.steady.latest().saturating_add_nanos(1);
        self.remove(index)
    }

    fn remove(&mut self, index: usize) -> Forgotten<K, A, S> {
        let (renewals, crowds) = (&mut self.renewals, &mut self.crowds);
        self.table.remove(index, |Moved { from, to }, known| {
            let bound = renewals.bound(from);
            renewals.lower(to, bound);
            if let Some(link) = known.crowd {
                crowds.follow(link, to);
            }
        })
    }

    /// Changes the rule.
    pub(super) fn take_over(&mut self, house: House<'_, A>, rule: A, change: u64, now: Instant) {
        if change < self.change {
            return;
        }
        self.change = change;
        self.returnable_from = now.saturating_add_nanos(1);
        let from = self.changed.replace(rule).unwrap_or(*house.algorithm);
        for (_, entry) in self.table.iter_mut() {
            rule.take_over(&mut entry.value.taken, &from, now);
        }
        let waiters = &mut self.waiters;
        self.crowds.for_each(|crowd| waiters.refit(crowd, rule.most()));
        // They may come sooner now.
        self.renewals.start_anew(self.table.slots());
    }

    /// The number of the next change, which this shard tells for all. Its rule is that of the change before.
    pub(super) fn next_change(&mut self, house: House<'_, A>, rule: A) -> Result<(A, u64), ConfigError> {
        let rule = rule.in_place_of(self.rule(house));
        if let Some(error) = rule.config_error() {
            return Err(error);
        }
        self.change = self.change.saturating_add(1);
        Ok((rule, self.change))
    }

    /// After a change of the rule, the waker of the next one who has to look anew: those whom it has turned away, and whoever is first in a queue. Crowds stay where they are while keys move, so that none is passed over.
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime only")]
    pub(super) fn next_to_look(&mut self, house: House<'_, A>, looked_at: &mut usize) -> Option<Waker> {
        let refused = self.waiters.next_refused();
        if refused.is_some() {
            return refused;
        }
        while *looked_at < self.crowds.slots() {
            let crowd = self.crowds.at(*looked_at);
            let index = self.crowds.index_at(*looked_at).filter(|_| !crowd.queue.is_empty());
            *looked_at += 1;
            let now = self.steady.latest();
            let first = index.and_then(|index| self.with(house, index, now, |desk| desk.reconsider())?.result);
            if first.is_some() {
                return first;
            }
        }
        None
    }

    /// The rule that holds now.
    pub(super) fn rule<'s>(&'s self, house: House<'s, A>) -> &'s A {
        self.changed.as_ref().unwrap_or(house.algorithm)
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::rate_limiter::{Rate, TokenBucket};
    use crate::storage::Heap;

    /// However many keys come and go, those that are there stay spread over the table, so that a look-up stays short.
    #[test]
    fn keys_are_forgotten_where_others_come() {
        let rule = TokenBucket::new(Rate::per_second(1_000));
        let house =
            House { algorithm: &rule, limits: Limits { max_concurrent: 9, max_waiting: 9 }, lateness: 0, capacity: 1_000 };
        for seed in 0..2 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut shard = Shard::<u64, TokenBucket, Heap>::NEW;
            for key in 0..10_000 {
                // Each is as good as new at once.
                assert!(shard.add(house, random.u64(..), key, Instant::ORIGIN).is_ok());
            }
            assert_eq!(shard.table.len(), 1_000);
            let (mut run, mut longest) = (0, 0);
            for index in 0..shard.table.slots() {
                run = if shard.table.get_mut(index).is_some() { run + 1 } else { 0 };
                longest = longest.max(run);
            }
            assert!(longest < 300, "seed {seed}: {longest} slots in a row");
        }
    }
}
