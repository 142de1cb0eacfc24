use core::fmt::Debug;
use core::time::Duration;

use super::jitter::{NoJitter, Spread};
use super::{Backoff, Jitter};
use crate::config::ConfigError;
use crate::platform::SMALL;
use crate::ratio::Ratio;
use crate::time::{duration, nanos};

/// A rule of growth with a cap and a jitter. Its users know it as [`Constant`], [`Linear`], [`Exponential`], [`Fibonacci`] and [`List`].
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// const BACKOFF: Exponential = checked!(Exponential::from(ms(100)).factor(percent(150)).max(secs(30)).jitter(Jitter::Full));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Schedule<G, J = Jitter> {
    growth: G,
    /// Nanoseconds.
    max: u64,
    jitter: J,
    /// The factor of the growth, if that is wrong.
    wrong_factor: Option<Ratio>,
    /// The share of the jitter, if that is wrong.
    wrong_share: Option<Ratio>,
    /// A list without delays, which is wrong for a breaker.
    is_empty: bool,
}

/// The same delay each time. With [`jitter`](Schedule::jitter), it becomes a `Schedule<Same>`: so what is constant has no code for jitter, and asks for no random number.
pub type Constant = Schedule<Same, NoJitter>;
/// Each delay longer than the one before by the same step, which is the first delay unless set.
pub type Linear = Schedule<Arithmetic>;
/// Each delay longer than the one before by the same factor, two unless set.
pub type Exponential = Schedule<Geometric>;
/// Each delay the sum of the two before.
pub type Fibonacci = Schedule<Sum>;
/// Delays one by one. Where the list ends, so do the attempts.
pub type List<'l> = Schedule<Listed<'l>>;

impl<G: Copy, J: Copy> Schedule<G, J> {
    const fn new(growth: G, jitter: J) -> Self {
        Self { growth, max: u64::MAX, jitter, wrong_factor: None, wrong_share: None, is_empty: false }
    }

    /// No delay is longer, the first not either, with jitter or without. Default: [`Duration::MAX`], which is none.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = nanos(max);
        self
    }

    /// Spreads the delays. Default: [`Jitter::None`].
    #[must_use]
    pub const fn jitter(self, jitter: Jitter) -> Schedule<G> {
        let Self { growth, max, wrong_factor, is_empty, .. } = self;
        Schedule { growth, max, jitter, wrong_factor, wrong_share: jitter.wrong_share(), is_empty }
    }

    /// Itself, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that doesn't.
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.config_error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What is wrong with it, if anything is: [`check`](Schedule::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        match (self.wrong_factor, self.wrong_share) {
            (Some(value), _) => Some(ConfigError::Factor { value }),
            (None, Some(value)) => Some(ConfigError::Jitter { value }),
            (None, None) => None,
        }
    }

    /// What is wrong with it as the delays of a breaker.
    pub(crate) const fn open_error(self) -> Option<ConfigError> {
        match self.config_error() {
            None if self.is_empty => Some(ConfigError::OpenBackoff),
            error => error,
        }
    }
}

impl Constant {
    /// Waits so long each time. Zero is legal: the next attempt follows at once, after the other tasks had their turn.
    #[must_use]
    pub const fn every(delay: Duration) -> Self {
        Self::new(Same { delay: nanos(delay) }, NoJitter)
    }
}

impl Linear {
    /// Begins with `initial`, and grows by as much each time.
    #[must_use]
    pub const fn from(initial: Duration) -> Self {
        Self::new(Arithmetic { initial: nanos(initial), step: nanos(initial) }, Jitter::None)
    }

    /// Grows by that much each time.
    #[must_use]
    pub const fn step(mut self, step: Duration) -> Self {
        self.growth.step = nanos(step);
        self
    }
}

impl Exponential {
    /// Begins with `initial`, and doubles.
    #[must_use]
    pub const fn from(initial: Duration) -> Self {
        Self::new(Geometric { initial: nanos(initial), factor: Ratio::new(2, 1) }, Jitter::None)
    }

    /// Grows by that factor, at least one. Delays are rounded down to nanoseconds.
    #[must_use]
    pub const fn factor(mut self, factor: Ratio) -> Self {
        self.growth.factor = factor;
        self.wrong_factor = if factor.is_at_least_one() { None } else { Some(factor) };
        self
    }
}

impl Fibonacci {
    /// Begins with `initial`, twice.
    #[must_use]
    pub const fn from(initial: Duration) -> Self {
        Self::new(Sum { initial: nanos(initial) }, Jitter::None)
    }
}

impl<'l> List<'l> {
    /// These delays, one after another.
    #[must_use]
    pub const fn of(delays: &'l [Duration]) -> Self {
        let mut list = Self::new(Listed { delays }, Jitter::None);
        list.is_empty = delays.is_empty();
        list
    }
}

impl<G: Growth, J: Spread> Schedule<G, J> {
    #[cfg_attr(target_pointer_width = "64", cold, inline(never))]
    fn check_apart(&self) -> Result<(), ConfigError> {
        self.config_error().map_or(Ok(()), Err)
    }
}

impl<G: Growth, J: Spread> Backoff for Schedule<G, J> {
    type State = Place<G::State, J::Previous>;

    fn start(&self) -> Self::State {
        Place { growth: self.growth.start(), previous: self.jitter.start(self.growth.initial().min(self.max)) }
    }

    #[inline]
    fn delay(&self, state: &mut Self::State, random: impl FnOnce() -> u64) -> Option<Duration> {
        self.next_nanos(state, random).map(duration)
    }

    #[inline]
    fn next_nanos(&self, state: &mut Self::State, random: impl FnOnce() -> u64) -> Option<u64> {
        let delay = self.growth.next(&mut state.growth)?.min(self.max);
        let initial = self.growth.initial().min(self.max);
        Some(self.jitter.spread(&mut state.previous, delay, initial, self.max, random))
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn check(&self) -> Result<(), ConfigError> {
        // An error that there might be is not carried along the way of what makes sense.
        if !SMALL && self.wrong_factor.is_none() && self.wrong_share.is_none() { Ok(()) } else { self.check_apart() }
    }

    fn has_delay(&self) -> bool {
        !self.is_empty
    }
}

/// Where a call stands in a [`Schedule`].
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place<S, D = u64> {
    growth: S,
    /// Nanoseconds; decorrelated jitter starts from it.
    previous: D,
}

/// A rule by which delays grow, in nanoseconds, without cap or jitter.
pub trait Growth: Copy {
    /// Where a call stands.
    type State;

    /// The state before the first delay.
    fn start(&self) -> Self::State;

    /// The next delay.
    fn next(&self, state: &mut Self::State) -> Option<u64>;

    /// The first delay, from which decorrelated jitter starts.
    fn initial(&self) -> u64;
}

/// The rule of [`Constant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Same {
    delay: u64,
}

impl Growth for Same {
    type State = ();

    fn start(&self) {}

    fn next(&self, (): &mut ()) -> Option<u64> {
        Some(self.delay)
    }

    fn initial(&self) -> u64 {
        self.delay
    }
}

/// The rule of [`Linear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Arithmetic {
    initial: u64,
    step: u64,
}

impl Growth for Arithmetic {
    type State = u64;

    fn start(&self) -> u64 {
        self.initial
    }

    fn next(&self, next: &mut u64) -> Option<u64> {
        let grown = next.saturating_add(self.step);
        Some(core::mem::replace(next, grown))
    }

    fn initial(&self) -> u64 {
        self.initial
    }
}

/// The rule of [`Exponential`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometric {
    initial: u64,
    factor: Ratio,
}

impl Growth for Geometric {
    type State = u64;

    fn start(&self) -> u64 {
        self.initial
    }

    fn next(&self, next: &mut u64) -> Option<u64> {
        let grown = self.factor.of(*next);
        Some(core::mem::replace(next, grown))
    }

    fn initial(&self) -> u64 {
        self.initial
    }
}

/// The rule of [`Fibonacci`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sum {
    initial: u64,
}

impl Growth for Sum {
    /// The next delay, and the one after it.
    type State = (u64, u64);

    fn start(&self) -> (u64, u64) {
        (self.initial, self.initial)
    }

    fn next(&self, (next, then): &mut (u64, u64)) -> Option<u64> {
        let delay = *next;
        (*next, *then) = (*then, next.saturating_add(*then));
        Some(delay)
    }

    fn initial(&self) -> u64 {
        self.initial
    }
}

/// The rule of [`List`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Listed<'l> {
    delays: &'l [Duration],
}

impl Growth for Listed<'_> {
    type State = usize;

    fn start(&self) -> usize {
        0
    }

    fn next(&self, index: &mut usize) -> Option<u64> {
        let delay = self.delays.get(*index)?;
        *index = index.saturating_add(1);
        Some(nanos(*delay))
    }

    fn initial(&self) -> u64 {
        self.delays.first().map_or(0, |delay| nanos(*delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratio::percent;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[track_caller]
    fn assert_delays<B: Backoff>(backoff: B, millis: &[u64]) {
        let mut delays = backoff.delays(0);
        for &expected in millis {
            assert_eq!(delays.next(), Some(ms(expected)));
        }
    }

    #[test]
    fn each_rule_grows_as_it_says() {
        assert_delays(Constant::every(ms(100)), &[100, 100, 100]);
        assert_delays(Linear::from(ms(100)), &[100, 200, 300]);
        assert_delays(Linear::from(ms(100)).step(ms(5)), &[100, 105, 110]);
        assert_delays(Exponential::from(ms(100)), &[100, 200, 400, 800]);
        assert_delays(Exponential::from(ms(100)).factor(percent(150)), &[100, 150, 225]);
        assert_delays(Fibonacci::from(ms(100)), &[100, 100, 200, 300, 500, 800]);
        assert_delays(List::of(&[ms(3), ms(1)]), &[3, 1]);
        assert_eq!(List::of(&[ms(3)]).delays(0).count(), 1);
    }

    #[test]
    fn the_maximum_holds_from_the_first_delay_on() {
        assert_delays(Constant::every(ms(100)).max(ms(7)), &[7, 7]);
        assert_delays(Linear::from(ms(100)).max(ms(250)), &[100, 200, 250, 250]);
        assert_delays(Exponential::from(ms(100)).max(ms(50)), &[50, 50]);
        assert_delays(Fibonacci::from(ms(100)).max(ms(250)), &[100, 100, 200, 250]);
        assert_delays(List::of(&[ms(300), ms(100)]).max(ms(200)), &[200, 100]);
    }

    #[test]
    fn the_millionth_delay_is_right_too() {
        let max = Duration::from_secs(30);
        assert_eq!(Exponential::from(ms(1)).max(max).delays(0).nth(1_000_000), Some(max));
        assert_eq!(Exponential::from(ms(1)).delays(0).nth(1_000_000), Some(Duration::MAX));
        assert_eq!(Fibonacci::from(ms(1)).delays(0).nth(1_000_000), Some(Duration::MAX));
        assert_eq!(Linear::from(ms(1)).delays(0).nth(999_999), Some(Duration::from_secs(1_000)));
        assert_eq!(Linear::from(Duration::MAX).delays(0).nth(1_000_000), Some(Duration::MAX));
    }

    #[test]
    fn the_same_seed_gives_the_same_delays_and_another_seed_others() {
        let backoff = Exponential::from(ms(100)).max(ms(60_000)).jitter(Jitter::Full);
        assert!(backoff.delays(1).take(20).eq(backoff.delays(1).take(20)));
        assert!(!backoff.delays(1).take(20).eq(backoff.delays(2).take(20)));
    }

    #[test]
    fn a_factor_below_one_is_refused() {
        let below = percent(99);
        assert_eq!(Exponential::from(ms(1)).factor(below).check(), Err(ConfigError::Factor { value: below }));
        assert!(Exponential::from(ms(1)).factor(Ratio::ONE).check().is_ok());
    }

    #[test]
    fn only_the_last_word_counts() {
        let (below, above) = (percent(50), percent(150));
        assert!(Exponential::from(ms(1)).factor(below).factor(above).check().is_ok());
        let jitter = Jitter::Proportional(above);
        assert!(Constant::every(ms(1)).jitter(jitter).jitter(Jitter::Full).check().is_ok());
    }
}
