//! The breakers of many keys, behind one lock.

use crate::backoff::Backoff;
use crate::circuit_breaker::machine::{Machine, Terms};
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::timing::Time;
use crate::circuit_breaker::trip::{Tally, Trip};
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::Shared;
use crate::table::{BLOCK, Earliest, Entry, Moved, Table};
use crate::time::{Clock, Instant, Steady};

pub(super) struct Shard<K, T: Trip, B: Backoff, S: Storage> {
    pub(super) steady: Steady,
    pub(super) table: Table<K, Known<T, B>, S>,
    /// In which order keys are forgotten. These are ranks, and no instants.
    order: Earliest<S>,
    /// How often keys have been used.
    uses: u64,
}

/// A shard, with its lock.
pub(super) type Locked<P, K, T, B, S> = Shared<<P as Platform>::RawMutex, Shard<K, T, B, S>>;

/// What is kept of a key.
pub(super) struct Known<T: Trip, B: Backoff> {
    pub(super) machine: Machine<T, B>,
    /// How many of its calls have gone through and not ended.
    under_way: u32,
    /// Of all uses, the last one of this.
    used: u64,
}

/// What was forgotten to make room, to be dropped outside the lock.
pub(super) type Forgotten<K, T, B> = Option<Entry<K, Known<T, B>>>;

/// Where a new key is, and what was forgotten for it.
type Added<K, T, B> = (usize, Forgotten<K, T, B>);

/// All keys are in use.
pub(super) struct Full<K> {
    /// The one for which there is no room.
    pub(super) key: K,
    /// In how many nanoseconds the first of the others may be tried again, where that is known.
    pub(super) left: Option<u64>,
}

/// Where in the order of forgetting the classes begin: first those that never failed, then those with failures on record, both by when they were used; then those that have opened, by when they may be tried again.
const FAILED: u64 = 1 << 62;
const OPENED: u64 = 1 << 63;

impl<T: Trip, B: Backoff<State: Copy>> Known<T, B> {
    /// Where it stands in the order of forgetting; `None` while it is in use.
    fn rank(&self, terms: &Terms<T, B>, now: Instant) -> Option<Instant> {
        let rank = match self.machine.gone_to() {
            _ if self.under_way > 0 => return None,
            State::ForcedOpen | State::Disabled => return None,
            State::Closed => match self.machine.tally(terms, now) {
                Tally { failures: 0, slow: 0, .. } => self.used,
                Tally { .. } => FAILED + self.used,
            },
            // One that is open for ever is the last, and in the order all the same.
            State::Open | State::HalfOpen => {
                OPENED.saturating_add(self.machine.tried_from(terms, now)?.as_nanos()).min(u64::MAX - 1)
            }
        };
        Some(Instant::from_nanos(rank))
    }
}

impl<K, T: Trip, B: Backoff<State: Copy>, S: Storage> Shard<K, T, B, S> {
    pub(super) const NEW: Self = Self { steady: Steady::new(), table: Table::new(), order: Earliest::new(), uses: 0 };

    /// Does something with the breaker of a key that is there, which says what became of the calls under way by that.
    pub(super) fn with<C: Clock, R>(
        &mut self,
        terms: &Terms<T, B>,
        index: usize,
        (clock, read): (&C, Option<Instant>),
        act: impl FnOnce(&mut Machine<T, B>, &mut Time<'_, C>) -> (R, Flow),
    ) -> Option<R> {
        let known = &mut self.table.get_mut(index)?.value;
        let mut time = Time { steady: &mut self.steady, clock, read };
        let (result, flow) = act(&mut known.machine, &mut time);
        self.uses = self.uses.saturating_add(1);
        known.used = self.uses;
        match flow {
            Flow::Began => known.under_way = known.under_way.saturating_add(1),
            Flow::Ended => known.under_way = known.under_way.saturating_sub(1),
            Flow::Neither => {}
        }
        // It may have left a class for one that is forgotten sooner, or the use that kept it.
        let now = if T::TIMED { time.now() } else { Instant::ORIGIN };
        if let Some(rank) = known.rank(terms, now) {
            self.order.lower(index, rank);
        }
        Some(result)
    }

    /// Adds a key that is not there. If there is no room, one is forgotten that nobody uses.
    ///
    /// # Errors
    ///
    /// The key comes back if all are in use.
    pub(super) fn add(
        &mut self,
        terms: &Terms<T, B>,
        capacity: usize,
        (hash, key): (u64, K),
        now: Instant,
    ) -> Result<Added<K, T, B>, Full<K>> {
        let forgotten = if self.table.len() >= capacity {
            match self.forget_idle(terms, now) {
                Ok(forgotten) => Some(forgotten),
                Err(left) => return Err(Full { key, left }),
            }
        } else {
            None
        };
        if self.table.grow(capacity) {
            self.order.start_anew(self.table.slots());
        }
        let known = Known { machine: Machine::NEW, under_way: 0, used: self.uses };
        match self.table.insert(hash, key, known, capacity) {
            Ok(index) => {
                self.order.lower(index, Instant::from_nanos(self.uses));
                Ok((index, forgotten))
            }
            Err(Entry { key, .. }) => Err(Full { key, left: None }),
        }
    }

    /// Forgets the first in the order.
    ///
    /// # Errors
    ///
    /// If that is open still: for how long, in nanoseconds, where that is known.
    fn forget_idle(&mut self, terms: &Terms<T, B>, now: Instant) -> Result<Entry<K, Known<T, B>>, Option<u64>> {
        loop {
            let first = match self.order.near(0, Instant::ORIGIN) {
                Ok(_) => Instant::ORIGIN,
                Err(first) => first,
            };
            let block = self.order.near(0, first).map_err(|_| None)?;
            let mut soonest: Option<(usize, Instant)> = None;
            for index in block.saturating_mul(BLOCK)..block.saturating_add(1).saturating_mul(BLOCK) {
                let Some(rank) = self.table.get_mut(index).and_then(|entry| entry.value.rank(terms, now)) else { continue };
                if soonest.is_none_or(|(_, sooner)| rank < sooner) {
                    soonest = Some((index, rank));
                }
            }
            match soonest {
                Some((index, rank)) if rank <= first => {
                    let from = self.table.get_mut(index).and_then(|entry| entry.value.machine.tried_from(terms, now));
                    return match from.filter(|from| now < *from) {
                        Some(from) => Err((!from.is_never()).then(|| from.as_nanos().saturating_sub(now.as_nanos()))),
                        None => self.remove(index).ok_or(None),
                    };
                }
                _ => self.order.set(block, soonest.map_or(Instant::MAX, |(_, rank)| rank)),
            }
        }
    }

    /// Forgets a key, if no call of it is under way.
    pub(super) fn forget(&mut self, index: usize) -> Forgotten<K, T, B> {
        if self.table.get_mut(index)?.value.under_way > 0 { None } else { self.remove(index) }
    }

    fn remove(&mut self, index: usize) -> Forgotten<K, T, B> {
        let order = &mut self.order;
        self.table.remove(index, |Moved { from, to }, _| {
            let bound = order.bound(from);
            order.lower(to, bound);
        })
    }
}

/// What becomes of the number of calls under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Began,
    Ended,
    Neither,
}
