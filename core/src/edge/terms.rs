use core::time::Duration;

use crate::config::ConfigError;
use crate::time::{duration, nanos};

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
    pub(super) span: u64,
    /// How long a burst may put its start off; never, unless set.
    pub(super) max_wait: u64,
    /// How far a reading may lie behind the time, likewise.
    tick: u32,
    pub(super) leading: bool,
    pub(super) trailing: bool,
    pub(super) after: After,
}

/// What a window's end depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum After {
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
        Self { span: nanos(wait), max_wait: u64::MAX, tick: 0, leading: false, trailing: true, after: After::Call }
    }

    /// A window after each start, and both edges.
    #[must_use]
    pub const fn throttle(interval: Duration) -> Self {
        Self { span: nanos(interval), max_wait: u64::MAX, tick: 0, leading: true, trailing: true, after: After::Start }
    }

    /// A window that a call opens and its end closes, where the newest call starts: `RxJS`'s `auditTime`.
    #[must_use]
    pub const fn audit(interval: Duration) -> Self {
        Self { span: nanos(interval), max_wait: u64::MAX, tick: 0, leading: false, trailing: true, after: After::Opening }
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

    /// How far readings may lie behind the time: a window lasts for so much longer by them, and so never less than it says. Default: zero; who has a clock fills in its [`TICK`](crate::Clock::TICK).
    #[must_use]
    pub const fn tick(mut self, tick: Duration) -> Self {
        self.tick = if tick.as_secs() == 0 { tick.subsec_nanos() } else { 1_000_000_000 };
        self
    }

    /// The length of a window by readings. One that has none needs no tick to be whole.
    #[allow(clippy::cast_lossless, reason = "conversions are not const")]
    pub(super) const fn length(&self) -> u64 {
        if self.span == 0 { 0 } else { self.span.saturating_add(self.tick as u64) }
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
