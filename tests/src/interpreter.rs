//! Plays a scenario on a stage, and records what happens.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde_json::{Map, Value};

use crate::operation::{Panicked, Running};
use crate::patterns::{Ending, Form, set_up};
use crate::scenario::{Action, Operation, Scenario};
use crate::stage::Stage;
use crate::trace::{Entry, What};

/// Where a scenario ends at the latest: after a day.
pub(crate) const LONGEST: u64 = 24 * 3_600 * 1_000_000_000;

/// A scenario being played.
pub(crate) struct World<S> {
    pub(crate) stage: S,
    operation: Operation,
    trace: RefCell<Vec<Entry>>,
    starts: Cell<usize>,
    /// How many operations are under way.
    pub(crate) running: Cell<usize>,
    /// The scenario is over, and what is dropped now doesn't count.
    over: Cell<bool>,
}

impl<S: Stage> World<S> {
    /// Records what has just happened.
    pub(crate) fn record(&self, what: What) {
        if !self.over.get() {
            self.trace.borrow_mut().push(Entry { at: self.stage.now(), what });
        }
    }

    /// A start of the operation, for that caller's call.
    pub(crate) fn start(self: &Rc<Self>, by: &str, arg: Option<&Value>) -> Running<S> {
        let number = self.starts.get() + 1;
        self.starts.set(number);
        self.record(What::Start { number, by: by.to_owned(), arg: arg.cloned() });
        Running::new(Rc::clone(self), number, self.operation.behaviour(number, by, arg), arg)
    }
}

/// A caller: its future, which lives until it ends or the script drops it.
struct Caller {
    id: String,
    future: RefCell<Option<Ending>>,
    /// The future out of which a panic came: whoever catches it may keep it for as long as it likes.
    panicked: RefCell<Option<Ending>>,
    task: RefCell<Option<Waker>>,
}

/// Polls a caller's future, and records its end.
struct CallerTask<S> {
    caller: Rc<Caller>,
    world: Rc<World<S>>,
}

impl<S: Stage> Future for CallerTask<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut place = self.caller.future.borrow_mut();
        let Some(future) = place.as_mut() else { return Poll::Ready(()) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let polled = polled.unwrap_or_else(|panic| {
            if !panic.is::<Panicked>() {
                resume_unwind(panic);
            }
            self.caller.panicked.replace(place.take());
            Poll::Ready(Err(("panicked", Map::new())))
        });
        match polled {
            Poll::Ready(result) => {
                *place = None;
                self.world.record(What::End { id: self.caller.id.clone(), result });
                Poll::Ready(())
            }
            Poll::Pending => {
                self.caller.task.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

/// Plays a scenario in one of the forms of a call.
pub(crate) async fn play<S: Stage + 'static>(stage: S, scenario: &Scenario, form: Form) -> Vec<Entry> {
    let end = scenario.until.map_or(LONGEST, |until| until.0);
    play_until(stage, scenario, form, end).await
}

/// Plays a scenario, at the longest until `end`.
pub(crate) async fn play_until<S>(stage: S, scenario: &Scenario, form: Form, end: u64) -> Vec<Entry>
where
    S: Stage + 'static,
{
    let world = Rc::new(World {
        stage,
        operation: scenario.operation.clone(),
        trace: RefCell::default(),
        starts: Cell::new(0),
        running: Cell::new(0),
        over: Cell::new(false),
    });
    let subject = set_up(&scenario.pattern, form);
    if scenario.driver {
        subject.drive(&world);
    }
    let mut callers: Vec<Rc<Caller>> = Vec::new();
    let mut together = false;
    for line in &scenario.script {
        if together {
            // Without time for anybody.
        } else if line.first {
            world.stage.advance_before(line.at.0).await;
            world.stage.set_clock(line.at.0).await;
        } else {
            world.stage.advance_to(line.at.0).await;
        }
        match line.action() {
            Ok(Action::Call(request)) => {
                let id = request.id.clone();
                let future = subject.call(Rc::clone(&world), request);
                let caller = Rc::new(Caller {
                    id,
                    future: RefCell::new(Some(future)),
                    panicked: RefCell::default(),
                    task: RefCell::default(),
                });
                world.stage.spawn(Box::pin(CallerTask { caller: Rc::clone(&caller), world: Rc::clone(&world) }));
                callers.push(caller);
            }
            Ok(Action::Drop { ids }) => {
                let leaving: Vec<_> = callers.iter().filter(|caller| ids.contains(&caller.id)).cloned().collect();
                // Within a task, where the runtime's clock is.
                world.stage.spawn(Box::pin(async move {
                    for caller in leaving {
                        let future = caller.future.take();
                        drop(future);
                        let task = caller.task.take();
                        task.into_iter().for_each(Waker::wake);
                    }
                }));
            }
            Ok(Action::Jump { nanos }) => {
                let now = world.stage.now().saturating_add_signed(nanos);
                world.stage.set_clock(now).await;
                world.stage.advance_to(now).await;
            }
            Ok(Action::Do(order)) => {
                let subject = Rc::clone(&subject);
                world.stage.spawn(Box::pin(async move { subject.act(order) }));
            }
            Ok(Action::Item { item }) => subject.feed(item),
            Err(_) => {}
        }
        together = line.together;
        if !together {
            world.stage.settle().await;
        }
    }
    let alive = || {
        let waits = callers.iter().any(|caller| caller.future.borrow().is_some());
        waits || subject.is_busy() || world.running.get() > 0
    };
    finish(&world.stage, alive, end).await;
    world.over.set(true);
    for caller in &callers {
        caller.future.take();
        caller.panicked.take();
    }
    world.trace.take()
}

/// Plays on until nobody is left, or the end has come. The last timer of all may be that of a caller that waits for ever.
async fn finish<S: Stage>(stage: &S, alive: impl Fn() -> bool, end: u64) {
    let mut step = 1_000_000;
    while alive() && stage.now() < end {
        // In ever longer steps: a stage may have no way to say that nothing is left to happen.
        stage.advance_to(stage.now().saturating_add(step).min(end)).await;
        step = step.saturating_mul(2);
    }
}
