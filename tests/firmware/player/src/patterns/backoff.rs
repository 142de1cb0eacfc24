//! A backoff that is known at run time only.

use core::time::Duration;

use aplomb::backoff::{Backoff, Constant, Exponential, Fibonacci, Jitter, Linear, List, Place, Same, Schedule};
use aplomb::{ConfigError, Ratio, time};
use wire::config::{self, BackoffKind};

use crate::arena::place;

#[derive(Debug, Clone, Copy)]
pub enum AnyBackoff {
    Constant(Schedule<Same>),
    Linear(Linear),
    Exponential(Exponential),
    Fibonacci(Fibonacci),
    List(List<'static>),
}

/// Where a call stands in it.
#[derive(Debug, Clone, Copy)]
pub enum AnyPlace {
    Constant(Place<()>),
    Grown(Place<u64>),
    Fibonacci(Place<(u64, u64)>),
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

pub fn build(config: &config::Backoff) -> AnyBackoff {
    match &config.kind {
        BackoffKind::Constant { delay } => {
            AnyBackoff::Constant(bounded(Constant::every(time::duration(*delay)).jitter(Jitter::None), config))
        }
        BackoffKind::Linear { initial, step } => {
            AnyBackoff::Linear(bounded(Linear::from(time::duration(*initial)).step(time::duration(*step)), config))
        }
        BackoffKind::Exponential { initial, factor } => {
            AnyBackoff::Exponential(bounded(Exponential::from(time::duration(*initial)).factor(ratio(*factor)), config))
        }
        BackoffKind::Fibonacci { initial } => AnyBackoff::Fibonacci(bounded(Fibonacci::from(time::duration(*initial)), config)),
        BackoffKind::List { delays } => {
            let delays: heapless::Vec<Duration, 4> = delays.iter().map(|delay| time::duration(*delay)).collect();
            AnyBackoff::List(bounded(List::of(place(delays).as_slice()), config))
        }
    }
}

fn bounded<G: Copy>(schedule: Schedule<G>, config: &config::Backoff) -> Schedule<G> {
    schedule.max(time::duration(config.max)).jitter(match config.jitter {
        config::Jitter::None => Jitter::None,
        config::Jitter::Full => Jitter::Full,
        config::Jitter::Equal => Jitter::Equal,
        config::Jitter::Decorrelated => Jitter::Decorrelated,
        config::Jitter::Proportional(share) => Jitter::Proportional(ratio(share)),
    })
}

pub const fn ratio(config::Ratio(numerator, denominator): config::Ratio) -> Ratio {
    Ratio::new(numerator, denominator)
}
