//! The batcher: its operation has the list of its callers' arguments, and ends with a list of results.

use aplomb::{BatchError, Batcher, time};
use aplomb_embassy::Embassy;
use heapless::Vec;
use wire::{Order, Request, Token, config};

use super::{Ending, Subject, numbers};
use crate::world::{Error, Failure, Output, Value, World};

/// A batcher, which its callers share.
pub struct Batching {
    batcher: Batcher<Embassy, Token, Token, Failure>,
    once: bool,
}

/// A result for each item.
type Rows = Vec<Result<Token, Failure>, 16>;

impl Batching {
    pub fn new(config: config::Batcher, world: &'static World) -> Self {
        numbers::know(world);
        let batcher = Batcher::new(config.max_items).max_wait(time::duration(config.max_wait));
        let batcher = match config.max_weight {
            Some(weight) => batcher.max_weight(weight).weigh_by(|item| numbers::weight(*item)),
            None => batcher,
        };
        let batcher = config.max_waiting.into_iter().fold(batcher, Batcher::max_waiting);
        let batcher = config.max_concurrent.into_iter().fold(batcher, Batcher::max_concurrent);
        Self { batcher, once: config.once }
    }
}

impl Subject for Batching {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        Ending::new(async move {
            let item = arg.unwrap_or(Token::NULL);
            let load = async |items: Vec<Token, 16>| load(world, id, &items).await;
            let outcome = if self.once { self.batcher.call_once(item, load).await } else { self.batcher.call(item, load).await };
            outcome.map(Output::One).map_err(explain)
        })
    }

    fn act(&self, _order: Order) {
        self.batcher.flush();
    }
}

async fn load(world: &'static World, by: Token, items: &[Token]) -> Result<Rows, Failure> {
    let value = world.start_for(by, items).await?;
    if value == Token::ARG {
        return Ok(items.iter().map(|item| Ok(*item)).collect());
    }
    let failure = |value| Failure { value, retry_after: None };
    Ok(match world.list(value) {
        Some(list) => list.results.into_iter().map(|result| result.map_err(failure)).collect(),
        None => [Ok(value)].into_iter().collect(),
    })
}

fn explain(error: BatchError<Failure>) -> Error {
    match error {
        BatchError::QueueFull { .. } => Error::new("queue_full"),
        BatchError::WrongLength { items, results } => {
            Error { value: Some(Value::WrongLength { items, results }), ..Error::new("wrong_length") }
        }
        BatchError::Abandoned => Error::new("abandoned"),
        BatchError::Failed(failure) => Error::operation(failure),
        BatchError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
