//! Backoff: how long to wait before the next attempt.
//!
//! ```text
//! Constant::every(100 ms)                 100  100  100  100  100
//! Linear::from(100 ms).step(50 ms)        100  150  200  250  300
//! Exponential::from(100 ms)               100  200  400  800 1600
//! Fibonacci::from(100 ms)                 100  100  200  300  500
//! List::of(&[ms(10), ms(500)])             10  500, and no more
//! any iterator of durations
//! ```
//!
//! Each takes a `max`, which no delay exceeds, the first and the jittered included, and a [`Jitter`]. Everything is integer arithmetic on nanoseconds, and saturates: the delay before the millionth attempt is as right as the first.
//!
//! # Which one
//!
//! [`Exponential`] with [`Jitter::Full`] and a `max`, unless there is a reason for another. Jitter keeps callers that failed together from coming back together.
//! It does not keep them from coming back at all: against the storm of retries that keeps a service down, there is the
//! [retry budget](crate::retry::RetryBudget).

mod delays;
mod jitter;
mod schedule;

pub use delays::Delays;
pub use jitter::{Jitter, NoJitter, Spread};
pub use schedule::{
    Arithmetic, Constant, Exponential, Fibonacci, Geometric, Growth, Linear, List, Listed, Place, Same, Schedule, Sum,
};

use core::time::Duration;

use crate::config::ConfigError;
use crate::time::nanos;

/// The delays between attempts, as a description: it is shared by all calls, and each call keeps its place in a state of its own.
///
/// Every iterator of durations that can be cloned is one; where it ends, so do the attempts (as in tokio-retry and backon).
///
/// # Examples
///
/// ```
/// use aplomb::backoff::Backoff;
/// use aplomb_sim::prelude::*;
///
/// let delays = Exponential::from(ms(100)).max(ms(350)).delays(7);
/// assert!(delays.take(4).eq([ms(100), ms(200), ms(350), ms(350)]));
///
/// let own = [ms(1), ms(5)].into_iter().chain(std::iter::repeat(secs(1))).delays(7);
/// assert!(own.take(3).eq([ms(1), ms(5), secs(1)]));
/// ```
pub trait Backoff {
    /// Where one call stands.
    type State;

    /// The state before the first delay.
    fn start(&self) -> Self::State;

    /// The next delay, or `None` if there is to be no further attempt. `random` draws a uniformly distributed number, for jitter.
    fn delay(&self, state: &mut Self::State, random: impl FnOnce() -> u64) -> Option<Duration>;

    /// The next [delay](Backoff::delay) in nanoseconds, as [`time::nanos`](crate::time::nanos) has it: for those that need no way there and back.
    #[doc(hidden)]
    #[inline]
    fn next_nanos(&self, state: &mut Self::State, random: impl FnOnce() -> u64) -> Option<u64> {
        self.delay(state, random).map(nanos)
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that doesn't.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether there is a delay at all. A retry without one has a single attempt; a [breaker](crate::CircuitBreaker::open_backoff) refuses it.
    fn has_delay(&self) -> bool {
        true
    }

    /// The delays one by one, with jitter from a generator that `seed` starts.
    fn delays(self, seed: u64) -> Delays<Self>
    where
        Self: Sized,
    {
        Delays::new(self, seed)
    }
}

impl<I: Iterator<Item = Duration> + Clone> Backoff for I {
    type State = I;

    fn start(&self) -> I {
        self.clone()
    }

    fn delay(&self, state: &mut I, _random: impl FnOnce() -> u64) -> Option<Duration> {
        state.next()
    }
}
