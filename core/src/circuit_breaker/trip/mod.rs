//! When a breaker trips: rules, which are machines.

mod calls;
mod consecutive;
mod sliding;
mod time;

pub use self::calls::{CallsRing, CallsWindow};
pub use self::consecutive::Consecutive;
pub use self::sliding::{LastCalls, LastTime, Sliding, Window};
pub use self::time::{TimeRing, TimeWindow};

use core::time::Duration;

use crate::config::ConfigError;
use crate::time::Instant;

/// A rule by which a breaker trips.
///
/// It runs under the breaker's lock, as any machine does: one of your own must not call the breaker.
///
/// # Examples
///
/// A rule that trips at the first failure after a success:
///
/// ```
/// use aplomb::circuit_breaker::{Call, Tally, Trip};
/// use aplomb::{CircuitBreaker, ConfigError, Instant};
/// use aplomb_sim::{Sim, SimClock};
///
/// #[derive(Clone, Copy)]
/// struct OnceUp;
///
/// impl Trip for OnceUp {
///     type State = bool;
///     const START: bool = false;
///
///     fn record(&self, was_up: &mut bool, call: Call, _now: Instant) -> bool {
///         let trips = call.failed && *was_up;
///         *was_up |= !call.failed;
///         trips
///     }
///
///     fn tally(&self, was_up: &bool, _now: Instant) -> Tally {
///         Tally { calls: u32::from(*was_up), ..Tally::default() }
///     }
/// }
///
/// let breaker: CircuitBreaker<Sim, OnceUp> = CircuitBreaker::with_clock(SimClock, OnceUp);
/// breaker.permit()?.failure();
/// assert!(!breaker.state().is_open());
/// breaker.permit()?.success();
/// breaker.permit()?.failure();
/// assert!(breaker.state().is_open());
/// # Ok::<_, aplomb::BreakerError>(())
/// ```
pub trait Trip {
    /// What is kept of the calls while the breaker is closed.
    type State;

    /// The record of no calls.
    const START: Self::State;

    /// Whether [`record`](Trip::record) looks at the time. Otherwise the clock is not read for it.
    const TIMED: bool = false;

    /// A call has ended while the breaker was closed. Whether that trips it.
    fn record(&self, state: &mut Self::State, call: Call, now: Instant) -> bool;

    /// Whether another success, if it is not slow, would change nothing: then the lock is not taken for it.
    fn is_calm(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }

    /// What is on record.
    fn tally(&self, state: &Self::State, now: Instant) -> Tally;

    /// A call that takes longer than that is slow. [`Duration::MAX`]: none is, and no call is timed.
    fn slow_after(&self) -> Duration {
        Duration::MAX
    }

    /// What is wrong with the rule, if anything is.
    fn config_error(&self) -> Option<ConfigError> {
        None
    }
}

/// A call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Call {
    /// Whether it failed.
    pub failed: bool,
    /// Whether it was slow.
    pub slow: bool,
}

/// How many calls a rule has on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// All of them. A rule of consecutive failures remembers only those.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow.
    pub slow: u32,
}

impl Tally {
    fn add(&mut self, call: Call) {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(call.failed));
        self.slow = self.slow.saturating_add(u32::from(call.slow));
    }

    fn take(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failures = self.failures.saturating_sub(other.failures);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}
