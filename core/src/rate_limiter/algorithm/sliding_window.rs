use core::fmt;
use core::marker::PhantomData;

use super::{Algorithm, Refused};
use crate::config::ConfigError;
use crate::rate_limiter::Rate;
use crate::storage::{Slots, Storage};
use crate::time::Instant;

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
    /// Of all entries.
    permits: u32,
}

#[derive(Clone, Copy)]
struct Taken {
    at: Instant,
    permits: u32,
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
            log.permits = log.permits.saturating_sub(entry.permits);
            log.oldest = log.position(1);
            log.entries -= 1;
        }
    }

    /// When `n` permits are there.
    fn fits(&self, log: &Log<S>, now: Instant, n: u32) -> Instant {
        let mut excess = u64::from(log.permits).saturating_add(u64::from(n)).saturating_sub(u64::from(self.rate.permits()));
        let mut at = log.newest().map_or(now, |newest| newest.at.max(now));
        for index in 0..log.entries {
            let Some(entry) = log.get(index).filter(|_| excess > 0) else { break };
            excess = excess.saturating_sub(u64::from(entry.permits));
            at = at.max(self.gone(entry));
        }
        at
    }

    fn is_never(&self, n: u32) -> bool {
        n > self.rate.permits() || self.config_error().is_some()
    }
}

impl<S: Storage> Log<S> {
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

    fn newest_mut(&mut self) -> Option<&mut Taken> {
        let position = self.position(self.entries.checked_sub(1)?);
        self.ring.as_mut_slice().get_mut(position)
    }

    fn push(&mut self, at: Instant, permits: u32) {
        self.permits = self.permits.saturating_add(permits);
        match self.newest_mut() {
            Some(newest) if newest.at == at => newest.permits = newest.permits.saturating_add(permits),
            _ if permits == 0 => {}
            _ => self.append(Taken { at, permits }),
        }
    }

    /// Every entry has a permit, so that there is room for those of a rate that was checked.
    fn append(&mut self, entry: Taken) {
        if self.entries == self.ring.as_slice().len() {
            self.ring.as_mut_slice().rotate_left(self.oldest);
            self.oldest = 0;
            let _no_room = self.ring.try_push(entry);
        } else {
            let position = self.position(self.entries);
            if let Some(slot) = self.ring.as_mut_slice().get_mut(position) {
                *slot = entry;
            }
        }
        self.entries = (self.entries + 1).min(self.ring.as_slice().len());
    }
}

impl<S: Storage> Algorithm for SlidingWindow<S> {
    type State = Log<S>;
    const START: Log<S> = Log { ring: S::Slots::EMPTY, oldest: 0, entries: 0, permits: 0 };

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

    fn reserve(&self, state: &mut Log<S>, now: Instant, n: u32) -> Option<Instant> {
        if self.is_never(n) {
            return None;
        }
        self.forget(state, now);
        let at = self.fits(state, now, n);
        if at.is_never() {
            return None;
        }
        // What has slid out by then must not be counted among what is there then.
        self.forget(state, at);
        state.push(at, n);
        Some(at)
    }

    fn give_back(&self, state: &mut Log<S>, _now: Instant, n: u32, at: Instant) {
        let Some(newest) = state.newest_mut().filter(|newest| newest.at == at) else { return };
        newest.permits = newest.permits.saturating_sub(n);
        let is_empty = newest.permits == 0;
        state.permits = state.permits.saturating_sub(n);
        if is_empty {
            state.entries -= 1;
        }
    }

    fn available(&self, state: &Log<S>, now: Instant) -> u32 {
        let counted = (0..state.entries).filter_map(|index| state.get(index)).filter(|entry| self.gone(*entry) > now);
        let taken = counted.fold(0_u32, |taken, entry| taken.saturating_add(entry.permits));
        if state.newest().is_some_and(|newest| newest.at > now) { 0 } else { self.rate.permits().saturating_sub(taken) }
    }

    fn most(&self) -> u32 {
        self.rate.permits()
    }

    fn renewed_at(&self, state: &Log<S>) -> Instant {
        state.newest().map_or(Instant::ORIGIN, |newest| self.gone(newest))
    }

    /// What has been taken stays taken; how long it counts, and how many permits there are, is new.
    fn take_over(&self, _state: &mut Log<S>, _from: &Self, _now: Instant) {}

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}

impl<S: Storage> Clone for Log<S> {
    fn clone(&self) -> Self {
        let mut log = Self { ring: S::Slots::EMPTY, oldest: 0, entries: 0, permits: 0 };
        for entry in (0..self.entries).filter_map(|index| self.get(index)) {
            log.push(entry.at, entry.permits);
        }
        log
    }
}

impl<S: Storage> fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("permits", &self.permits).finish_non_exhaustive()
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

impl<S: Storage> From<Rate> for SlidingWindow<S> {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}
