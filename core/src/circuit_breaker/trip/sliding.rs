use core::time::Duration;

use super::calls::CallsWindow;
use super::time::TimeWindow;
use super::{Call, Tally, Trip};
use crate::config::ConfigError;
use crate::ratio::{Ratio, percent};
use crate::time::Instant;

/// Trips when of the calls in a window too many have failed, or were slow: a share that equals its threshold trips. Its users know it as [`LastCalls`] and [`LastTime`].
///
/// The shares are looked at whenever a call has ended, after a success too (as in resilience4j): it may be the one that makes [`min_calls`](crate::CircuitBreaker::min_calls).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// // Half of the last hundred calls, when there are at least twenty.
/// static SEARCH: CircuitBreaker<LastCalls> = checked!(CircuitBreaker::last_calls(100).failure_rate(percent(50)).min_calls(20));
///
/// // Within ten seconds: 10 % fail, or 80 % take more than two.
/// static PAYMENTS: CircuitBreaker<LastTime> =
///     checked!(CircuitBreaker::last_time(secs(10)).failure_rate(percent(10)).slow_calls(secs(2), percent(80)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sliding<W> {
    window: W,
    pub(in crate::circuit_breaker) failure_rate: Ratio,
    pub(in crate::circuit_breaker) slow_rate: Ratio,
    pub(in crate::circuit_breaker) slow_after: Duration,
    pub(in crate::circuit_breaker) min_calls: u32,
    /// How many calls there can be in the window.
    most: u32,
    /// What is wrong with the window.
    window_error: Option<ConfigError>,
}

/// The last so many calls, at most 64 for each of the `WORDS`. For 128 of them it takes 48 bytes in place.
pub type LastCalls<const WORDS: usize = 2> = Sliding<CallsWindow<WORDS>>;

/// The calls of the last so much time, in so many buckets: with each that begins, the oldest one is forgotten.
pub type LastTime<const BUCKETS: usize = 10> = Sliding<TimeWindow<BUCKETS>>;

/// The calls that count.
pub trait Window {
    /// What is kept of them.
    type State;

    /// Without calls.
    const START: Self::State;

    /// Whether it looks at the time.
    const TIMED: bool;

    /// A call has ended; others may have left the window.
    fn record(&self, state: &mut Self::State, call: Call, now: Instant);

    /// The calls in the window when the last one was recorded.
    fn recorded(state: &Self::State) -> Tally;

    /// The calls in the window now.
    fn tally(&self, state: &Self::State, now: Instant) -> Tally;

    /// Whether a success would change nothing.
    fn is_calm(&self, state: &Self::State) -> bool;
}

impl<const WORDS: usize> LastCalls<WORDS> {
    /// The last `calls`, of which 50 % are too many, when there are as many as the window holds (as in resilience4j).
    #[must_use]
    pub const fn new(calls: u32) -> Self {
        Self::over(CallsWindow::new(calls), calls, calls, CallsWindow::<WORDS>::error(calls))
    }
}

impl<const BUCKETS: usize> LastTime<BUCKETS> {
    /// The calls of the last `time`, of which 50 % are too many, when there are at least 20 (as in Hystrix).
    #[must_use]
    pub const fn new(time: Duration) -> Self {
        let buckets = TimeWindow::<BUCKETS>::ROOM;
        Self::over(TimeWindow::new(time, buckets), 20, u32::MAX, TimeWindow::<BUCKETS>::error(time, buckets))
    }

    pub(in crate::circuit_breaker) const fn buckets(mut self, buckets: u32) -> Self {
        let time = self.window.time();
        self.window = TimeWindow::new(time, buckets);
        self.window_error = TimeWindow::<BUCKETS>::error(time, buckets);
        self
    }
}

impl<W> Sliding<W> {
    const fn over(window: W, min_calls: u32, most: u32, window_error: Option<ConfigError>) -> Self {
        Self {
            window,
            failure_rate: percent(50),
            slow_rate: Ratio::ONE,
            slow_after: Duration::MAX,
            min_calls,
            most,
            window_error,
        }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        if let Some(error) = self.window_error {
            return Some(error);
        }
        if !self.failure_rate.is_share() {
            return Some(ConfigError::FailureRate { value: self.failure_rate });
        }
        if !self.slow_rate.is_share() {
            return Some(ConfigError::SlowRate { value: self.slow_rate });
        }
        if self.min_calls == 0 || self.min_calls > self.most {
            return Some(ConfigError::MinCalls { value: self.min_calls, most: self.most });
        }
        None
    }
}

impl<W: Window> Trip for Sliding<W> {
    type State = W::State;

    const START: W::State = W::START;
    const TIMED: bool = W::TIMED;

    #[inline]
    fn record(&self, state: &mut W::State, call: Call, now: Instant) -> bool {
        self.window.record(state, call, now);
        let Tally { calls, failures, slow } = W::recorded(state);
        calls >= self.min_calls
            && (self.failure_rate.is_reached(failures, calls)
                || (self.slow_after != Duration::MAX && self.slow_rate.is_reached(slow, calls)))
    }

    #[inline]
    fn is_calm(&self, state: &W::State) -> bool {
        self.window.is_calm(state)
    }

    fn tally(&self, state: &W::State, now: Instant) -> Tally {
        self.window.tally(state, now)
    }

    #[inline]
    fn slow_after(&self) -> Duration {
        self.slow_after
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}
