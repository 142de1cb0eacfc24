use std::time::Duration;

use aplomb::backoff::{Backoff, Constant, Exponential, Fibonacci, Jitter, Linear, List, Place, Same, Schedule};
use aplomb::{ConfigError, Ratio};
use serde::Deserialize;

use crate::millis::Millis;

/// A backoff, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackoffConfig {
    /// The same delay each time.
    Constant { delay: Millis, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by a step.
    Linear { initial: Millis, step: Millis, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by a factor.
    Exponential { initial: Millis, factor: f64, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// Grows by the delay before.
    Fibonacci { initial: Millis, max: Option<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
    /// One by one.
    List { delays: Vec<Millis>, jitter: Option<JitterConfig>, seed: Option<u64> },
}

/// That of `Retry::new()`, without its jitter.
impl Default for BackoffConfig {
    fn default() -> Self {
        let (initial, max) = (Millis(100_000_000), Some(Millis(20_000_000_000)));
        Self::Exponential { initial, factor: 2.0, max, jitter: None, seed: None }
    }
}

/// A jitter, as it is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterConfig {
    /// As without.
    None,
    /// From zero.
    Full,
    /// From the half.
    Equal,
    /// From the one before.
    Decorrelated,
    /// More or less.
    Proportional(f64),
}

/// A backoff that is known at run time only. Lists leak, a few durations for each scenario that has one.
#[derive(Debug, Clone, Copy)]
pub enum AnyBackoff {
    /// `constant`.
    Constant(Schedule<Same>),
    /// `linear`.
    Linear(Linear),
    /// `exponential`.
    Exponential(Exponential),
    /// `fibonacci`.
    Fibonacci(Fibonacci),
    /// `list`.
    List(List<'static>),
}

/// Where a call stands in an [`AnyBackoff`].
#[derive(Debug, Clone, Copy)]
pub enum AnyPlace {
    /// In `constant`.
    Constant(Place<()>),
    /// In `linear` or `exponential`.
    Grown(Place<u64>),
    /// In `fibonacci`.
    Fibonacci(Place<(u64, u64)>),
    /// In `list`.
    List(Place<usize>),
}

impl Backoff for AnyBackoff {
    type State = AnyPlace;

    fn start(&self) -> AnyPlace {
        match self {
            Self::Constant(backoff) => AnyPlace::Constant(backoff.start()),
            Self::Linear(backoff) => AnyPlace::Grown(backoff.start()),
            Self::Exponential(backoff) => AnyPlace::Grown(backoff.start()),
            Self::Fibonacci(backoff) => AnyPlace::Fibonacci(backoff.start()),
            Self::List(backoff) => AnyPlace::List(backoff.start()),
        }
    }

    fn delay(&self, state: &mut AnyPlace, random: impl FnOnce() -> u64) -> Option<Duration> {
        match (self, state) {
            (Self::Constant(backoff), AnyPlace::Constant(place)) => backoff.delay(place, random),
            (Self::Linear(backoff), AnyPlace::Grown(place)) => backoff.delay(place, random),
            (Self::Exponential(backoff), AnyPlace::Grown(place)) => backoff.delay(place, random),
            (Self::Fibonacci(backoff), AnyPlace::Fibonacci(place)) => backoff.delay(place, random),
            (Self::List(backoff), AnyPlace::List(place)) => backoff.delay(place, random),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Constant(backoff) => Backoff::check(backoff),
            Self::Linear(backoff) => Backoff::check(backoff),
            Self::Exponential(backoff) => Backoff::check(backoff),
            Self::Fibonacci(backoff) => Backoff::check(backoff),
            Self::List(backoff) => Backoff::check(backoff),
        }
    }

    fn has_delay(&self) -> bool {
        if let Self::List(list) = self { list.has_delay() } else { true }
    }
}

impl BackoffConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        match self {
            Self::Constant { delay, .. } => vec![*delay],
            Self::Linear { initial, step, max, .. } => [Some(*initial), Some(*step), *max].into_iter().flatten().collect(),
            Self::Exponential { initial, max, .. } | Self::Fibonacci { initial, max, .. } => {
                [Some(*initial), *max].into_iter().flatten().collect()
            }
            Self::List { delays, .. } => delays.clone(),
        }
    }

    /// The backoff, and the seed of its jitter.
    #[must_use]
    pub fn build(&self) -> (AnyBackoff, Option<u64>) {
        match self {
            Self::Constant { delay, jitter, seed } => {
                (AnyBackoff::Constant(bounded(Constant::every(delay.duration()).jitter(Jitter::None), None, *jitter)), *seed)
            }
            Self::Linear { initial, step, max, jitter, seed } => {
                let linear = Linear::from(initial.duration()).step(step.duration());
                (AnyBackoff::Linear(bounded(linear, *max, *jitter)), *seed)
            }
            Self::Exponential { initial, factor, max, jitter, seed } => {
                let exponential = Exponential::from(initial.duration()).factor(ratio(*factor));
                (AnyBackoff::Exponential(bounded(exponential, *max, *jitter)), *seed)
            }
            Self::Fibonacci { initial, max, jitter, seed } => {
                (AnyBackoff::Fibonacci(bounded(Fibonacci::from(initial.duration()), *max, *jitter)), *seed)
            }
            Self::List { delays, jitter, seed } => {
                let delays = delays.iter().map(|delay| delay.duration()).collect::<Vec<_>>().leak();
                (AnyBackoff::List(bounded(List::of(delays), None, *jitter)), *seed)
            }
        }
    }
}

fn bounded<G: Copy>(schedule: Schedule<G>, max: Option<Millis>, jitter: Option<JitterConfig>) -> Schedule<G> {
    schedule.max(max.unwrap_or(Millis::NEVER).duration()).jitter(match jitter {
        None | Some(JitterConfig::None) => Jitter::None,
        Some(JitterConfig::Full) => Jitter::Full,
        Some(JitterConfig::Equal) => Jitter::Equal,
        Some(JitterConfig::Decorrelated) => Jitter::Decorrelated,
        Some(JitterConfig::Proportional(share)) => Jitter::Proportional(ratio(share)),
    })
}

pub(super) fn ratio(number: f64) -> Ratio {
    let (numerator, denominator) = fraction(number);
    Ratio::new(numerator, denominator)
}

/// A number as a fraction, exact to six places.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub(crate) fn fraction(number: f64) -> (u32, u32) {
    const PLACES: u32 = 1_000_000;
    if number.fract() == 0.0 { (number as u32, 1) } else { ((number * f64::from(PLACES)).round() as u32, PLACES) }
}
