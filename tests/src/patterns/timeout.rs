use std::rc::Rc;

use aplomb::{Ambient, Platform, Timeout, TimeoutError};
use serde_json::{Map, json};

use super::{Ending, Subject, details};
use crate::config::TimeoutConfig;
use crate::interpreter::World;
use crate::scenario::Request;
use crate::stage::Stage;

impl<S: Stage + 'static> Subject<S> for TimeoutConfig {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let clock = <<S::Platform as Platform>::Clock as Ambient>::CLOCK;
        let after = self.after.duration();
        Box::pin(async move {
            let result = Timeout::with_clock(clock, after, async { world.start(&id, arg.as_ref()).await }).await;
            result.map_err(|error| match error {
                TimeoutError::TimedOut { .. } => ("timeout", Map::new()),
                TimeoutError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
            })
        })
    }
}
