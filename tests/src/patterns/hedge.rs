//! The hedge, at a fixed delay or at a percentile.

use std::rc::Rc;

use aplomb::hedge::{After, Delay, Judge, Percentile};
use aplomb::{Ambient, Hedge, HedgeError, Inline, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::HedgeConfig;
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

/// A hedge, which its callers share.
struct Hedging<P: Platform, D: Delay>(Rc<Hedge<P, D, Inline<4>, Listed>>);

/// The errors that are fatal. It leaks, a list for each scenario.
#[derive(Clone, Copy)]
struct Listed(&'static [Value]);

impl Judge<Failure> for Listed {
    fn is_fatal(&self, failure: &Failure) -> bool {
        self.0.contains(&failure.value)
    }
}

/// The hedge of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &HedgeConfig) -> Rc<dyn Subject<S>> {
    match config.percentile {
        None => build::<S, _>(config, After::new(config.after.map_or(Millis::NEVER, |after| after).duration())),
        Some(percentile) => {
            let delay = Percentile::new(percentile.share())
                .initial_delay(percentile.initial.duration())
                .max_delay(percentile.max.duration());
            let delay = percentile.min_samples.into_iter().fold(delay, Percentile::min_samples);
            build::<S, _>(config, percentile.min.map(Millis::duration).into_iter().fold(delay, Percentile::min_delay))
        }
    }
}

fn build<S: Stage + 'static, D: Delay + 'static>(config: &HedgeConfig, delay: D) -> Rc<dyn Subject<S>> {
    let clock = <S::Platform as Platform>::Clock::CLOCK;
    let hedge = Hedge::with_clock(clock, delay).max_hedges(config.max_hedges);
    let hedge = config.budget.into_iter().fold(hedge, |hedge, budget| hedge.budget(budget.share()).burst(budget.burst));
    let hedge = hedge.judged_by(Listed(config.fatal_if.clone().leak()));
    Rc::new(Hedging::<S::Platform, D>(Rc::new(hedge)))
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
