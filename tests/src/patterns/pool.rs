//! A pool, and the jobs in it.

use std::rc::Rc;

use aplomb::{Platform, Pool, PoolError};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::PoolConfig;
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A pool, which its callers share.
pub(super) struct Jobs<P: Platform> {
    pool: Rc<Pool<P>>,
}

impl<P: Platform> Jobs<P> {
    pub(super) fn new(config: &PoolConfig) -> Self {
        let pool = Pool::new(config.concurrency);
        Self { pool: Rc::new(if let Some(jobs) = config.max_queued { pool.max_queued(jobs) } else { pool }) }
    }
}

impl<S: Stage + 'static> Subject<S> for Jobs<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, waits, priority, drained, .. }: Request) -> Ending {
        let pool = Rc::clone(&self.pool);
        Box::pin(async move {
            if drained {
                return pool.drained().await.map(|()| Value::Null).map_err(|error| explain(error, |never| match never {}));
            }
            let job = || world.start(&id, arg.as_ref());
            let call = if waits { pool.run(job) } else { pool.try_run(job) };
            call.priority(priority.unwrap_or(0)).await.map_err(|error| explain(error, |failure: Failure| failure.value))
        })
    }

    fn act(&self, Order { verb, value, .. }: Order) {
        match &*verb {
            "pause" => self.pool.pause(),
            "resume" => self.pool.resume(),
            "close" => self.pool.close(),
            "cancel_waiting" => _ = self.pool.cancel_waiting(),
            "set_concurrency" => {
                let value = value.as_ref().and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
                // Zero is refused, and changes nothing.
                let _refused = self.pool.set_concurrency(value.unwrap_or(0));
            }
            _ => {}
        }
    }
}

fn explain<E>(error: PoolError<E>, value: impl FnOnce(E) -> Value) -> (&'static str, Map<String, Value>) {
    match error {
        PoolError::Closed => ("closed", Map::new()),
        PoolError::QueueFull { .. } | PoolError::Busy => ("queue_full", Map::new()),
        PoolError::Cancelled => ("cancelled", Map::new()),
        PoolError::Failed(error) => ("operation", details(json!({ "value": value(error) }))),
        PoolError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
