//! The patterns, set up as a scenario says.

mod backoff;
mod bulkhead;
mod cache;
mod circuit_breaker;
mod edges;
mod feed;
mod memoize;
mod parallel;
mod polling;
mod pool;
mod rate_limiter;
mod retry;
mod single_flight;
mod stream;
mod timeout;
mod waterfall;

use wire::{Config, Order, Request, Token};

use crate::arena::{Owned, place};
use crate::world::{Outcome, World};

/// How a caller ends.
pub type Ending = Owned<Outcome>;

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

/// The pattern of a scenario.
pub fn set_up(world: &'static World) -> &'static dyn Subject {
    match &world.scenario.config {
        Config::Timeout { after } => place(timeout::Timing(*after)),
        Config::Retry(config) => place(retry::Retrying::new(config, world.scenario.form)),
        Config::Edges(config) => place(edges::Edges::new(*config)),
        Config::Stream(config) => place(stream::Source::new(*config)),
        Config::Waterfall { steps, named } => place(waterfall::Steps { steps: *steps, named: *named }),
        Config::Polling(config) => place(polling::Asking(config)),
        Config::RateLimiter(config) => rate_limiter::set_up(*config),
        Config::Parallel(config) => place(parallel::Many(*config)),
        Config::ParallelStream(config) => place(parallel::Through::new(*config)),
        Config::Pool { concurrency, max_queued } => place(pool::Jobs::new(*concurrency, *max_queued)),
        Config::Bulkhead { max_concurrent, max_waiting, max_wait } => {
            place(bulkhead::Guarding::new(*max_concurrent, *max_waiting, *max_wait))
        }
        Config::SingleFlight { capacity, max_waiting, tells_shared } => {
            place(single_flight::Sharing::new(*capacity, *max_waiting, *tells_shared))
        }
        Config::Cache(config) => place(cache::Caching::new(*config, world)),
        Config::Memoize { capacity, max_waiting } => place(memoize::Memoizing::new(*capacity, *max_waiting)),
        Config::CircuitBreaker(config) => circuit_breaker::set_up(config, world),
    }
}
