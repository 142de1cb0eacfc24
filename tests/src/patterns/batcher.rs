//! The batcher: its operation has the list of its callers' arguments, and ends with a list of results.

use std::future::Future;
use std::rc::Rc;

use aplomb::batcher::Answer;
use aplomb::storage::{Slots, Storage};
use aplomb::{Ambient, BatchError, Batcher, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::BatcherConfig;
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A batcher, which its callers share.
pub(super) struct Batching<P: Platform> {
    batcher: Rc<Batcher<P, Value, Value, Failure>>,
    once: bool,
}

type SlotsOf<P> = <<P as Platform>::Storage as Storage>::Slots<Value>;

/// An item's result: `{"err": ..}` is an error of its own.
struct Row(Value);

impl Answer<Value, Failure> for Row {
    fn into_result(self) -> Result<Value, Failure> {
        match self.0.get("err") {
            Some(value) => Err(Failure { value: value.clone(), retry_after: None }),
            None => Ok(self.0),
        }
    }
}

impl<P: Platform<Clock: Ambient>> Batching<P> {
    pub(super) fn new(config: &BatcherConfig) -> Self {
        let batcher = Batcher::new(config.max_items).max_wait(config.max_wait.duration());
        let batcher = match config.max_weight {
            Some(weight) => batcher.max_weight(weight).weigh_by(weigh),
            None => batcher,
        };
        let batcher = config.max_waiting.into_iter().fold(batcher, Batcher::max_waiting);
        let batcher = config.max_concurrent.into_iter().fold(batcher, Batcher::max_concurrent);
        Self { batcher: Rc::new(batcher), once: config.once }
    }
}

fn weigh(item: &Value) -> u32 {
    item.as_u64().and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1)
}

impl<S: Stage + 'static> Subject<S> for Batching<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let (batcher, once) = (Rc::clone(&self.batcher), self.once);
        Box::pin(async move {
            let item = arg.unwrap_or_default();
            let load = |items: SlotsOf<S::Platform>| load(&world, &id, items.as_slice());
            let outcome = if once { batcher.call_once(item, load).await } else { batcher.call(item, load).await };
            outcome.map_err(explain)
        })
    }

    fn act(&self, _order: Order) {
        self.batcher.flush();
    }
}

fn load<S: Stage>(world: &Rc<World<S>>, by: &str, items: &[Value]) -> impl Future<Output = Result<Vec<Row>, Failure>> + use<S> {
    let running = world.start(by, Some(&Value::from(items)));
    async move {
        match running.await? {
            Value::Array(rows) => Ok(rows.into_iter().map(Row).collect()),
            other => Ok(vec![Row(other)]),
        }
    }
}

fn explain(error: BatchError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        BatchError::QueueFull { .. } => ("queue_full", Map::new()),
        BatchError::WrongLength { items, results } => {
            ("wrong_length", details(json!({ "value": format!("{results} results for {items} items") })))
        }
        BatchError::Abandoned => ("abandoned", Map::new()),
        BatchError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        BatchError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
