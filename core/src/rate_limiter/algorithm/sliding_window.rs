use core::fmt;
use core::marker::PhantomData;

use super::{Algorithm, Refused};
use crate::config::ConfigError;
use crate::rate_limiter::Rate;
use crate::storage::{Slots, Storage};
use crate::time::Instant;
use crate::wide::divided;

/// So many permits in any window of time, exactly: each is remembered until it has slid out.
///
/// The log is kept in `S`: with [`Inline<N>`](crate::storage::Inline), the rate has at most `N` permits. It takes 16 bytes for all permits that were taken at one instant.
///
/// # Examples
///
/// ```
/// use aplomb::rate_limiter::{Algorithm, Rate, Refused, SlidingWindow};
/// use aplomb::time::ms;
/// use aplomb::{Inline, Instant};
///
/// let rule = SlidingWindow::<Inline<2>>::new(Rate::per_second(2));
/// let mut state = SlidingWindow::<Inline<2>>::START;
/// let at = |millis| Instant::ORIGIN + ms(millis);
/// assert_eq!(rule.try_take(&mut state, at(300), 1), Ok(()));
/// assert_eq!(rule.try_take(&mut state, at(900), 1), Ok(()));
/// assert_eq!(rule.try_take(&mut state, at(900), 2), Err(Refused::Until(at(1_900))));
/// assert_eq!(rule.try_take(&mut state, at(1_300), 1), Ok(()));
/// ```
pub struct SlidingWindow<S> {
    rate: Rate,
    storage: PhantomData<fn() -> S>,
}

/// What has been taken by a [`SlidingWindow`], oldest first.
pub struct Log<S: Storage> {
    /// A ring, whose oldest entry is at `oldest`.
    ring: S::Slots<Taken>,
    oldest: usize,
    entries: usize,
    /// How many permits had been taken before the oldest entry, since ever.
    forgotten: u64,
    /// The last instant for which permits were reserved. What has slid out by then is forgotten already, so that nothing may be given before, even if they are given back.
    floor: Instant,
}

#[derive(Clone, Copy)]
struct Taken {
    at: Instant,
    /// How many permits had been taken with these, since ever. It wraps: what counts is by how much one exceeds another.
    until: u64,
}

impl<S: Storage> SlidingWindow<S> {
    /// By this rate.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, storage: PhantomData }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        match self.rate.config_error() {
            Some(error) => Some(error),
            None if self.rate.permits() as usize > S::CAPACITY => {
                Some(ConfigError::LogCapacity { permits: self.rate.permits(), capacity: S::CAPACITY })
            }
            None => None,
        }
    }

    /// When that entry has slid out.
    fn gone(&self, entry: Taken) -> Instant {
        entry.at.saturating_add_nanos(self.rate.per_nanos())
    }

    /// Forgets what has slid out.
    fn forget(&self, log: &mut Log<S>, now: Instant) {
        while let Some(entry) = log.get(0).filter(|entry| self.gone(*entry) <= now) {
            log.forgotten = entry.until;
            log.oldest = log.position(1);
            log.entries -= 1;
        }
    }

    /// When `n` permits are there.
    fn fits(&self, log: &Log<S>, now: Instant, n: u32) -> Instant {
        let at = log.floor.max(now);
        let excess = log.permits().saturating_add(u64::from(n)).saturating_sub(u64::from(self.rate.permits()));
        if excess == 0 {
            return at;
        }
        // The first one with which so many have slid out.
        let last = log.first_where(|entry| entry.until.wrapping_sub(log.forgotten) >= excess);
        log.get(last).map_or(at, |entry| at.max(self.gone(entry)))
    }

    fn is_never(&self, n: u32) -> bool {
        n > self.rate.permits() || self.config_error().is_some()
    }
}

impl<S: Storage> Log<S> {
    const EMPTY: Self = Self { ring: S::Slots::EMPTY, oldest: 0, entries: 0, forgotten: 0, floor: Instant::ORIGIN };

    /// Where the entry with that number lies in the ring.
    fn position(&self, index: usize) -> usize {
        let length = self.ring.as_slice().len();
        let position = self.oldest.saturating_add(index);
        if position < length { position } else { position.saturating_sub(length) }
    }

    fn get(&self, index: usize) -> Option<Taken> {
        if index >= self.entries { None } else { self.ring.as_slice().get(self.position(index)).copied() }
    }

    fn newest(&self) -> Option<Taken> {
        self.get(self.entries.checked_sub(1)?)
    }

    /// How many permits had been taken before the entry with that number, since ever.
    fn before(&self, index: usize) -> u64 {
        index.checked_sub(1).and_then(|before| self.get(before)).map_or(self.forgotten, |entry| entry.until)
    }

    /// Of all entries.
    fn permits(&self) -> u64 {
        self.newest().map_or(0, |newest| newest.until.wrapping_sub(self.forgotten))
    }

    /// The number of the first entry for which that holds, as it does for all after it; if for none, how many there are.
    ///
    /// Mostly it is one of the oldest, so that it looks from there, in steps that double.
    // Out of line: who has its permits does not come by.
    #[inline(never)]
    fn first_where(&self, holds: impl Fn(Taken) -> bool) -> usize {
        let holds = |index| self.get(index).is_some_and(&holds);
        let (mut first, mut end) = (0, 0);
        while end < self.entries && !holds(end) {
            first = end.saturating_add(1);
            end = end.saturating_add(first);
        }
        end = end.min(self.entries);
        while first < end {
            let middle = first.midpoint(end);
            if holds(middle) {
                end = middle;
            } else {
                first = middle.saturating_add(1);
            }
        }
        first
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Taken> {
        let position = self.position(index);
        self.ring.as_mut_slice().get_mut(position)
    }

    fn push(&mut self, at: Instant, permits: u32) {
        let until = self.newest().map_or(self.forgotten, |newest| newest.until).wrapping_add(u64::from(permits));
        match self.entries.checked_sub(1).and_then(|newest| self.get_mut(newest)) {
            Some(newest) if newest.at == at => newest.until = until,
            _ if permits == 0 => {}
            _ => self.append(Taken { at, until }),
        }
    }

    fn remove(&mut self, index: usize) {
        for index in index..self.entries {
            if let (Some(next), Some(entry)) = (self.get(index.saturating_add(1)), self.get_mut(index)) {
                *entry = next;
            }
        }
        self.entries = self.entries.saturating_sub(1);
    }

    /// Every entry has a permit, so that there is room for those of a rate that was checked.
    fn append(&mut self, entry: Taken) {
        if self.entries == self.ring.as_slice().len() {
            self.grow();
        }
        let position = self.position(self.entries);
        if let Some(slot) = self.ring.as_mut_slice().get_mut(position) {
            *slot = entry;
            self.entries += 1;
        }
    }

    /// Makes room, by doubling, as far as there can be.
    #[cold]
    fn grow(&mut self) {
        // The oldest comes to the front: by reversals, since `rotate_left` can panic.
        let ring = self.ring.as_mut_slice();
        if let Some((newer, older)) = ring.split_at_mut_checked(self.oldest) {
            newer.reverse();
            older.reverse();
            ring.reverse();
        }
        self.oldest = 0;
        for _ in 0..self.entries.max(4) {
            if self.ring.try_push(Taken { at: Instant::ORIGIN, until: 0 }).is_err() {
                return;
            }
        }
    }
}

impl<S: Storage> Algorithm for SlidingWindow<S> {
    type State = Log<S>;
    const START: Log<S> = Log::EMPTY;

    fn try_take(&self, state: &mut Log<S>, now: Instant, n: u32) -> Result<(), Refused> {
        if self.is_never(n) {
            return Err(Refused::Never);
        }
        self.forget(state, now);
        let at = self.fits(state, now, n);
        if at > now {
            return Err(Refused::at(at));
        }
        state.push(now, n);
        Ok(())
    }

    fn reserve(&self, state: &mut Log<S>, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
        if self.is_never(n) {
            return None;
        }
        self.forget(state, now);
        let at = self.fits(state, now.max(not_before), n);
        if at.is_never() {
            return None;
        }
        // What has slid out by then must not be counted among what is there then.
        self.forget(state, at);
        state.push(at, n);
        state.floor = at;
        Some(at)
    }

    /// All of them, though nothing is given before the last instant for which anything was reserved. An instant that is a little late does: older ones slide out sooner.
    fn give_back(&self, state: &mut Log<S>, _now: Instant, n: u32, at: Instant) {
        let Some(index) = state.first_where(|entry| entry.at > at).checked_sub(1) else { return };
        let Some(entry) = state.get(index) else { return };
        let permits = entry.until.wrapping_sub(state.before(index));
        let back = permits.min(u64::from(n));
        for later in index..state.entries {
            if let Some(entry) = state.get_mut(later) {
                entry.until = entry.until.wrapping_sub(back);
            }
        }
        if back == permits {
            state.remove(index);
        }
    }

    fn not_before(&self, state: &Log<S>, now: Instant, ahead: u64, n: u32) -> Instant {
        let permits = u64::from(self.rate.permits().max(1));
        // So many permits are given one period after so many others.
        let total = ahead.saturating_add(u64::from(n));
        let (periods, _) = divided(total.saturating_sub(1), permits).unwrap_or((0, 0));
        let rest = u32::try_from(total.saturating_sub(periods.saturating_mul(permits))).unwrap_or(u32::MAX);
        self.fits(state, now, rest).saturating_add_nanos(periods.saturating_mul(self.rate.per_nanos()))
    }

    fn available(&self, state: &Log<S>, now: Instant) -> u32 {
        if state.floor > now {
            return 0;
        }
        let counts = state.first_where(|entry| self.gone(entry) > now);
        let slid_out = state.before(counts).wrapping_sub(state.forgotten);
        let taken = state.permits().saturating_sub(slid_out);
        self.rate.permits().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    fn reserves_late(&self) -> bool {
        true
    }

    fn most(&self) -> u32 {
        self.rate.permits()
    }

    fn renewed_at(&self, state: &Log<S>) -> Instant {
        state.newest().map_or(state.floor, |newest| self.gone(newest).max(state.floor))
    }

    /// What has been taken, and has not slid out, stays taken; how long it counts, and how many permits there are, is new.
    fn take_over(&self, state: &mut Log<S>, from: &Self, now: Instant) {
        from.forget(state, now);
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}

impl<S: Storage> Clone for Log<S> {
    fn clone(&self) -> Self {
        let mut log = Self { floor: self.floor, forgotten: self.forgotten, ..Self::EMPTY };
        for entry in (0..self.entries).filter_map(|index| self.get(index)) {
            log.append(entry);
        }
        log
    }
}

impl<S: Storage> fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("permits", &self.permits()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<S: Storage> defmt::Format for Log<S> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Log {{ permits: {}, .. }}", self.permits());
    }
}

impl<S> Clone for SlidingWindow<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for SlidingWindow<S> {}

impl<S> fmt::Debug for SlidingWindow<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingWindow").field("rate", &self.rate).finish()
    }
}

#[cfg(feature = "defmt")]
impl<S> defmt::Format for SlidingWindow<S> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "SlidingWindow {{ rate: {} }}", self.rate);
    }
}

impl<S: Storage> From<Rate> for SlidingWindow<S> {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}
