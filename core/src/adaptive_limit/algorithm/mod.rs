//! The rules by which the limit is found, each a machine.

mod aimd;
mod gradient;
mod probe;
mod vegas;

pub use aimd::Aimd;
pub use gradient::{Gradient, GradientState};
pub use vegas::{Vegas, VegasState};

use crate::config::ConfigError;
use crate::wide::{divided, quotient};

/// A rule by which the limit is found.
///
/// It is the configuration; what it has seen stands in its [`State`](Algorithm::State). A rule is arithmetic: it runs under the limit's lock, reads no clock and calls nothing foreign. What it answers is kept within
/// [`min_limit`](super::AdaptiveLimit::min_limit) and [`max_limit`](super::AdaptiveLimit::max_limit), and never makes the limit grow after an overload, nor while less than half of it is in use.
///
/// # Examples
///
/// A rule of one's own: one more as long as calls take less than 50 ms, and half as many otherwise.
///
/// ```
/// use aplomb::ConfigError;
/// use aplomb::adaptive_limit::{Algorithm, Sample};
/// use aplomb_sim::prelude::*;
///
/// #[derive(Debug, Clone, Copy)]
/// struct Halving;
///
/// impl Algorithm for Halving {
///     type State = ();
///     const START: () = ();
///
///     fn measured(&self, (): &mut (), limit: u32, sample: &Sample) -> u32 {
///         if sample.latency < 50_000_000 { limit + 1 } else { limit / 2 }
///     }
///
///     fn overloaded(&self, (): &mut (), limit: u32) -> u32 { limit / 2 }
///     fn config_error(&self) -> Option<ConfigError> { None }
/// }
///
/// aplomb_sim::block_on(async {
///     let api: AdaptiveLimit<Halving> = AdaptiveLimit::new().algorithm(Halving).initial_limit(4).window(ms(0)).min_calls(1);
///     let slow = async || { aplomb_sim::sleep(ms(80)).await; Ok::<_, std::io::Error>(()) };
///     let _ = futures_lite::future::zip(api.run(slow), api.run(slow)).await;
///     assert_eq!(api.limit(), 2);
/// });
/// ```
pub trait Algorithm {
    /// What it has seen.
    type State;

    /// When it has seen nothing yet.
    const START: Self::State;

    /// Whether a call that took so long, in nanoseconds, is a sign of overload, however it ended. Default: no.
    #[inline]
    fn is_overload(&self, latency: u64) -> bool {
        let _ = latency;
        false
    }

    /// What the limit is to be, after a window that was not overloaded.
    fn measured(&self, state: &mut Self::State, limit: u32, sample: &Sample) -> u32;

    /// What the limit is to be, after a window with more signs of overload than are [tolerated](super::AdaptiveLimit::overload_tolerance).
    fn overloaded(&self, state: &mut Self::State, limit: u32) -> u32;

    /// How many of `limit` are let in for now: fewer while it looks how quick the service is then. Default: all.
    #[inline]
    fn admits(&self, state: &Self::State, limit: u32) -> u32 {
        let _ = state;
        limit
    }

    /// What is wrong with the configuration, if anything is.
    fn config_error(&self) -> Option<ConfigError>;
}

/// What was measured in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Sample {
    /// How long a call took on average, in nanoseconds. None counts for more than four times what that was in the window before.
    pub latency: u64,
    /// How many calls were measured.
    pub calls: u32,
    /// How many were under way at once, at most, of those moments at which one of them ended.
    pub in_flight: u32,
}

impl Sample {
    /// Of so many calls, at most so many at once, which took so many nanoseconds on average. For tests of a rule of one's own: a limit makes its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::ConfigError;
    /// use aplomb::adaptive_limit::{Algorithm, Sample};
    ///
    /// /// Three more as long as calls don't become slower.
    /// struct Eager;
    ///
    /// impl Algorithm for Eager {
    ///     type State = u64;
    ///     const START: u64 = u64::MAX;
    ///
    ///     fn measured(&self, before: &mut u64, limit: u32, sample: &Sample) -> u32 {
    ///         let is_slower = sample.latency > core::mem::replace(before, sample.latency);
    ///         if is_slower { limit / 2 } else { limit + 3 }
    ///     }
    ///
    ///     fn overloaded(&self, _before: &mut u64, limit: u32) -> u32 { limit / 2 }
    ///     fn config_error(&self) -> Option<ConfigError> { None }
    /// }
    ///
    /// let mut state = Eager::START;
    /// assert_eq!(Eager.measured(&mut state, 10, &Sample::new(20_000_000, 100, 10)), 13);
    /// assert_eq!(Eager.measured(&mut state, 13, &Sample::new(26_000_000, 100, 13)), 6);
    /// assert_eq!(Eager.overloaded(&mut state, 6), 3);
    /// ```
    #[must_use]
    pub const fn new(latency: u64, calls: u32, in_flight: u32) -> Self {
        Self { latency, calls, in_flight }
    }

    /// How often as many calls have ended as `limit` allows at once, at least once: the round trips of TCP.
    fn rounds(&self, limit: u32) -> u64 {
        quotient(self.calls.into(), limit.into()).max(1)
    }
}

/// A step further for each round; but by no more than a twentieth, which is half of what an overload takes, or one step.
fn grown(from: u64, step: u64, rounds: u64) -> u64 {
    from.saturating_add(step.saturating_mul(rounds).min(quotient(from, 20)).max(step))
}

/// One, in 65,536ths.
const ONE: u64 = 1 << 16;

/// How many 65,536ths `part` is of `whole`; at most one.
fn share(part: u64, whole: u64) -> u64 {
    if part >= whole {
        return ONE;
    }
    // So that nothing overflows. More than 48 bits of a latency say nothing.
    let spare = (u64::BITS - whole.leading_zeros()).saturating_sub(48);
    divided((part >> spare) << 16, whole >> spare).map_or(ONE, |(share, _)| share)
}

#[cfg(test)]
mod tests {
    use super::{ONE, Sample, grown, share};

    #[test]
    fn it_grows_by_what_has_flowed_and_never_by_leaps() {
        for (calls, limit, expected) in
            [(0, 20, 21), (19, 20, 21), (200, 20, 21), (200, 40, 42), (200, 100, 102), (500, 100, 105), (5_000, 100, 105)]
        {
            let sample = Sample { latency: 1, calls, in_flight: limit };
            assert_eq!(grown(limit.into(), 1, sample.rounds(limit)), expected, "{calls} of {limit}");
        }
        assert_eq!(grown(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_share_is_exact_to_its_last_bit_and_never_more_than_one() {
        for (part, whole, expected) in [
            (0, 0, ONE),
            (0, 1, 0),
            (1, 2, ONE / 2),
            (3, 2, ONE),
            (1, 3, ONE / 3),
            (u64::MAX, u64::MAX, ONE),
            (u64::MAX / 2, u64::MAX, ONE / 2 - 1),
            (1 << 47, 1 << 48, ONE / 2),
            (u64::MAX, 1, ONE),
            (1, u64::MAX, 0),
        ] {
            assert_eq!(share(part, whole), expected, "{part} of {whole}");
        }
    }
}
