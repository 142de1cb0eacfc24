//! Debounce and throttle: as calls, and with a driver.

use std::rc::Rc;

use aplomb::edge::{EdgeError, Gate, Mode, Reject, Share, Trigger};
use aplomb::{Ambient, Debounce, Platform, Throttle};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{EdgesConfig, Superseded};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A debounce or a throttle, which its callers share.
pub(super) struct Edges<P: Platform> {
    calls: Calls<P>,
    triggers: Rc<Kind<P, Trigger<Value>>>,
}

/// What becomes of callers.
enum Calls<P: Platform> {
    Reject(Rc<Kind<P, Reject>>),
    Share(Rc<Kind<P, Shared<P>>>),
}

type Shared<P> = Share<Result<Value, Failure>, <P as Platform>::Storage>;

/// One of the two.
enum Kind<P: Platform, M> {
    Debounce(Debounce<P, M>),
    Throttle(Throttle<P, M>),
}

/// Does the same to whichever it is.
macro_rules! either {
    ($kind:expr, $gate:ident => $act:expr) => {
        match $kind {
            Kind::Debounce($gate) => $act,
            Kind::Throttle($gate) => $act,
        }
    };
}

impl<P: Platform<Clock: Ambient>, M: Mode> Kind<P, M> {
    fn new(config: &EdgesConfig) -> Self {
        if config.debounces {
            Self::Debounce(Gate::with_terms(P::Clock::CLOCK, config.terms))
        } else {
            Self::Throttle(Gate::with_terms(P::Clock::CLOCK, config.terms))
        }
    }
}

impl<P: Platform<Clock: Ambient + Copy> + 'static> Edges<P> {
    pub(super) fn new(config: &EdgesConfig) -> Self {
        let calls = match config.superseded {
            Superseded::Reject => Calls::Reject(Rc::new(Kind::new(config))),
            Superseded::Share => Calls::Share(Rc::new(Kind::new(config))),
        };
        Self { calls, triggers: Rc::new(Kind::new(config)) }
    }
}

impl<S: Stage + 'static> Subject<S> for Edges<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        match &self.calls {
            Calls::Reject(gate) => {
                let gate = Rc::clone(gate);
                Box::pin(async move {
                    let operation = || world.start(&id, arg.as_ref());
                    either!(&*gate, gate => gate.call(operation).await).map_err(explain)
                })
            }
            Calls::Share(gate) => {
                let gate = Rc::clone(gate);
                Box::pin(async move {
                    let operation = || world.start(&id, arg.as_ref());
                    either!(&*gate, gate => gate.call(operation).await).map_err(explain)
                })
            }
        }
    }

    fn drive(&self, world: &Rc<World<S>>) {
        let (gate, starts) = (Rc::clone(&self.triggers), Rc::clone(world));
        world.stage.spawn(Box::pin(async move {
            let operation = |value: Value| {
                let running = starts.start("driver", Some(&value));
                async {
                    // What becomes of it, a trigger's caller does not learn.
                    let _ended = running.await;
                }
            };
            either!(&*gate, gate => gate.run(operation).await);
        }));
    }

    fn act(&self, Order { verb, value, .. }: Order) {
        match &*verb {
            "trigger" => either!(&*self.triggers, gate => gate.trigger(value.unwrap_or_default())),
            "cancel" => {
                match &self.calls {
                    Calls::Reject(gate) => either!(&**gate, gate => gate.cancel()),
                    Calls::Share(gate) => either!(&**gate, gate => gate.cancel()),
                };
                either!(&*self.triggers, gate => gate.cancel());
            }
            "flush" => {
                match &self.calls {
                    Calls::Reject(gate) => either!(&**gate, gate => gate.flush()),
                    Calls::Share(gate) => either!(&**gate, gate => gate.flush()),
                };
                either!(&*self.triggers, gate => gate.flush());
            }
            _ => {}
        }
    }

    fn is_busy(&self) -> bool {
        either!(&*self.triggers, gate => gate.is_pending())
    }
}

fn explain(error: EdgeError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        EdgeError::Superseded => ("superseded", Map::new()),
        EdgeError::Cancelled => ("cancelled", Map::new()),
        EdgeError::Full { .. } => ("queue_full", Map::new()),
        EdgeError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        EdgeError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
