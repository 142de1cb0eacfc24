//! Single flight: its callers share by key.

use std::rc::Rc;

use aplomb::single_flight::{self, Shared, Succession, Survives};
use aplomb::{FlightError, Platform, SingleFlight};
use send_wrapper::SendWrapper;
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::SingleFlightConfig;
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;
use crate::trace::Outcome;

type Flight<P, W> = SingleFlight<P, String, Value, Failure, W>;

/// One whose operations belong to their callers.
struct Restarts<P: Platform> {
    flight: Rc<Flight<P, single_flight::Restarts>>,
    tells_shared: bool,
}

/// One whose operations survive them.
struct Remains<P: Platform> {
    flight: Rc<Flight<P, Survives>>,
    tells_shared: bool,
}

/// The single flight of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: SingleFlightConfig) -> Rc<dyn Subject<S>> {
    let tells_shared = config.tells_shared;
    if config.survives {
        Rc::new(Remains { flight: Rc::new(limited(SingleFlight::surviving(), config)), tells_shared })
    } else {
        Rc::new(Restarts { flight: Rc::new(limited(SingleFlight::new(), config)), tells_shared })
    }
}

fn limited<P: Platform, W: Succession>(flight: Flight<P, W>, config: SingleFlightConfig) -> Flight<P, W> {
    let flight = config.capacity.into_iter().fold(flight, Flight::capacity);
    config.max_waiting.into_iter().fold(flight, Flight::max_waiting)
}

impl<S: Stage + 'static> Subject<S> for Restarts<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, .. }: Request) -> Ending {
        let (flight, tells_shared) = (Rc::clone(&self.flight), self.tells_shared);
        Box::pin(async move {
            let run = flight.run(&*written(key.as_ref()), || world.start(&id, arg.as_ref())).with_shared().await;
            tell(run, tells_shared)
        })
    }

    fn act(&self, order: Order) {
        self.flight.forget(&*written(order.key.as_ref()));
    }
}

impl<S: Stage + 'static> Subject<S> for Remains<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, .. }: Request) -> Ending {
        let (flight, tells_shared) = (Rc::clone(&self.flight), self.tells_shared);
        Box::pin(async move {
            // All of a scenario happens on one thread.
            let operation = || SendWrapper::new(world.start(&id, arg.as_ref()));
            let run = flight.run(&*written(key.as_ref()), operation).with_shared().await;
            tell(run, tells_shared)
        })
    }

    fn act(&self, order: Order) {
        self.flight.forget(&*written(order.key.as_ref()));
    }
}

/// A key as it is written; that of a call without one is none other's.
fn written(key: Option<&Value>) -> String {
    key.map_or_else(String::new, Value::to_string)
}

fn tell(run: Shared<Result<Value, FlightError<Failure>>>, tells_shared: bool) -> Outcome {
    match run.result {
        Ok(value) if tells_shared => Ok(json!({ "value": value, "shared": run.is_shared })),
        Ok(value) => Ok(value),
        Err(FlightError::Full { .. }) => Err(("full", Map::new())),
        Err(FlightError::QueueFull { .. }) => Err(("queue_full", Map::new())),
        Err(FlightError::Failed(failure)) => Err(("operation", details(json!({ "value": failure.value })))),
        Err(FlightError::Config(error)) => Err(("config", details(json!({ "value": error.to_string() })))),
        // The enum may grow; a scenario then says which kind it expects.
        Err(_) => Err(("unknown", Map::new())),
    }
}
