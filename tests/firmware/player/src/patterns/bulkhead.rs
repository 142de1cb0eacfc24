//! The bulkhead.

use aplomb::{Bulkhead, BulkheadError, time};
use aplomb_embassy::Embassy;
use wire::{Order, Request, Verb, config};

use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// A bulkhead, which its callers share.
pub struct Guarding(Bulkhead<Embassy>);

impl Guarding {
    pub fn new(config: config::Bulkhead) -> Self {
        Self(build(config))
    }
}

/// A bulkhead as a scenario says.
pub fn build(config: config::Bulkhead) -> Bulkhead<Embassy> {
    let bulkhead = Bulkhead::new(config.max_concurrent).max_wait(time::duration(config.max_wait));
    config.max_waiting.into_iter().fold(bulkhead, Bulkhead::max_waiting)
}

impl Subject for Guarding {
    fn call(&'static self, world: &'static World, Request { id, arg, waits, .. }: Request) -> Ending {
        Ending::new(async move {
            let operation = || world.start(id, arg);
            let run = if waits { self.0.run(operation) } else { self.0.try_run(operation) };
            run.await.map(Output::One).map_err(explain)
        })
    }

    fn act(&self, Order { verb, number, .. }: Order) {
        match verb {
            // What is refused changes nothing.
            Verb::SetConcurrency => _ = self.0.set_max_concurrent(number),
            Verb::Close => self.0.close(),
            _ => {}
        }
    }
}

fn explain(error: BulkheadError<Failure>) -> Error {
    match error {
        // To try is to wait in a queue without places.
        BulkheadError::QueueFull { .. } | BulkheadError::Busy => Error::new("queue_full"),
        BulkheadError::TimedOut { .. } => Error::new("timeout"),
        BulkheadError::Closed => Error::new("closed"),
        BulkheadError::Failed(failure) => Error::operation(failure),
        BulkheadError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
