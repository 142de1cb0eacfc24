//! Debounce and throttle, set up as a scenario says: as calls, with a driver, and as streams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::edge::{EdgeError, EdgeStream, Gate, Mode, PaceStream, Reject, Share, Stream, Trigger};
use aplomb::{Ambient, Debounce, Platform, Throttle};
use futures_lite::StreamExt;
use serde_json::{Map, Value, json};

use crate::config::{EdgesConfig, StreamConfig, Superseded};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::patterns::details;
use crate::stage::Stage;
use crate::trace::{Outcome, What};

/// A debounce or a throttle, which its callers share.
pub(crate) struct Edges<P: Platform> {
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
    pub(crate) fn new(config: &EdgesConfig) -> Self {
        let calls = match config.superseded {
            Superseded::Reject => Calls::Reject(Rc::new(Kind::new(config))),
            Superseded::Share => Calls::Share(Rc::new(Kind::new(config))),
        };
        Self { calls, triggers: Rc::new(Kind::new(config)) }
    }

    pub(crate) fn call<S>(&self, world: Rc<World<S>>, id: String, arg: Option<Value>) -> Pin<Box<dyn Future<Output = Outcome>>>
    where
        S: Stage<Platform = P> + 'static,
    {
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

    pub(crate) fn drive<S>(&self, world: &Rc<World<S>>)
    where
        S: Stage<Platform = P> + 'static,
    {
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

    pub(crate) fn act(&self, verb: &str, value: Option<Value>) {
        match verb {
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

    /// Whether a value waits for its start.
    pub(crate) fn is_busy(&self) -> bool {
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

/// The source of a stream, which the script feeds.
#[derive(Default)]
pub(crate) struct Source {
    items: RefCell<VecDeque<Value>>,
    waker: Cell<Option<Waker>>,
    ended: Cell<bool>,
    drained: Cell<bool>,
}

impl Source {
    pub(crate) fn push(&self, item: Value) {
        self.items.borrow_mut().push_back(item);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Whether all has come out that will.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.get()
    }

    /// Records all that comes out of the pattern.
    pub(crate) fn drain<S: Stage + 'static>(self: &Rc<Self>, config: &StreamConfig, world: &Rc<World<S>>) {
        let clock = <S::Platform as Platform>::Clock::CLOCK;
        let items = Items(Rc::clone(self));
        let mut out: Pin<Box<dyn Stream<Item = Value>>> = match config.pace {
            Some(interval) => Box::pin(PaceStream::with_clock(clock, interval.duration(), items)),
            None => match EdgeStream::with_clock(clock, config.terms, items) {
                Ok(stream) => Box::pin(stream),
                Err(error) => {
                    let result = Err(("config", details(json!({ "value": error.to_string() }))));
                    world.record(What::End { id: "stream".to_owned(), result });
                    self.drained.set(true);
                    return;
                }
            },
        };
        let (source, recorder) = (Rc::clone(self), Rc::clone(world));
        world.stage.spawn(Box::pin(async move {
            while let Some(item) = out.next().await {
                recorder.record(What::Item { item });
            }
            recorder.record(What::EndOfStream);
            source.drained.set(true);
        }));
    }
}

/// The source, as the pattern sees it.
struct Items(Rc<Source>);

impl Stream for Items {
    type Item = Value;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Value>> {
        if let Some(item) = self.0.items.borrow_mut().pop_front() {
            return Poll::Ready(Some(item));
        }
        if self.0.ended.get() {
            return Poll::Ready(None);
        }
        self.0.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
