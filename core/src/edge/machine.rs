use core::time::Duration;

use crate::config::ConfigError;
use crate::time::{Instant, duration, nanos};

/// What a debounce or a throttle is told: how long its window is, and at which of its edges calls start.
///
/// # Examples
///
/// ```
/// use aplomb::edge::Terms;
/// use aplomb_sim::prelude::*;
///
/// const SEARCH: Terms = checked!(Terms::debounce(ms(300)).max_wait(secs(2)));
/// assert!(Terms::throttle(ms(50)).leading(false).trailing(false).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Terms {
    /// The length of a window, in nanoseconds.
    span: u64,
    /// How long a burst may put its start off; never, unless set.
    max_wait: u64,
    leading: bool,
    trailing: bool,
    after: After,
}

/// What a window's end depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum After {
    /// The last call: a debounce.
    Call,
    /// The last start: a throttle.
    Start,
    /// The first call since the last start.
    Opening,
}

impl Terms {
    /// A window that each call extends, and the trailing edge.
    #[must_use]
    pub const fn debounce(wait: Duration) -> Self {
        Self { span: nanos(wait), max_wait: u64::MAX, leading: false, trailing: true, after: After::Call }
    }

    /// A window after each start, and both edges.
    #[must_use]
    pub const fn throttle(interval: Duration) -> Self {
        Self { span: nanos(interval), max_wait: u64::MAX, leading: true, trailing: true, after: After::Start }
    }

    /// A window that a call opens and its end closes, where the newest call starts: `RxJS`'s `auditTime`.
    #[must_use]
    pub const fn audit(interval: Duration) -> Self {
        Self { span: nanos(interval), max_wait: u64::MAX, leading: false, trailing: true, after: After::Opening }
    }

    /// Whether the call that opens a window starts at once.
    #[must_use]
    pub const fn leading(mut self, leading: bool) -> Self {
        self.leading = leading;
        self
    }

    /// Whether the newest call in a window starts at its end.
    #[must_use]
    pub const fn trailing(mut self, trailing: bool) -> Self {
        self.trailing = trailing;
        self
    }

    /// Starts no later than that after the first call of a burst, or its last start, however many calls extend it. Default: never. Only a debounce extends its windows.
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = nanos(max_wait);
        self
    }

    /// Itself, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if neither edge starts anything, or if `max_wait` is shorter than the window.
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.config_error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What is wrong with it, if anything is: [`check`](Terms::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        if !self.leading && !self.trailing {
            Some(ConfigError::Edges)
        } else if self.max_wait < self.span {
            Some(ConfigError::MaxWait { value: duration(self.max_wait), wait: duration(self.span) })
        } else {
            None
        }
    }

    /// Whether what is pending when no more calls can come need not wait: nothing is kept apart but calls.
    pub(crate) const fn ends_early(&self) -> bool {
        matches!(self.after, After::Call)
    }
}

/// The edge machine: which calls of a burst start, and when. Debounce and throttle are this one machine under different [`Terms`].
///
/// It knows of the one call that may be pending; of whom that is, its driver knows. A call that comes before the pending one has been started takes its place, also if that one is due already.
///
/// # Examples
///
/// Without futures, on a timer interrupt:
///
/// ```
/// use aplomb::Instant;
/// use aplomb::edge::{Decision, Terms, Window};
/// use aplomb::time::ms;
///
/// let at = |millis| Instant::ORIGIN + ms(millis);
/// let terms = Terms::debounce(ms(20));
/// let mut window = Window::new();
///
/// assert_eq!(window.call(&terms, at(0)), Decision::Wait { until: at(20) });
/// assert_eq!(window.call(&terms, at(15)), Decision::Wait { until: at(35) });
/// assert!(!window.tick(&terms, at(20)));
/// assert!(window.tick(&terms, at(35)), "the pending call starts");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Calls before it belong to the window.
    closes: Instant,
    /// When the pending call starts, even if the window goes on; the origin, if it starts at once.
    limit: Instant,
    pending: bool,
    /// Whether the window began with a start.
    started: bool,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// It starts now.
    Start,
    /// It is the pending one from now on. It starts at that instant, if no other call comes before.
    Wait {
        /// When.
        until: Instant,
    },
    /// It never starts: the window began with a start, and nothing starts at its end.
    Skip,
}

impl Window {
    /// The machine before the first call.
    #[must_use]
    pub const fn new() -> Self {
        Self { closes: Instant::ORIGIN, limit: Instant::MAX, pending: false, started: false }
    }

    /// There is a call.
    #[inline]
    pub fn call(&mut self, terms: &Terms, now: Instant) -> Decision {
        let closes = now.saturating_add_nanos(terms.span);
        if !self.pending && now >= self.closes {
            self.closes = closes;
            self.limit = now.saturating_add_nanos(terms.max_wait);
            self.started = terms.leading;
            return if terms.leading { Decision::Start } else { self.wait(terms) };
        }
        self.forget_the_future(terms, now);
        if now >= self.limit || (terms.after != After::Call && now >= self.closes) {
            self.closes = self.closes.max(closes);
            self.start(terms, now);
            return Decision::Start;
        }
        if terms.after == After::Call {
            self.closes = closes;
        }
        if terms.trailing { self.wait(terms) } else { Decision::Skip }
    }

    /// Time has passed. Whether the pending call starts, if there is one.
    #[inline]
    pub fn tick(&mut self, terms: &Terms, now: Instant) -> bool {
        self.forget_the_future(terms, now);
        let due = self.pending && now >= self.due();
        if due {
            self.start(terms, now);
        }
        due
    }

    /// The pending call starts at the next tick. Whether there is one.
    pub const fn flush(&mut self) -> bool {
        if self.pending {
            self.limit = Instant::ORIGIN;
        }
        self.pending
    }

    /// The pending call will not start. A debounce begins anew with the next call; a throttle keeps its distance from the last start. Whether there was one.
    pub const fn cancel(&mut self, terms: &Terms) -> bool {
        if !(matches!(terms.after, After::Start) && self.started) {
            self.closes = Instant::ORIGIN;
        }
        self.abandon()
    }

    /// The pending call has gone. Its burst goes on. Whether there was one.
    pub const fn abandon(&mut self) -> bool {
        if self.limit.as_nanos() == 0 {
            // It was flushed, but those that come later are not.
            self.limit = Instant::MAX;
        }
        core::mem::replace(&mut self.pending, false)
    }

    /// A start was given up, and another call of its burst takes its place: it is pending, and starts as soon as may be.
    pub(crate) const fn restart(&mut self, terms: &Terms) {
        if !self.pending && matches!(terms.after, After::Call) {
            self.limit = Instant::ORIGIN;
        }
        self.pending = true;
    }

    /// When the pending call starts: [`Instant::MAX`] if there is none, [`Instant::ORIGIN`] if it does so at once.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Instant {
        if self.pending { self.due() } else { Instant::MAX }
    }

    /// Whether a call is pending.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending
    }

    #[inline]
    fn due(&self) -> Instant {
        self.closes.min(self.limit)
    }

    #[inline]
    fn wait(&mut self, terms: &Terms) -> Decision {
        self.pending = true;
        if terms.span == 0 {
            // Without a timer: it has none to wait for.
            self.limit = Instant::ORIGIN;
        }
        Decision::Wait { until: self.due() }
    }

    /// The pending call, or one that takes its place, starts.
    fn start(&mut self, terms: &Terms, now: Instant) {
        self.pending = false;
        self.started = true;
        self.limit = now.saturating_add_nanos(terms.max_wait);
        match terms.after {
            After::Call => {}
            After::Start => self.closes = now.saturating_add_nanos(terms.span),
            After::Opening => self.closes = Instant::ORIGIN,
        }
    }

    /// Time that ran backwards is no time: nothing ends later than if it had begun now.
    #[inline]
    fn forget_the_future(&mut self, terms: &Terms, now: Instant) {
        self.closes = self.closes.min(now.saturating_add_nanos(terms.span));
        self.limit = self.limit.min(now.saturating_add_nanos(terms.max_wait));
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}
