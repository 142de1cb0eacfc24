//! Deadlines, which travel with a request.

use core::time::Duration;

use crate::time::Instant;

/// The instant after which nobody wants the result any more.
///
/// A deadline is set once, where a request comes in, and handed down: [`timeout_at`](crate::timeout) ends at it, a retry doesn't sleep beyond it, and a caller of a limiter, a cache or a single flight doesn't wait beyond it.
///
/// # Examples
///
/// ```
/// use aplomb::{Deadline, Instant};
/// use core::time::Duration;
///
/// let now = Instant::from_nanos(100);
/// let deadline = Deadline::after(now, Duration::from_nanos(30)).earlier(Deadline::NEVER);
/// assert_eq!(deadline.remaining(now + Duration::from_nanos(10)), Some(Duration::from_nanos(20)));
/// assert_eq!(deadline.remaining(now + Duration::from_nanos(40)), Some(Duration::ZERO));
/// assert_eq!(Deadline::NEVER.remaining(now), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Deadline(Instant);

impl Deadline {
    /// No deadline at all.
    pub const NEVER: Self = Self(Instant::MAX);

    /// The deadline at that instant.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline so long after `now`; [`Deadline::NEVER`] if that is beyond counting.
    #[must_use]
    pub fn after(now: Instant, duration: Duration) -> Self {
        Self(now + duration)
    }

    /// Its instant.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left: zero when it has passed, `None` if there is no deadline.
    #[must_use]
    pub const fn remaining(self, now: Instant) -> Option<Duration> {
        if self.0.is_never() { None } else { Some(self.0.saturating_duration_since(now)) }
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self::at(instant)
    }
}
