//! Parallel with a limit: awaited, and as a stream.

use std::pin::Pin;
use std::rc::Rc;

use aplomb::edge::Stream;
use aplomb::storage::Slots;
use aplomb::{Parallel, ParallelError};
use futures_lite::StreamExt;
use serde_json::{Map, Value, json};

use super::feed::{Feed, Items};
use super::{Ending, Subject, details};
use crate::config::{OnError, Order, ParallelConfig};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order as Verb, Request};
use crate::stage::Stage;
use crate::trace::What;

impl<S: Stage + 'static> Subject<S> for ParallelConfig {
    fn call(&self, world: Rc<World<S>>, Request { id, items, .. }: Request) -> Ending {
        let Self { limit, on_error, order } = *self;
        Box::pin(async move {
            let operation = |item: Value| world.start(&id, Some(&item));
            let parallel = Parallel::<S::Platform, _, _, _>::of_items(items.unwrap_or_default(), limit, operation);
            let parallel = if order == Order::Completion { parallel.completion_order() } else { parallel };
            match on_error {
                OnError::FailFast => {
                    parallel.await.map(|values| values.as_slice().into()).map_err(|error| explain(error, |failure| failure.value))
                }
                OnError::Collect => match parallel.keep_going().await {
                    Ok(results) => Ok(results.as_slice().iter().cloned().map(either).collect()),
                    Err(error) => Err(explain(error, |never| match never {})),
                },
            }
        })
    }
}

/// A stream that goes through an operation.
pub(super) struct Through {
    config: ParallelConfig,
    feed: Rc<Feed>,
}

impl Through {
    pub(super) fn new(config: ParallelConfig) -> Self {
        Self { config, feed: Rc::default() }
    }
}

impl<S: Stage + 'static> Subject<S> for Through {
    /// Nobody calls a stream: the scenario has been read strictly.
    fn call(&self, _world: Rc<World<S>>, _request: Request) -> Ending {
        Box::pin(std::future::pending())
    }

    /// Records all that comes out.
    fn drive(&self, world: &Rc<World<S>>) {
        let ParallelConfig { limit, on_error, order } = self.config;
        let starts = Rc::clone(world);
        let operation = move |item: Value| starts.start("driver", Some(&item));
        let out = Parallel::<S::Platform, _, _, _>::of_stream(Items(Rc::clone(&self.feed)), limit, operation);
        let out = if order == Order::Completion { out.completion_order() } else { out };
        let mut out: Pin<Box<dyn Stream<Item = Result<Value, ParallelError<Failure>>>>> = match on_error {
            OnError::FailFast => Box::pin(out),
            OnError::Collect => Box::pin(out.keep_going()),
        };
        let (feed, recorder) = (Rc::clone(&self.feed), Rc::clone(world));
        world.stage.spawn(Box::pin(async move {
            while let Some(result) = out.next().await {
                let item = match result {
                    Err(ParallelError::Failed { error, .. }) => Err(error),
                    Ok(value) => Ok(value),
                    Err(error) => {
                        let result = Err(explain(error, |failure| failure.value));
                        recorder.record(What::End { id: "stream".to_owned(), result });
                        return feed.drain();
                    }
                };
                recorder.record(What::Item { item: either(item) });
            }
            recorder.record(What::EndOfStream);
            feed.drain();
        }));
    }

    fn act(&self, _end: Verb) {
        self.feed.end();
    }

    fn feed(&self, item: Value) {
        self.feed.push(item);
    }

    fn is_busy(&self) -> bool {
        !self.feed.is_drained()
    }
}

fn either(result: Result<Value, Failure>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(failure) => json!({ "err": failure.value }),
    }
}

fn explain<E>(error: ParallelError<E>, value: impl FnOnce(E) -> Value) -> (&'static str, Map<String, Value>) {
    match error {
        ParallelError::Failed { index, error } => ("operation", details(json!({ "value": value(error), "index": index }))),
        ParallelError::Full { .. } => ("full", Map::new()),
        ParallelError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
