//! The patterns, set up as a scenario says.

mod adaptive_limit;
mod batcher;
mod bulkhead;
mod cache;
mod circuit_breaker;
mod edges;
mod fallback;
mod feed;
mod hedge;
mod memoize;
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

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde_json::{Map, Value};

use self::batcher::Batching;
use self::bulkhead::Guarding;
use self::cache::Caching;
use self::edges::Edges;
use self::memoize::Memoizing;
use self::parallel::Through;
use self::pipeline::Piping;
use self::pool::Jobs;
use self::retry::Retrying;
use self::stream::Source;
use crate::config::Pattern;
use crate::interpreter::World;
use crate::scenario::{Order, Request};
use crate::stage::Stage;
use crate::trace::Outcome;

/// How a retry is called. All forms play the same scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `policy.call(op)`, told more, and awaited.
    #[default]
    Call,
    /// `policy.call_numbered(op)`.
    Numbered,
    /// `policy.run_with_between(&mut context, op, between)`.
    With,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Call, Self::Numbered, Self::With];

    /// Those that a pattern has.
    #[must_use]
    pub fn of(pattern: &Pattern) -> &'static [Self] {
        if matches!(pattern, Pattern::Retry(_)) { &Self::ALL } else { &[Self::Call] }
    }
}

/// How a caller ends.
pub(crate) type Ending = Pin<Box<dyn Future<Output = Outcome>>>;

/// A pattern, which the callers of a scenario share.
pub(crate) trait Subject<S: Stage> {
    /// Calls it.
    fn call(&self, world: Rc<World<S>>, request: Request) -> Ending;

    /// Starts the task that it needs beside its callers.
    fn drive(&self, _world: &Rc<World<S>>) {}

    /// Does to the pattern itself what the script says.
    fn act(&self, _order: Order) {}

    /// An item for the pattern that is a stream.
    fn feed(&self, _item: Value) {}

    /// Whether there is something to come that no caller waits for.
    fn is_busy(&self) -> bool {
        false
    }
}

/// The pattern of a scenario.
pub(crate) fn set_up<S: Stage + 'static>(pattern: &Pattern, form: Form) -> Rc<dyn Subject<S>> {
    match pattern {
        Pattern::Timeout(config) => Rc::new(config.clone()),
        Pattern::Retry(config) => Rc::new(Retrying::<S::Platform>::new(config, form)),
        Pattern::Edges(config) => Rc::new(Edges::<S::Platform>::new(config)),
        Pattern::Stream(config) => Rc::new(Source::new(config)),
        Pattern::Batcher(config) => Rc::new(Batching::<S::Platform>::new(config)),
        Pattern::Bulkhead(config) => Rc::new(Guarding::<S::Platform>::new(config)),
        Pattern::AdaptiveLimit(config) => adaptive_limit::set_up(config),
        Pattern::Cache(config) => Rc::new(Caching::<S::Platform>::new(config)),
        Pattern::Memoize(config) => Rc::new(Memoizing::<S>::new(config)),
        Pattern::Polling(config) => Rc::new((**config).clone()),
        Pattern::Pool(config) => Rc::new(Jobs::<S::Platform>::new(config)),
        Pattern::Waterfall(config) => Rc::new(config.clone()),
        Pattern::RateLimiter(config) => rate_limiter::set_up(config),
        Pattern::Hedge(config) => hedge::set_up(config),
        Pattern::Fallback(config) => Rc::new(config.clone()),
        Pattern::CircuitBreaker(config) => circuit_breaker::set_up(config),
        Pattern::Pipeline(config) => Rc::new(Piping::<S::Platform>::new(config)),
        Pattern::Parallel(config) => Rc::new(*config),
        Pattern::SingleFlight(config) => single_flight::set_up(*config),
        Pattern::ParallelStream(config) => Rc::new(Through::new(*config)),
    }
}

pub(crate) fn details(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(details) => details,
        _ => Map::new(),
    }
}
