//! The guarded operation, as a scenario tells it to behave.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::{Ambient, Clock, Platform};
use serde_json::Value;

use crate::interpreter::World;
use crate::millis::Millis;
use crate::scenario::Start;
use crate::stage::Stage;
use crate::trace::What;

/// The operation's own error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) value: Value,
    pub(crate) retry_after: Option<Duration>,
}

/// What the operation panics with.
pub(crate) struct Panicked;

type ClockOf<S> = <<S as Stage>::Platform as Platform>::Clock;

/// The time to set a timer to, so that it is over after exactly so long: it takes a tick more than it is told.
pub(crate) fn timed<S: Stage>(time: Millis) -> Duration {
    time.duration().saturating_sub(<ClockOf<S> as Clock>::TICK)
}

/// A start of the operation. It sleeps by the runtime's own timer, made and polled by hand, and not by what is under test.
pub(crate) struct Running<S: Stage> {
    world: Rc<World<S>>,
    number: usize,
    takes: Millis,
    panics: bool,
    result: Option<Result<Value, Failure>>,
    sleep: Option<Pin<Box<<ClockOf<S> as Clock>::Sleep>>>,
}

impl<S: Stage> Running<S> {
    pub(crate) fn new(world: Rc<World<S>>, number: usize, start: Start, arg: Option<&Value>) -> Self {
        let echo = |value: Value| if value == "=arg" { arg.cloned().unwrap_or_default() } else { value };
        let result = match start.err {
            Some(value) => Err(Failure { value: echo(value), retry_after: start.retry_after.map(Millis::duration) }),
            None => Ok(echo(start.ok)),
        };
        world.running.set(world.running.get() + 1);
        Self { world, number, takes: start.takes, panics: start.panics, result: Some(result), sleep: None }
    }
}

impl<S: Stage> Future for Running<S> {
    type Output = Result<Value, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.takes == Millis::NEVER {
            return Poll::Pending;
        }
        if self.takes != Millis::ZERO {
            let takes = timed::<S>(self.takes);
            let sleep = self.sleep.get_or_insert_with(|| {
                let clock = ClockOf::<S>::CLOCK;
                Box::pin(clock.sleep_until(clock.now() + takes))
            });
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        if self.panics {
            self.result = None;
            // Without the hook, which would tell of it: it is as it should be.
            resume_unwind(Box::new(Panicked));
        }
        // An operation that was polled after its end would be a bug of the pattern: it hangs, and the trace shows it.
        self.result.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<S: Stage> Drop for Running<S> {
    fn drop(&mut self) {
        self.world.running.set(self.world.running.get() - 1);
        if self.result.is_some() {
            self.world.record(What::Drop { number: self.number });
        }
    }
}
