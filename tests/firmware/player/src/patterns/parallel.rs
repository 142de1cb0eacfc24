//! Parallel with a limit: awaited, and as a stream.

use core::convert::Infallible;
use core::pin::pin;

use aplomb::edge::Stream;
use aplomb::{Parallel, ParallelError};
use aplomb_embassy::Embassy;
use wire::config;
use wire::{Order, Request, Token};

use super::feed::{Feed, Items, next};
use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// An operation for each item of a call.
pub struct Many(pub config::Parallel);

impl Subject for Many {
    fn call(&'static self, world: &'static World, Request { id, items, .. }: Request) -> Ending {
        let config::Parallel { limit, collects, by_completion } = self.0;
        Ending::new(async move {
            let operation = |item: Token| world.start(id, Some(item));
            let parallel = Parallel::<Embassy, _, _, _>::of_items(items, limit as usize, operation);
            let parallel = if by_completion { parallel.completion_order() } else { parallel };
            if collects {
                let results = parallel.keep_going().await.map_err(|error| explain(error, |never: Infallible| match never {}))?;
                Ok(Output::Results(results.as_slice().iter().map(|result| result.map_err(|failure| failure.value)).collect()))
            } else {
                let values = parallel.await.map_err(|error| explain(error, |failure: Failure| failure.value))?;
                Ok(Output::List(values.as_slice().iter().copied().collect()))
            }
        })
    }
}

/// A stream that goes through an operation.
pub struct Through {
    config: config::Parallel,
    feed: Feed,
}

impl Through {
    pub fn new(config: config::Parallel) -> Self {
        Self { config, feed: Feed::default() }
    }

    /// Records all that comes out.
    async fn record<S>(&'static self, out: S, world: &'static World)
    where
        S: Stream<Item = Result<Token, ParallelError<Failure>>>,
    {
        let mut out = pin!(out);
        while let Some(result) = next(out.as_mut()).await {
            let item = match result {
                Err(ParallelError::Failed { error, .. }) => Err(error.value),
                Ok(value) => Ok(value),
                Err(error) => {
                    world.end_stream(Some(explain(error, |failure: Failure| failure.value)));
                    return self.feed.drain();
                }
            };
            world.item(&Output::Either(item));
        }
        world.end_stream(None);
        self.feed.drain();
    }
}

impl Subject for Through {
    /// Nobody calls a stream: the scenario has been read strictly.
    fn call(&'static self, _world: &'static World, _request: Request) -> Ending {
        Ending::new(core::future::pending())
    }

    fn drive(&'static self, world: &'static World) {
        let config::Parallel { limit, collects, by_completion } = self.config;
        let operation = move |item: Token| world.start(Token::DRIVER, Some(item));
        let out = Parallel::<Embassy, _, _, _>::of_stream(Items(&self.feed), limit as usize, operation);
        let out = if by_completion { out.completion_order() } else { out };
        if collects {
            world.drive(self.record(out.keep_going(), world));
        } else {
            world.drive(self.record(out, world));
        }
    }

    fn act(&self, _end: Order) {
        self.feed.end();
    }

    fn feed(&self, item: Token) {
        self.feed.push(item);
    }

    fn is_busy(&self) -> bool {
        !self.feed.is_drained()
    }
}

fn explain<E>(error: ParallelError<E>, value: impl FnOnce(E) -> Token) -> Error {
    match error {
        ParallelError::Failed { index, error } => Error { index: Some(index), ..Error::of("operation", value(error)) },
        ParallelError::Full { .. } => Error::new("full"),
        ParallelError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
