//! A pool, and the jobs in it.

use core::convert::Infallible;

use aplomb::{Pool, PoolError};
use aplomb_embassy::Embassy;
use wire::{Order, Request, Token, Verb};

use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// A pool, which its callers share.
pub struct Jobs(Pool<Embassy>);

impl Jobs {
    pub fn new(concurrency: u32, max_queued: Option<u32>) -> Self {
        Self(max_queued.into_iter().fold(Pool::new(concurrency), Pool::max_queued))
    }
}

impl Subject for Jobs {
    fn call(&'static self, world: &'static World, Request { id, arg, waits, priority, drained, .. }: Request) -> Ending {
        Ending::new(async move {
            if drained {
                let ended = self.0.drained().await.map(|()| Output::One(Token::NULL));
                return ended.map_err(|error| explain(error, |never: Infallible| match never {}));
            }
            let job = || world.start(id, arg);
            let call = if waits { self.0.run(job) } else { self.0.try_run(job) };
            call.priority(priority).await.map(Output::One).map_err(|error| explain(error, |failure: Failure| failure.value))
        })
    }

    fn act(&self, Order { verb, number, .. }: Order) {
        match verb {
            Verb::Pause => self.0.pause(),
            Verb::Resume => self.0.resume(),
            Verb::Close => self.0.close(),
            Verb::CancelWaiting => _ = self.0.cancel_waiting(),
            // Zero is refused, and changes nothing.
            Verb::SetConcurrency => _ = self.0.set_concurrency(number),
            _ => {}
        }
    }
}

fn explain<E>(error: PoolError<E>, value: impl FnOnce(E) -> Token) -> Error {
    match error {
        PoolError::Closed => Error::new("closed"),
        PoolError::QueueFull { .. } | PoolError::Busy => Error::new("queue_full"),
        PoolError::Cancelled => Error::new("cancelled"),
        PoolError::Failed(error) => Error::of("operation", value(error)),
        PoolError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
