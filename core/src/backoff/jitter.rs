use crate::ratio::Ratio;
use crate::wide::{high_half, scaled};

/// How delays are spread, so that callers that failed together don't come back together.
///
/// The names are those of Marc Brooker's article "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). `d` is the delay without jitter, after the cap; no jitter exceeds the backoff's `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Jitter {
    /// `d`.
    #[default]
    None,
    /// Anything from zero to `d`: the best at taking load off a service.
    Full,
    /// Anything from `d / 2` to `d`: never a retry at once.
    Equal,
    /// Anything from the initial delay to three times the previous one. The growth of the backoff is not used.
    Decorrelated,
    /// `d`, more or less this share of it, which must be at most one.
    Proportional(Ratio),
}

/// No jitter, not at run time either: delays are what the growth says. [`Jitter::None`] is the same, beside others.
///
/// # Examples
///
/// ```
/// use aplomb::backoff::{Backoff, Constant, NoJitter, Same, Schedule};
/// use aplomb::time::ms;
///
/// let plain: Schedule<Same, NoJitter> = Constant::every(ms(10));
/// assert!(plain.delays(7).take(2).eq([ms(10), ms(10)]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoJitter;

/// What spreads delays: a [`Jitter`], or [`NoJitter`].
///
/// # Examples
///
/// ```
/// use aplomb::backoff::{Backoff, Constant, Growth, Jitter, Schedule, Spread};
/// use aplomb::time::ms;
/// use core::time::Duration;
///
/// fn first<G: Growth, J: Spread>(schedule: Schedule<G, J>) -> Option<Duration> {
///     schedule.delays(7).next()
/// }
/// assert_eq!(first(Constant::every(ms(10))), Some(ms(10)));
/// assert!(first(Constant::every(ms(10)).jitter(Jitter::Full)) <= Some(ms(10)));
/// ```
pub trait Spread: Copy {
    /// What is kept of the delay before.
    type Previous;

    /// Before the first delay, which is so long in nanoseconds.
    #[doc(hidden)]
    fn start(self, initial: u64) -> Self::Previous;

    /// Spreads the delay; all in nanoseconds.
    #[doc(hidden)]
    fn spread(self, previous: &mut Self::Previous, delay: u64, initial: u64, max: u64, random: impl FnOnce() -> u64) -> u64;
}

impl Spread for NoJitter {
    type Previous = ();

    #[inline]
    fn start(self, _initial: u64) {}

    #[inline]
    fn spread(self, (): &mut (), delay: u64, _initial: u64, _max: u64, _random: impl FnOnce() -> u64) -> u64 {
        delay
    }
}

impl Spread for Jitter {
    type Previous = u64;

    #[inline]
    fn start(self, initial: u64) -> u64 {
        initial
    }

    #[inline]
    fn spread(self, previous: &mut u64, delay: u64, initial: u64, max: u64, random: impl FnOnce() -> u64) -> u64 {
        *previous = if matches!(self, Self::None) { delay } else { self.spread_by(random(), delay, initial, *previous, max) };
        *previous
    }
}

impl Jitter {
    /// Its share, if that is more than all.
    pub(super) const fn wrong_share(self) -> Option<Ratio> {
        match self {
            Self::Proportional(share) if !share.is_at_most_one() => Some(share),
            _ => None,
        }
    }

    // Kept out of line on small machines, where there are several who spread.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn spread_by(self, random: u64, delay: u64, initial: u64, previous: u64, max: u64) -> u64 {
        let (low, high) = match self {
            Self::None => (delay, delay),
            Self::Full => (0, delay),
            Self::Equal => (delay / 2, delay),
            Self::Decorrelated => (initial, scaled(previous, 3).min(max)),
            Self::Proportional(share) => {
                let share = share.of(delay);
                (delay.saturating_sub(share), delay.saturating_add(share))
            }
        };
        between(low, high, random).min(max)
    }
}

/// A number from `low` to `high`, both included, uniformly distributed if `random` is.
fn between(low: u64, high: u64, random: u64) -> u64 {
    let width = high.saturating_sub(low).saturating_add(1);
    low.saturating_add(high_half(random, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratio::percent;

    const EXTREMES: [u64; 5] = [0, 1, 1 << 63, u64::MAX - 1, u64::MAX];

    #[test]
    fn every_jitter_reaches_both_ends_and_stays_within_them() {
        for (jitter, low, high) in [
            (Jitter::None, 1_000, 1_000),
            (Jitter::Full, 0, 1_000),
            (Jitter::Equal, 500, 1_000),
            (Jitter::Decorrelated, 100, 1_200),
            (Jitter::Proportional(percent(20)), 800, 1_200),
        ] {
            assert_eq!(jitter.spread(&mut { 400 }, 1_000, 100, 5_000, || 0), low, "{jitter:?}");
            assert_eq!(jitter.spread(&mut { 400 }, 1_000, 100, 5_000, || u64::MAX), high, "{jitter:?}");
        }
    }

    #[test]
    fn no_jitter_exceeds_the_maximum_nor_overflows() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::Proportional(Ratio::ONE)] {
            for delay in EXTREMES {
                for max in EXTREMES {
                    for random in EXTREMES {
                        let spread = jitter.spread(&mut { u64::MAX }, delay.min(max), delay.min(max), max, || random);
                        assert!(spread <= max, "{jitter:?} of {delay} is {spread}, over {max}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_share_above_the_whole_is_refused() {
        assert_eq!(Jitter::Proportional(percent(100)).wrong_share(), None);
        assert_eq!(Jitter::Proportional(percent(101)).wrong_share(), Some(percent(101)));
        assert!(Jitter::Proportional(Ratio::new(0, 0)).wrong_share().is_some());
    }
}
