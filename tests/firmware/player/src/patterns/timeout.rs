use aplomb::{Timeout, TimeoutError, time};
use aplomb_embassy::EmbassyClock;
use wire::{Nanos, Request};

use super::{Ending, Subject};
use crate::world::{Error, Output, World};

/// A timeout.
pub struct Timing(pub Nanos);

impl Subject for Timing {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        Ending::new(async move {
            let operation = async { world.start(id, arg).await };
            let result = Timeout::with_clock(EmbassyClock, time::duration(self.0), operation).await;
            result.map(Output::One).map_err(|error| match error {
                TimeoutError::TimedOut { .. } => Error::new("timeout"),
                TimeoutError::Failed(failure) => Error::operation(failure),
            })
        })
    }
}
