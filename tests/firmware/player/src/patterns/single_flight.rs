//! Single flight: its callers share by key.

use aplomb::SingleFlight;
use aplomb::single_flight::Restarts;
use aplomb_embassy::Embassy;
use wire::{Order, Request, Token};

use super::cache::explain;
use super::{Ending, Subject};
use crate::world::{Failure, Output, World};

type Flight = SingleFlight<Embassy, Token, Token, Failure, Restarts>;

/// A single flight, and whether its callers tell what was shared.
pub struct Sharing {
    flight: Flight,
    tells_shared: bool,
}

impl Sharing {
    pub fn new(capacity: Option<u32>, max_waiting: Option<u32>, tells_shared: bool) -> Self {
        let flight = capacity.into_iter().fold(Flight::new(), |flight, most| flight.capacity(most as usize));
        Self { flight: max_waiting.into_iter().fold(flight, Flight::max_waiting), tells_shared }
    }
}

impl Subject for Sharing {
    fn call(&'static self, world: &'static World, Request { id, arg, key, .. }: Request) -> Ending {
        Ending::new(async move {
            let run = self.flight.run(&key, || world.start(id, arg)).with_shared().await;
            match run.result {
                Ok(value) if self.tells_shared => Ok(Output::Shared(value, run.is_shared)),
                Ok(value) => Ok(Output::One(value)),
                Err(error) => Err(explain(error)),
            }
        })
    }

    fn act(&self, order: Order) {
        self.flight.forget(&order.key);
    }
}
