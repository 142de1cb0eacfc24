//! The patterns, set up as a scenario says.

mod adaptive_limit;
mod backoff;
mod batcher;
mod bulkhead;
mod cache;
mod circuit_breaker;
mod edges;
mod fallback;
mod feed;
mod hedge;
mod memoize;
mod numbers;
mod parallel;
mod pipeline;
mod polling;
mod pool;
mod rate_limiter;
mod retry;
mod single_flight;
mod stream;
mod timeout;
mod waterfall;

use core::future::Future;

use wire::{Config, Order, Request, Token};

use crate::arena::{Owned, place};
use crate::world::{Outcome, World};

/// How a caller ends.
pub type Ending = Owned<dyn Future<Output = Outcome>>;

/// A pattern, which the callers of a scenario share.
pub trait Subject {
    /// Calls it.
    fn call(&'static self, world: &'static World, request: Request) -> Ending;

    /// Starts the task that it needs beside its callers.
    fn drive(&'static self, _world: &'static World) {}

    /// Does to the pattern itself what the script says.
    fn act(&self, _order: Order) {}

    /// An item for the pattern that is a stream.
    fn feed(&self, _item: Token) {}

    /// Whether there is something to come that no caller waits for.
    fn is_busy(&self) -> bool {
        false
    }
}

/// What makes the pattern of a scenario, if it knows it.
pub type SetUp = fn(&'static World) -> Option<&'static dyn Subject>;

/// Patterns that are a call's own, or bring operations together.
pub fn of_calls(world: &'static World) -> Option<&'static dyn Subject> {
    Some(match &world.scenario.config {
        Config::Timeout { after } => placed(|| timeout::Timing(*after)),
        Config::Retry(config) => placed(|| retry::Retrying::new(config, world.scenario.form)),
        Config::Edges(config) => placed(|| edges::Edges::new(*config)),
        Config::Stream(config) => placed(|| stream::Source::new(*config)),
        Config::Waterfall { steps, named } => placed(|| waterfall::Steps { steps: *steps, named: *named }),
        Config::Polling(config) => placed(|| polling::Asking(config)),
        Config::Parallel(config) => placed(|| parallel::Many(*config)),
        Config::ParallelStream(config) => placed(|| parallel::Through::new(*config)),
        Config::Pool { concurrency, max_queued } => placed(|| pool::Jobs::new(*concurrency, *max_queued)),
        Config::Batcher(config) => placed(|| batcher::Batching::new(*config, world)),
        Config::Hedge(config) => hedge::set_up(config),
        Config::Fallback(config) => placed(|| fallback::Instead(config)),
        _ => return None,
    })
}

/// Patterns that stand before a service, and are shared by its callers.
pub fn of_guards(world: &'static World) -> Option<&'static dyn Subject> {
    Some(match &world.scenario.config {
        Config::CircuitBreaker(config) => circuit_breaker::set_up(config, world),
        Config::Bulkhead(config) => placed(|| bulkhead::Guarding::new(*config)),
        Config::AdaptiveLimit(config) => adaptive_limit::set_up(config, world),
        Config::SingleFlight { capacity, max_waiting, tells_shared } => {
            placed(|| single_flight::Sharing::new(*capacity, *max_waiting, *tells_shared))
        }
        Config::Cache(config) => placed(|| cache::Caching::new(*config, world)),
        Config::Memoize { capacity, max_waiting } => placed(|| memoize::Memoizing::new(*capacity, *max_waiting)),
        _ => return None,
    })
}

/// Rate limiters, for whose rules there is no room beside the other guards.
pub fn of_limiters(world: &'static World) -> Option<&'static dyn Subject> {
    match &world.scenario.config {
        Config::RateLimiter(config) => Some(rate_limiter::set_up(*config)),
        _ => None,
    }
}

/// Pipelines, which are made of all of these.
pub fn of_pipelines(world: &'static World) -> Option<&'static dyn Subject> {
    matches!(world.scenario.config, Config::Pipeline).then(|| placed(|| pipeline::Piping::new(world)))
}

/// In a frame of its own: that of all patterns together would be more than the Cortex-M0 has.
#[inline(never)]
fn placed<S: Subject + 'static>(make: impl FnOnce() -> S) -> &'static dyn Subject {
    place(make())
}
