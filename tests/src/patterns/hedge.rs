//! The hedge, at a fixed delay or at a percentile.

use std::marker::PhantomData;
use std::rc::Rc;

use aplomb::hedge::{After, Delay, Percentile, Verdict};
use aplomb::{Ambient, Hedge, HedgeError, Inline, Judge, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::HedgeConfig;
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

/// A hedge, which its callers share.
struct Hedging<P: Platform, D: Delay>(Rc<Written<P, D>>);

/// The values that count as failures, and the errors that are fatal. They leak, a list for each scenario.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    failures: &'static [Value],
    fatal: &'static [Value],
}

impl Judge<Value, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Value, &Failure>) -> Verdict {
        match outcome {
            Ok(value) if self.failures.contains(value) => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(failure) if self.fatal.contains(&failure.value) => Verdict::Fatal,
            Err(_) => Verdict::Failure,
        }
    }
}

/// A hedge as a scenario says.
pub(super) type Written<P, D> = Hedge<P, D, Inline<4>, Listed>;

/// What is done with a hedge, whatever its delay is.
pub(super) trait Use<P: Platform> {
    type Output;

    fn of<D: Delay + 'static>(self, hedge: Written<P, D>) -> Self::Output;
}

/// The hedge of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &HedgeConfig) -> Rc<dyn Subject<S>> {
    with::<S::Platform, _>(config, AsSubject(PhantomData))
}

struct AsSubject<S>(PhantomData<S>);

impl<S: Stage + 'static> Use<S::Platform> for AsSubject<S> {
    type Output = Rc<dyn Subject<S>>;

    fn of<D: Delay + 'static>(self, hedge: Written<S::Platform, D>) -> Rc<dyn Subject<S>> {
        Rc::new(Hedging(Rc::new(hedge)))
    }
}

pub(super) fn with<P: Platform<Clock: Ambient + Copy>, U: Use<P>>(config: &HedgeConfig, user: U) -> U::Output {
    match config.percentile {
        None => user.of(build(config, After::new(config.after.unwrap_or(Millis::NEVER).duration()))),
        Some(percentile) => {
            let delay = Percentile::new(percentile.share())
                .initial_delay(percentile.initial.duration())
                .max_delay(percentile.max.duration());
            let delay = percentile.min_samples.into_iter().fold(delay, Percentile::min_samples);
            let delay = percentile.min.map(Millis::duration).into_iter().fold(delay, Percentile::min_delay);
            user.of(build(config, delay))
        }
    }
}

fn build<P: Platform<Clock: Ambient + Copy>, D: Delay>(config: &HedgeConfig, delay: D) -> Written<P, D> {
    let hedge = Hedge::with_clock(P::Clock::CLOCK, delay).max_hedges(config.max_hedges);
    let hedge = config.budget.into_iter().fold(hedge, |hedge, budget| hedge.budget(budget.share()).burst(budget.burst));
    hedge.judged_by(Listed { failures: config.failure_values.clone().leak(), fatal: config.fatal_if.clone().leak() })
}

impl<S: Stage + 'static, D: Delay + 'static> Subject<S> for Hedging<S::Platform, D> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let hedge = Rc::clone(&self.0);
        Box::pin(async move { hedge.run(|| world.start(&id, arg.as_ref())).await.map_err(explain) })
    }
}

fn explain(error: HedgeError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        HedgeError::Failed { attempts, error } => ("exhausted", details(json!({ "attempts": attempts, "value": error.value }))),
        HedgeError::Fatal { attempts, error } => ("operation", details(json!({ "attempts": attempts, "value": error.value }))),
        HedgeError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
