//! Waterfalls of one to five steps.

use aplomb::waterfall::{WaterfallError, waterfall};
use wire::{Request, Token};

use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// How many steps there are, and whether they have names: the host knows which.
pub struct Steps {
    pub steps: u8,
    pub named: bool,
}

impl Subject for Steps {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        Ending::new(async move {
            let step = |input: Token| world.start(id, Some(input));
            let input = arg.unwrap_or(Token::NULL);
            let result = match (self.steps, self.named) {
                (1, false) => waterfall(step).run(input).await,
                (2, false) => waterfall(step).then(step).run(input).await,
                (3, false) => waterfall(step).then(step).then(step).run(input).await,
                (4, false) => waterfall(step).then(step).then(step).then(step).run(input).await,
                (_, false) => waterfall(step).then(step).then(step).then(step).then(step).run(input).await,
                (1, true) => waterfall(step).named("1").run(input).await,
                (2, true) => waterfall(step).named("1").then(step).named("2").run(input).await,
                (3, true) => waterfall(step).named("1").then(step).named("2").then(step).named("3").run(input).await,
                (_, true) => {
                    waterfall(step).named("1").then(step).named("2").then(step).named("3").then(step).named("4").run(input).await
                }
            };
            result.map(Output::One).map_err(explain)
        })
    }
}

fn explain(WaterfallError { step, name, error }: WaterfallError<Failure>) -> Error {
    Error { step: Some(step), named: name.is_some(), ..Error::operation(error) }
}
