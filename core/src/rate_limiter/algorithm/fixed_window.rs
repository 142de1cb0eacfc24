use super::{Algorithm, Refused};
use crate::config::ConfigError;
use crate::rate_limiter::Rate;
use crate::time::Instant;
use crate::wide::divided;

/// So many permits in each window of time. A window begins with the first permit that is taken after the last one has ended, and nothing accumulates while nothing is taken.
///
/// It is what many servers enforce. Two windows that follow each other may give twice as many permits around the instant where they meet: where that matters, take a [`SlidingWindow`](super::SlidingWindow) or a
/// [`TokenBucket`](super::TokenBucket).
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, Refused};
/// use aplomb::time::ms;
///
/// let rule = FixedWindow::new(Rate::per_second(2));
/// let mut state = FixedWindow::START;
/// let at = |millis| Instant::ORIGIN + ms(millis);
/// assert_eq!(rule.try_take(&mut state, at(300), 1), Ok(()));
/// assert_eq!(rule.try_take(&mut state, at(900), 1), Ok(()));
/// assert_eq!(rule.try_take(&mut state, at(900), 1), Err(Refused::Until(at(1_300))));
/// assert_eq!(rule.try_take(&mut state, at(1_300), 2), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedWindow {
    rate: Rate,
}

/// What has been taken in the newest window of a [`FixedWindow`]. Reservations may have begun it in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    begins: Instant,
    taken: u32,
}

impl FixedWindow {
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

    /// When the next window may begin. One of which everything was given back has not begun, but the one before it may last until then.
    fn end(&self, state: &Window) -> Instant {
        if state.taken == 0 { state.begins } else { state.begins.saturating_add_nanos(self.rate.per_nanos()) }
    }

    /// The window in which `n` more permits can be taken, once they are; what is not there now may come with the next.
    fn fit(&self, state: &Window, now: Instant, n: u32) -> Window {
        let end = self.end(state);
        if now >= end {
            return Window { begins: now, taken: n };
        }
        match state.taken.checked_add(n) {
            Some(taken) if taken <= self.rate.permits() => Window { begins: state.begins, taken },
            _ => Window { begins: end, taken: n },
        }
    }
}

impl Algorithm for FixedWindow {
    type State = Window;
    const START: Window = Window { begins: Instant::ORIGIN, taken: 0 };

    #[inline]
    fn try_take(&self, state: &mut Window, now: Instant, n: u32) -> Result<(), Refused> {
        if n > self.rate.permits() || self.config_error().is_some() {
            return Err(Refused::Never);
        }
        let window = self.fit(state, now, n);
        if window.begins > now {
            return Err(Refused::at(window.begins));
        }
        *state = window;
        Ok(())
    }

    fn reserve(&self, state: &mut Window, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
        if n > self.rate.permits() || self.config_error().is_some() {
            return None;
        }
        let at = now.max(not_before);
        let window = self.fit(state, at, n);
        (!window.begins.is_never()).then(|| {
            *state = window;
            window.begins.max(at)
        })
    }

    fn give_back(&self, state: &mut Window, _now: Instant, n: u32, at: Instant) {
        if at >= state.begins {
            state.taken = state.taken.saturating_sub(n);
        }
    }

    fn not_before(&self, state: &Window, now: Instant, ahead: u64, n: u32) -> Instant {
        if ahead == 0 {
            return self.fit(state, now, n).begins.max(now);
        }
        let end = self.end(state);
        let (begins, taken) = if now >= end { (now, 0) } else { (state.begins, state.taken) };
        let permits = u64::from(self.rate.permits().max(1));
        // An earlier rate may have given more.
        let taken = u64::from(taken).min(permits);
        // Windows that are full before this one, if no permit of theirs is left over.
        let total = taken.saturating_add(ahead).saturating_add(u64::from(n));
        let (windows, _) = divided(total.saturating_sub(1), permits).unwrap_or((0, 0));
        begins.saturating_add_nanos(windows.saturating_mul(self.rate.per_nanos())).max(now)
    }

    fn available(&self, state: &Window, now: Instant) -> u32 {
        if now >= self.end(state) {
            self.rate.permits()
        } else if now < state.begins {
            0
        } else {
            self.rate.permits().saturating_sub(state.taken)
        }
    }

    fn reserves_late(&self) -> bool {
        true
    }

    fn most(&self) -> u32 {
        self.rate.permits()
    }

    fn renewed_at(&self, state: &Window) -> Instant {
        self.end(state)
    }

    /// The window goes on, with what has been taken in it; how long it lasts, and how many permits it has, is new.
    fn take_over(&self, _state: &mut Window, _from: &Self, _now: Instant) {}

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}

impl From<Rate> for FixedWindow {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}
