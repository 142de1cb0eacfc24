//! The fallback, to a value or to another start of the operation.

use std::rc::Rc;

use aplomb::fallback::{fallback, fallback_value};
use serde_json::json;

use super::{Ending, Subject, details};
use crate::config::FallbackConfig;
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

impl<S: Stage + 'static> Subject<S> for FallbackConfig {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let Self { value, fallback_if } = self.clone();
        Box::pin(async move {
            let is_for = |failure: &Failure| fallback_if.as_ref().is_none_or(|listed| listed.contains(&failure.value));
            // Started at the first poll, as all of it is.
            let operation = async { world.start(&id, arg.as_ref()).await };
            let outcome = if let Some(value) = value {
                fallback_value(operation, value).fallback_if(is_for).await
            } else {
                let alternative = |failure: Failure| world.start(&id, Some(&failure.value));
                fallback(operation, alternative).fallback_if(is_for).await
            };
            outcome.map_err(|failure| ("operation", details(json!({ "value": failure.value }))))
        })
    }
}
