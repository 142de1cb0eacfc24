//! Debounce and throttle: as calls, and with a driver.

use aplomb::edge::{EdgeError, Gate, Mode, Reject, Share, Terms, Trigger};
use aplomb::{Debounce, Inline, Throttle, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::{Order, Request, Token, Verb, config};

use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// A debounce or a throttle, which its callers share.
pub struct Edges {
    calls: Calls,
    triggers: Kind<Trigger<Token>>,
}

/// What becomes of callers.
enum Calls {
    Reject(Kind<Reject>),
    Share(Kind<Shared>),
}

type Shared = Share<Result<Token, Failure>, Inline<16>>;

/// One of the two.
enum Kind<M> {
    Debounce(Debounce<Embassy, M>),
    Throttle(Throttle<Embassy, M>),
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

impl<M: Mode> Kind<M> {
    fn new(config: config::Edges) -> Self {
        if config.debounces {
            Self::Debounce(Gate::with_terms(EmbassyClock, terms(config)))
        } else {
            Self::Throttle(Gate::with_terms(EmbassyClock, terms(config)))
        }
    }
}

/// What the machine is told.
pub fn terms(config: config::Edges) -> Terms {
    let wait = time::duration(config.wait);
    let terms =
        if config.debounces { Terms::debounce(wait).max_wait(time::duration(config.max_wait)) } else { Terms::throttle(wait) };
    terms.leading(config.leading).trailing(config.trailing)
}

impl Edges {
    pub fn new(config: config::Edges) -> Self {
        let calls = if config.shares { Calls::Share(Kind::new(config)) } else { Calls::Reject(Kind::new(config)) };
        Self { calls, triggers: Kind::new(config) }
    }
}

impl Subject for Edges {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        match &self.calls {
            Calls::Reject(gate) => Ending::new(async move {
                let operation = || world.start(id, arg);
                either!(gate, gate => gate.call(operation).await).map(Output::One).map_err(explain)
            }),
            Calls::Share(gate) => Ending::new(async move {
                let operation = || world.start(id, arg);
                either!(gate, gate => gate.call(operation).await).map(Output::One).map_err(explain)
            }),
        }
    }

    fn drive(&'static self, world: &'static World) {
        world.drive(async move {
            let operation = |value: Token| {
                let running = world.start(Token::DRIVER, Some(value));
                async {
                    // What becomes of it, a trigger's caller does not learn.
                    let _ended = running.await;
                }
            };
            either!(&self.triggers, gate => gate.run(operation).await);
        });
    }

    fn act(&self, Order { verb, value, .. }: Order) {
        match verb {
            Verb::Trigger => either!(&self.triggers, gate => gate.trigger(value)),
            Verb::Cancel => {
                match &self.calls {
                    Calls::Reject(gate) => either!(gate, gate => gate.cancel()),
                    Calls::Share(gate) => either!(gate, gate => gate.cancel()),
                };
                either!(&self.triggers, gate => gate.cancel());
            }
            Verb::Flush => {
                match &self.calls {
                    Calls::Reject(gate) => either!(gate, gate => gate.flush()),
                    Calls::Share(gate) => either!(gate, gate => gate.flush()),
                };
                either!(&self.triggers, gate => gate.flush());
            }
            _ => {}
        }
    }

    fn is_busy(&self) -> bool {
        either!(&self.triggers, gate => gate.is_pending())
    }
}

fn explain(error: EdgeError<Failure>) -> Error {
    match error {
        EdgeError::Superseded => Error::new("superseded"),
        EdgeError::Cancelled => Error::new("cancelled"),
        EdgeError::Full { .. } => Error::new("queue_full"),
        EdgeError::Failed(failure) => Error::operation(failure),
        EdgeError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
