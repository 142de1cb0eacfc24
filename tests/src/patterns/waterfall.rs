//! Waterfalls of one to five steps.

use std::rc::Rc;

use aplomb::waterfall::{WaterfallError, waterfall};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{Steps, WaterfallConfig};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

impl<S: Stage + 'static> Subject<S> for WaterfallConfig {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let (number, names) = match &self.steps {
            Steps::Number(number) => (*number, None),
            Steps::Names(names) => (names.len(), Some(names.clone())),
        };
        // The chain borrows its names from the program; of those of a file there are few.
        let names: Vec<&'static str> = names.into_iter().flatten().map(|name| &*name.leak()).collect();
        Box::pin(async move {
            let step = |input: Value| world.start(&id, Some(&input));
            let input = arg.unwrap_or_default();
            let result = match (number, &*names) {
                (1, []) => waterfall(step).run(input).await,
                (2, []) => waterfall(step).then(step).run(input).await,
                (3, []) => waterfall(step).then(step).then(step).run(input).await,
                (4, []) => waterfall(step).then(step).then(step).then(step).run(input).await,
                (_, []) => waterfall(step).then(step).then(step).then(step).then(step).run(input).await,
                (_, &[a]) => waterfall(step).named(a).run(input).await,
                (_, &[a, b]) => waterfall(step).named(a).then(step).named(b).run(input).await,
                (_, &[a, b, c]) => waterfall(step).named(a).then(step).named(b).then(step).named(c).run(input).await,
                (_, &[a, b, c, d, ..]) => {
                    waterfall(step).named(a).then(step).named(b).then(step).named(c).then(step).named(d).run(input).await
                }
            };
            result.map_err(explain)
        })
    }
}

fn explain(error: WaterfallError<Failure>) -> (&'static str, Map<String, Value>) {
    let WaterfallError { step, name, error } = error;
    let mut json = json!({ "value": error.value, "step": step });
    if let Some(name) = name {
        json["name"] = name.into();
    }
    ("operation", details(json))
}
