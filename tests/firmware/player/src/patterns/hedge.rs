//! The hedge, at a fixed delay or at a percentile.

use core::time::Duration;

use aplomb::hedge::{After, Delay, Percentile, Verdict};
use aplomb::{Hedge, HedgeError, Inline, Judge, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::config::{self, Few, HedgeDelay};
use wire::{Request, Token};

use super::backoff::ratio;
use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Error, Failure, Output, Value, World};

/// A hedge as a scenario says.
type Written<D> = Hedge<Embassy, D, Inline<4>, Listed>;

/// A hedge, which its callers share.
struct Hedging<D: Delay>(Written<D>);

/// The values that count as failures, and the errors that are fatal.
#[derive(Clone, Copy)]
pub struct Listed {
    failures: &'static Few,
    fatal: &'static Few,
}

impl Judge<Token, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Token, &Failure>) -> Verdict {
        match outcome {
            Ok(value) if self.failures.contains(value) => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(failure) if self.fatal.contains(&failure.value) => Verdict::Fatal,
            Err(_) => Verdict::Failure,
        }
    }
}

/// The hedge of a scenario.
#[inline(never)]
pub fn set_up(config: &'static config::Hedge) -> &'static dyn Subject {
    match config.delay {
        HedgeDelay::After(delay) => place(Hedging(after(config, time::duration(delay)))),
        HedgeDelay::Percentile { share, min_samples, initial, min, max } => {
            let delay = Percentile::new(ratio(share)).initial_delay(time::duration(initial)).max_delay(time::duration(max));
            let delay = min_samples.into_iter().fold(delay, Percentile::min_samples);
            let delay = min.map(time::duration).into_iter().fold(delay, Percentile::min_delay);
            place(Hedging(build(config, delay)))
        }
    }
}

/// One with a fixed delay.
pub fn after(config: &'static config::Hedge, delay: Duration) -> Written<After> {
    build(config, After::new(delay))
}

fn build<D: Delay>(config: &'static config::Hedge, delay: D) -> Written<D> {
    let hedge = Hedge::with_clock(EmbassyClock, delay).max_hedges(config.max_hedges);
    let hedge = config.budget.into_iter().fold(hedge, |hedge, (share, burst)| hedge.budget(ratio(share)).burst(burst));
    hedge.judged_by(Listed { failures: &config.failure_values, fatal: &config.fatal_if })
}

impl<D: Delay + 'static> Subject for Hedging<D> {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        Ending::new(async move { self.0.run(|| world.start(id, arg)).await.map(Output::One).map_err(explain) })
    }
}

fn explain(error: HedgeError<Failure>) -> Error {
    let (kind, attempts, value): (_, _, Token) = match error {
        HedgeError::Failed { attempts, error } => ("exhausted", attempts, error.value),
        HedgeError::Fatal { attempts, error } => ("operation", attempts, error.value),
        HedgeError::Config(error) => return Error::config(error),
        _ => return Error::unknown(),
    };
    Error { attempts: Some(attempts), value: Some(Value::Token(value)), ..Error::new(kind) }
}
