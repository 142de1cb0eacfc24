use super::{Algorithm, Refused};
use crate::config::ConfigError;
use crate::rate_limiter::Rate;
use crate::time::Instant;

/// So many permits in any window of time, estimated from two counters: what was taken in the last window of a grid is taken to have been spread evenly over it.
///
/// It needs 16 bytes where the exact [`SlidingWindow`](super::SlidingWindow) keeps every permit, and is what large gateways use (Cloudflare told of it first). The estimate is wrong by what was taken unevenly: in the worst case nearly twice the
/// permits come in one window that straddles two of the grid. Under steady demand it gives one permit fewer in each window than the rate says, since the last one fits only when the window is over; a rate of one permit gives it in every other window. The grid begins with the first permit, and anew when two windows have gone by with none.
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use aplomb::rate_limiter::{Algorithm, Rate, Refused, SlidingCounter};
/// use aplomb::time::ms;
///
/// let rule = SlidingCounter::new(Rate::per_second(10));
/// let mut state = SlidingCounter::START;
/// let at = |millis| Instant::ORIGIN + ms(millis);
/// assert_eq!(rule.try_take(&mut state, at(0), 10), Ok(()));
/// // A fifth of the last window's ten has slid out.
/// assert_eq!(rule.available(&state, at(1_200)), 2);
/// assert_eq!(rule.try_take(&mut state, at(1_200), 3), Err(Refused::Until(at(1_300))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlidingCounter {
    rate: Rate,
}

/// What has been taken in the newest two windows of a [`SlidingCounter`]. Reservations may have begun the newest in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// When the newest one begins.
    begins: Instant,
    newest: u32,
    previous: u32,
}

impl SlidingCounter {
    /// By this rate.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        self.rate.config_error()
    }

    /// The counters at `now`; where the newest window lies ahead, as they are.
    fn at(&self, state: &Counters, now: Instant) -> Counters {
        let per = self.rate.per_nanos();
        let age = now.as_nanos().saturating_sub(state.begins.as_nanos());
        let is_empty = state.newest == 0 && state.previous == 0;
        if now < state.begins {
            *state
        } else if is_empty || age >= per.saturating_mul(2) {
            Counters { begins: now, newest: 0, previous: 0 }
        } else if age >= per {
            Counters { begins: state.begins.saturating_add_nanos(per), newest: 0, previous: state.newest }
        } else {
            *state
        }
    }

    /// When `n` more can be taken in the newest window, which lasts until its end; `None` if not in this one.
    fn fits(&self, counters: &Counters, n: u32) -> Option<Instant> {
        let per = u128::from(self.rate.per_nanos());
        let room = u128::from(self.rate.permits().checked_sub(counters.newest)?.checked_sub(n)?);
        let previous = u128::from(counters.previous);
        // Of the previous window, so much may still be counted: previous * (per - age) <= room * per.
        let counted = (room * per).checked_div(previous).unwrap_or(per).min(per);
        let age = u64::try_from(per - counted).unwrap_or(u64::MAX);
        // The window's last instant is the next one's first.
        (age < self.rate.per_nanos()).then(|| counters.begins.saturating_add_nanos(age))
    }

    /// When `n` permits are there, and the counters once they are taken.
    fn fit(&self, state: &Counters, now: Instant, n: u32) -> (Instant, Counters) {
        let mut counters = self.at(state, now);
        loop {
            if let Some(at) = self.fits(&counters, n) {
                counters.newest = counters.newest.saturating_add(n);
                return (at.max(now), counters);
            }
            // The one after the next is empty, so that this ends.
            let begins = counters.begins.saturating_add_nanos(self.rate.per_nanos());
            counters = Counters { begins, newest: 0, previous: counters.newest };
        }
    }
}

impl Algorithm for SlidingCounter {
    type State = Counters;
    const START: Counters = Counters { begins: Instant::ORIGIN, newest: 0, previous: 0 };

    #[inline]
    fn try_take(&self, state: &mut Counters, now: Instant, n: u32) -> Result<(), Refused> {
        if n > self.rate.permits() || self.config_error().is_some() {
            return Err(Refused::Never);
        }
        let (at, counters) = self.fit(state, now, n);
        if at > now {
            return Err(Refused::at(at));
        }
        *state = counters;
        Ok(())
    }

    fn reserve(&self, state: &mut Counters, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
        if n > self.rate.permits() || self.config_error().is_some() {
            return None;
        }
        let (at, counters) = self.fit(state, now.max(not_before), n);
        (!at.is_never()).then(|| {
            *state = counters;
            at
        })
    }

    fn give_back(&self, state: &mut Counters, _now: Instant, n: u32, at: Instant) {
        if at >= state.begins {
            state.newest = state.newest.saturating_sub(n);
        }
    }

    /// As if nobody were ahead: what those take in one window counts less in the next.
    fn not_before(&self, state: &Counters, now: Instant, _ahead: u64, n: u32) -> Instant {
        if n > self.rate.permits() || self.config_error().is_some() { Instant::MAX } else { self.fit(state, now, n).0 }
    }

    fn available(&self, state: &Counters, now: Instant) -> u32 {
        let counters = self.at(state, now);
        if now < counters.begins {
            return 0;
        }
        let per = u128::from(self.rate.per_nanos());
        let left = per.saturating_sub(u128::from(now.as_nanos().saturating_sub(counters.begins.as_nanos())));
        // What is counted in part counts whole.
        let counted = (u128::from(counters.previous) * left).div_ceil(per.max(1));
        let taken = u128::from(counters.newest) + counted;
        u32::try_from(u128::from(self.rate.permits()).saturating_sub(taken)).unwrap_or(0)
    }

    fn reserves_late(&self) -> bool {
        true
    }

    fn most(&self) -> u32 {
        self.rate.permits()
    }

    fn renewed_at(&self, state: &Counters) -> Instant {
        let per = self.rate.per_nanos();
        match (state.newest, state.previous) {
            (0, 0) => state.begins,
            (0, _) => state.begins.saturating_add_nanos(per),
            _ => state.begins.saturating_add_nanos(per.saturating_mul(2)),
        }
    }

    /// What has been taken stays taken; how long it counts, and how many permits there are, is new.
    fn take_over(&self, _state: &mut Counters, _from: &Self, _now: Instant) {}

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}

impl From<Rate> for SlidingCounter {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}
