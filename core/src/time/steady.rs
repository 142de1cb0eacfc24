use super::{Clock, Instant};

/// What is less than this may be a reading that was taken before another's, and came after it.
pub(crate) const LATE_READING: u64 = 1_000_000;

/// A clock's time, made to run forward only: where the clock is set back, it goes on from where it was.
///
/// Whoever shares a state reads the clock before the lock, so that readings may come out of order. Such a one counts as the newest before it. If it lies back further than a lock makes plausible, the clock is read again,
/// and if it was indeed set back, that is no time: what was due in a second is due in a second.
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use aplomb::time::{Steady, secs};
/// use aplomb_sim::ManualClock;
///
/// let clock = ManualClock::<1>::new();
/// let mut steady = Steady::new();
/// let read = |secs_| Instant::ORIGIN + secs(secs_);
/// clock.set(read(60));
/// assert_eq!(steady.advance(read(60), &&clock), read(60));
/// clock.set(read(10));
/// assert_eq!(steady.advance(read(10), &&clock), read(60), "set back by 50 s, which is no time");
/// assert_eq!(steady.advance(read(11), &&clock), read(61));
/// assert_eq!(steady.on_clock(read(62)), read(12));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Steady {
    latest: Instant,
    /// By how much the clock has been set back, in nanoseconds.
    lag: u64,
}

impl Steady {
    /// At the clock's origin.
    #[must_use]
    pub const fn new() -> Self {
        Self { latest: Instant::ORIGIN, lag: 0 }
    }

    /// The present, when the clock was read and said so.
    #[inline]
    pub fn advance<C: Clock>(&mut self, read: Instant, clock: &C) -> Instant {
        self.advance_telling(read, clock, || {})
    }

    /// As [`advance`](Self::advance), for whoever must not take it for no time: it is told where the clock was set back.
    // Kept out of line on small machines: all that is shared goes through it.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn advance_telling<C: Clock>(&mut self, read: Instant, clock: &C, was_set_back: impl FnOnce()) -> Instant {
        let now = if C::IS_STEADY { read } else { read.saturating_add_nanos(self.lag) };
        if now >= self.latest {
            self.latest = now;
        } else if !C::IS_STEADY && self.latest.as_nanos() - now.as_nanos() >= LATE_READING {
            self.set_back(clock, was_set_back);
        }
        self.latest
    }

    /// It was so late already, as is known from elsewhere.
    pub(crate) fn catch_up(&mut self, at: Instant) {
        self.latest = self.latest.max(at);
    }

    /// The newest present that is known.
    #[must_use]
    pub const fn latest(&self) -> Instant {
        self.latest
    }

    /// What the clock will say at that instant.
    #[must_use]
    pub const fn on_clock(&self, at: Instant) -> Instant {
        if at.is_never() { at } else { Instant::from_nanos(at.as_nanos().saturating_sub(self.lag)) }
    }

    /// Whether it is what the clock says.
    pub(crate) const fn is_the_clocks(&self) -> bool {
        self.lag == 0
    }

    #[cold]
    fn set_back<C: Clock>(&mut self, clock: &C, was_set_back: impl FnOnce()) {
        let now = clock.now().saturating_add_nanos(self.lag);
        if self.latest.nanos_since(now) >= LATE_READING {
            was_set_back();
        }
        self.lag = self.lag.saturating_add(self.latest.as_nanos().saturating_sub(now.as_nanos()));
        self.latest = self.latest.max(now);
    }
}

impl Default for Steady {
    fn default() -> Self {
        Self::new()
    }
}
