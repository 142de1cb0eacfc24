//! Instants, clocks and sleeps: what every pattern knows of time.

#[cfg(feature = "std")]
mod std;
mod steady;

use core::fmt;
use core::ops::{Add, Sub};
use core::pin::Pin;
use core::time::Duration;

pub(crate) use self::steady::LATE_READING;
pub use self::steady::Steady;
use crate::wide;

/// A moment on a [`Clock`]: nanoseconds since that clock's own origin.
///
/// It spans 584 years, is eight bytes everywhere, and saturates in every operation: adding [`Duration::MAX`] gives
/// [`Instant::MAX`], which means *never*; an instant that lies before another is no time away from it.
///
/// Instants of different clocks have nothing to do with each other, and it is another type than `std::time::Instant` on
/// purpose: that one cannot be made from a number, so that a test could not tell the time.
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use core::time::Duration;
///
/// let noon = Instant::from_nanos(1_000);
/// assert_eq!(noon + Duration::from_nanos(5), Instant::from_nanos(1_005));
/// assert_eq!(noon + Duration::MAX, Instant::MAX);
/// assert_eq!(noon - Instant::MAX, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ORIGIN: Self = Self(0);

    /// The instant that never comes: a sleep until then registers no timer.
    pub const MAX: Self = Self(u64::MAX);

    /// The last one that comes.
    pub(crate) const LAST: Self = Self(u64::MAX - 1);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero if that is later: time that runs backwards counts as no time.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        wide::duration(self.nanos_since(earlier))
    }

    /// As [`saturating_duration_since`](Instant::saturating_duration_since), in nanoseconds.
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        wide::rest(self.0, earlier.0)
    }

    /// This instant, `nanos` nanoseconds later; at most [`Instant::MAX`].
    #[must_use]
    pub const fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(wide::sum(self.0, nanos))
    }

    /// So much earlier; never stays never.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        if self.is_never() { self } else { self - by }
    }

    /// Whether this is [`Instant::MAX`].
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == u64::MAX
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add_nanos(nanos(duration))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(wide::rest(self.0, nanos(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() { f.write_str("never") } else { write!(f, "{:?}", duration(self.0)) }
    }
}

/// The nanoseconds of a duration; `u64::MAX`, which means *never*, for all that is longer than 584 years.
///
/// `Duration` counts seconds and nanoseconds apart, and its arithmetic costs accordingly. Machines keep this instead.
#[must_use]
pub const fn nanos(duration: Duration) -> u64 {
    wide::nanos(duration)
}

/// The inverse of [`nanos`]: `u64::MAX` becomes [`Duration::MAX`].
#[must_use]
pub const fn duration(nanos: u64) -> Duration {
    if nanos == u64::MAX { Duration::MAX } else { wide::duration(nanos) }
}

/// By how many nanoseconds a clock's sleeps may be late, though nothing holds them up.
pub(crate) const fn lateness<C: Clock>() -> u64 {
    wide::sum(nanos(C::RESOLUTION), nanos(C::TICK))
}

/// So many seconds.
#[must_use]
#[inline]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
#[must_use]
#[inline]
pub const fn ms(milliseconds: u64) -> Duration {
    wide::millis(milliseconds)
}

/// Where the time comes from, and who wakes a task when it has come.
///
/// A clock is cheap to clone: a unit struct for a runtime whose time is everywhere, a reference for a mock clock that a test holds.
/// Its time should not run backwards; the patterns bear it if it does.
///
/// # Clocks that tick
///
/// A timer never fires early. Of a clock that tells whole [ticks](Clock::TICK), a reading lies up to a tick behind; so its sleeps wait for one tick more, and all that only waits by a timer (a timeout, a pause, a delay, the patience of who queues) takes at least as long as it says, and at most two ticks longer.
/// Debounce, throttle and [`Contact`](crate::level::Contact) reckon with the tick where they compare two readings, and keep that promise, too. What else compares readings is right to a tick: how long a breaker is open or an answer
/// fresh, which permits a limiter has, and so when somebody's turn comes, and the machines that are told the time, such as a [`LevelDebouncer`](crate::level::LevelDebouncer).
///
/// # Examples
///
/// A clock that always stands at its origin, and on which nothing but [`Instant::ORIGIN`] ever comes:
///
/// ```
/// use aplomb::{Clock, Instant, Sleep};
/// use core::{future::Future, pin::Pin, task::{Context, Poll}};
///
/// #[derive(Clone)]
/// struct Stopped;
/// struct Standing(Instant);
///
/// impl Clock for Stopped {
///     type Sleep = Standing;
///     fn now(&self) -> Instant { Instant::ORIGIN }
///     fn sleep_until(&self, at: Instant) -> Standing { Standing(at) }
/// }
///
/// impl Future for Standing {
///     type Output = ();
///     fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
///         if self.0 == Instant::ORIGIN { Poll::Ready(()) } else { Poll::Pending }
///     }
/// }
///
/// impl Sleep for Standing {
///     fn reset(mut self: Pin<&mut Self>, at: Instant) { self.0 = at; }
/// }
/// ```
pub trait Clock: Clone {
    /// The future that waits on this clock.
    type Sleep: Sleep;

    /// How far apart the instants are at which its sleeps can be ready: by so much they may be late though nothing holds them up, and by a [`TICK`](Clock::TICK) more. Default: zero, for timers as fine as the clock.
    const RESOLUTION: Duration = Duration::ZERO;

    /// By how much a reading may lie behind the time, if the clock tells whole ticks, rounded down. Default: zero.
    const TICK: Duration = Duration::ZERO;

    /// Whether nobody sets it back: then nothing that is shared has to see to that. Default: no.
    const IS_STEADY: bool = false;

    /// The present instant, or the beginning of the present [tick](Clock::TICK).
    fn now(&self) -> Instant;

    /// A sleep that is ready at `at`, or later, and never before: at least one tick after the one that begins at `at`, if the clock ticks, so that a time that was counted from a reading is whole.
    ///
    /// It is called within a poll, and only when something has to be waited for, so that it may need a runtime's context.
    /// [`Alarm`](crate::alarm::Alarm), which is who calls it, never asks for [`Instant::MAX`].
    fn sleep_until(&self, at: Instant) -> Self::Sleep;

    /// A sleep that is ready so long from now, or later, and never before: for runtimes that reach it by a shorter way.
    #[inline]
    fn sleep_for(&self, duration: Duration) -> Self::Sleep {
        self.sleep_until(self.now() + duration)
    }
}

/// A timer that can be set anew, which is far cheaper than to make a new one.
///
/// The laws that each implementation is held to (and tested by, in the `conformance` crate):
///
/// 1. It is never ready before its instant.
/// 2. It is polled at every poll of its task as long as it is pending, with whatever waker that poll brought.
/// 3. It is not polled after it was ready, unless it was [`reset`](Sleep::reset).
/// 4. `reset` is legal in every state: before the first poll, while pending, after it was ready; to an earlier, a later, the
///    same or a past instant.
/// 5. Dropping it cancels it. A stray wake-up may follow.
/// 6. It is ready when its time has come whatever else its task has done at that poll: a cooperative budget doesn't hold it back.
pub trait Sleep: Future<Output = ()> {
    /// Makes this a sleep until `at`.
    fn reset(self: Pin<&mut Self>, at: Instant);
}
