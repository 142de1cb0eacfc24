//! The lines of many keys, behind one lock.

use core::task::Waker;

use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::line::{Ask, Desk, Limits, Line};
use crate::storage::Storage;
use crate::sync::wait_list::Slab;
use crate::table::{Comes, Entry, Place, Soonest, Table};
use crate::time::{Instant, Steady};

pub(super) struct Shard<K, A: Algorithm, S: Storage> {
    /// The rule, if it has been changed.
    changed: Option<A>,
    pub(super) table: Table<K, Known<A, S::Link>, S>,
    /// Those that nobody uses, by when they are as good as new.
    renewals: Soonest<Place<S::Link>, S>,
    slab: Slab<Ask, S>,
    pub(super) steady: Steady,
}

/// What is kept of a key.
pub(super) struct Known<A: Algorithm, L> {
    pub(super) line: Line<A, L>,
    /// For who forgets it.
    hash: u64,
    /// Whether it stands among the renewals.
    listed: bool,
}

/// What was forgotten to make room, to be dropped outside the lock.
pub(super) type Forgotten<K, A, S> = Option<Entry<K, Known<A, <S as Storage>::Link>>>;

impl<A: Algorithm, L> Known<A, L> {
    fn is_used(&self) -> bool {
        self.line.running > 0 || !self.line.queue.is_empty()
    }
}

/// Where a new line is, and what was forgotten for it.
pub(super) type Added<K, A, S> = (Place<<S as Storage>::Link>, Forgotten<K, A, S>);

/// There is no room for a key.
pub(super) struct Crowded<K> {
    /// The key comes back.
    pub(super) key: K,
    /// When one of those that are there may not be used any more, where that is known.
    pub(super) until: Option<Instant>,
}

/// What is the same for all shards.
#[derive(Clone, Copy)]
pub(super) struct House<A> {
    /// The rule, unless it has been changed.
    pub(super) algorithm: A,
    pub(super) limits: Limits,
    pub(super) lateness: u64,
    /// How many keys a shard has room for.
    pub(super) capacity: usize,
}

impl<K, A: Algorithm + Copy, S: Storage> Shard<K, A, S> {
    pub(super) const NEW: Self =
        Self { changed: None, table: Table::new(), renewals: Soonest::new(), slab: Slab::new(), steady: Steady::new() };

    /// Does something with the line of a key that is there.
    #[inline]
    pub(super) fn with<R>(
        &mut self,
        house: House<A>,
        place: Place<S::Link>,
        now: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Option<R> {
        let known = &mut self.table.get_mut(place)?.value;
        let mut desk = Desk {
            algorithm: self.changed.as_ref().unwrap_or(&house.algorithm),
            limits: house.limits,
            line: &mut known.line,
            slab: &mut self.slab,
            steady: self.steady,
            now,
            lateness: house.lateness,
        };
        let result = act(&mut desk);
        self.list(house, place);
        Some(result)
    }

    /// Does something with a line whose time does not matter.
    pub(super) fn with_line<R>(
        &mut self,
        house: House<A>,
        place: Place<S::Link>,
        act: impl FnOnce(&mut Line<A, S::Link>) -> R,
    ) -> Option<R> {
        let known = &mut self.table.get_mut(place)?.value;
        let result = act(&mut known.line);
        self.list(house, place);
        Some(result)
    }

    /// Lists a line among the renewals, if nobody uses it.
    #[inline]
    fn list(&mut self, house: House<A>, place: Place<S::Link>) {
        let algorithm = self.changed.unwrap_or(house.algorithm);
        let Some(Entry { value: known, .. }) = self.table.get_mut(place) else { return };
        if !known.listed && !known.is_used() {
            known.listed = true;
            self.renewals.push(algorithm.renewed_at(&known.line.taken), place);
        }
    }

    /// Adds a line for a key that is not there. If there is no room, one is forgotten that is as good as new.
    ///
    /// # Errors
    ///
    /// The key comes back if all are in use, with the instant at which one may not be any more, where that is known.
    pub(super) fn add(&mut self, house: House<A>, hash: u64, key: K, now: Instant) -> Result<Added<K, A, S>, Crowded<K>> {
        let forgotten = if self.table.len() >= house.capacity {
            match self.forget_renewed(house, now) {
                Ok(forgotten) => forgotten,
                Err(until) => return Err(Crowded { key, until }),
            }
        } else {
            None
        };
        let known = Known { line: Line::NEW, hash, listed: false };
        match self.table.insert(hash, key, known, house.capacity) {
            Ok(place) => Ok((place, forgotten)),
            Err(Entry { key, .. }) => Err(Crowded { key, until: None }),
        }
    }

    fn forget_renewed(&mut self, house: House<A>, now: Instant) -> Result<Forgotten<K, A, S>, Option<Instant>> {
        let (table, algorithm) = (&mut self.table, self.changed.unwrap_or(house.algorithm));
        let place = self.renewals.pop(now, |place| {
            let Some(Entry { value: known, .. }) = table.get_mut(place) else { return Comes::Unknown };
            if known.is_used() {
                known.listed = false;
                return Comes::Unknown;
            }
            match algorithm.renewed_at(&known.line.taken) {
                at if at <= now => Comes::Now,
                at => Comes::Later(at),
            }
        })?;
        Ok(self.remove(place))
    }

    /// Forgets a key, if nobody uses its line.
    pub(super) fn forget(&mut self, place: Place<S::Link>) -> Forgotten<K, A, S> {
        if self.table.get_mut(place)?.value.is_used() {
            return None;
        }
        self.renewals.remove(place);
        self.remove(place)
    }

    /// Changes the rule.
    pub(super) fn take_over(&mut self, house: House<A>, rule: A, now: Instant) {
        let from = self.changed.replace(rule).unwrap_or(house.algorithm);
        for known in self.table.values_mut() {
            rule.take_over(&mut known.line.taken, &from, now);
            // It may come sooner now than it was listed for.
            known.listed = false;
        }
        self.renewals.clear();
        for index in 0..self.table.slots() {
            if let Some(place) = self.table.place_at(index) {
                self.list(house, place);
            }
        }
    }

    /// The waker of whoever is first in the next queue, from a slot of the table on.
    pub(super) fn next_to_look(&mut self, from: &mut usize) -> Option<Waker> {
        while *from < self.table.slots() {
            let entry = self.table.place_at(*from).and_then(|place| self.table.get_mut(place));
            *from += 1;
            let waker = entry.and_then(|entry| self.slab.take_front_waker(&entry.value.line.queue));
            if waker.is_some() {
                return waker;
            }
        }
        None
    }

    fn remove(&mut self, place: Place<S::Link>) -> Forgotten<K, A, S> {
        let hash = self.table.get_mut(place)?.value.hash;
        self.table.remove(hash, place)
    }
}
