//! The bulkhead.

use std::rc::Rc;

use aplomb::{Ambient, Bulkhead, BulkheadError, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::BulkheadConfig;
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A bulkhead, which its callers share.
pub(super) struct Guarding<P: Platform>(Rc<Bulkhead<P>>);

impl<P: Platform<Clock: Ambient>> Guarding<P> {
    pub(super) fn new(config: &BulkheadConfig) -> Self {
        Self(Rc::new(build(config)))
    }
}

/// The bulkhead of a scenario.
pub(super) fn build<P: Platform<Clock: Ambient>>(config: &BulkheadConfig) -> Bulkhead<P> {
    let bulkhead = Bulkhead::new(config.max_concurrent).max_wait(config.max_wait.duration());
    match config.max_waiting {
        Some(max_waiting) => bulkhead.max_waiting(max_waiting),
        None => bulkhead,
    }
}

impl<S: Stage + 'static> Subject<S> for Guarding<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, waits, .. }: Request) -> Ending {
        let bulkhead = Rc::clone(&self.0);
        Box::pin(async move {
            let operation = || world.start(&id, arg.as_ref());
            let run = if waits { bulkhead.run(operation) } else { bulkhead.try_run(operation) };
            run.await.map_err(explain)
        })
    }

    fn act(&self, Order { verb, value, .. }: Order) {
        match &*verb {
            "set_max_concurrent" => {
                let max_concurrent = value.as_ref().and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
                // What is refused changes nothing.
                let _refused = max_concurrent.map(|max_concurrent| self.0.set_max_concurrent(max_concurrent));
            }
            "close" => self.0.close(),
            _ => {}
        }
    }
}

fn explain(error: BulkheadError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        // To try is to wait in a queue without places.
        BulkheadError::QueueFull { .. } | BulkheadError::Busy => ("queue_full", Map::new()),
        BulkheadError::TimedOut { .. } => ("timeout", Map::new()),
        BulkheadError::Closed => ("closed", Map::new()),
        BulkheadError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        BulkheadError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
