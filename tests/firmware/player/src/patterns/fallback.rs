//! The fallback, to a value or to another start of the operation.

use aplomb::fallback::{fallback, fallback_value};
use wire::{Request, config};

use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// What takes the place of a failure.
pub struct Instead(pub &'static config::Fallback);

impl Subject for Instead {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        let config = self.0;
        Ending::new(async move {
            let is_for = |failure: &Failure| config.fallback_if.as_ref().is_none_or(|listed| listed.contains(&failure.value));
            // Started at the first poll, as all of it is.
            let operation = async { world.start(id, arg).await };
            let outcome = if let Some(value) = config.value {
                fallback_value(operation, value).fallback_if(is_for).await
            } else {
                let alternative = |failure: Failure| world.start(id, Some(failure.value));
                fallback(operation, alternative).fallback_if(is_for).await
            };
            outcome.map(Output::One).map_err(Error::operation)
        })
    }
}
