//! A pin that a test moves.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embedded_hal::digital::{ErrorKind, ErrorType, InputPin};
use embedded_hal_async::digital::Wait;

/// A pin that is moved by hand. Who waits for a level is told that it was there, even if it is gone again.
#[derive(Clone, Default)]
pub(crate) struct Wire(pub(crate) Rc<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) level: Cell<bool>,
    waiter: RefCell<Option<Waiter>>,
    pub(crate) reads: Cell<u32>,
    fails: Cell<bool>,
    /// Says of every level that it is there.
    pub(crate) lies: Cell<bool>,
}

struct Waiter {
    level: bool,
    met: bool,
    waker: Waker,
}

impl Wire {
    pub(crate) fn set(&self, level: bool) {
        self.0.level.set(level);
        if let Some(waiter) = self.0.waiter.borrow_mut().as_mut().filter(|waiter| waiter.level == level) {
            waiter.met = true;
            waiter.waker.wake_by_ref();
        }
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.0.fails.set(fails);
        if let Some(waiter) = self.0.waiter.borrow().as_ref() {
            waiter.waker.wake_by_ref();
        }
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, ErrorKind> {
        self.0.reads.set(self.0.reads.get() + 1);
        if self.0.fails.get() { Err(ErrorKind::Other) } else { Ok(self.0.level.get()) }
    }

    fn is_low(&mut self) -> Result<bool, ErrorKind> {
        self.is_high().map(|high| !high)
    }
}

struct Waiting<'a> {
    wire: &'a Inner,
    level: bool,
}

impl Future for Waiting<'_> {
    type Output = Result<(), ErrorKind>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.wire.fails.get() {
            return Poll::Ready(Err(ErrorKind::Other));
        }
        let mut waiter = self.wire.waiter.borrow_mut();
        let met = waiter.as_ref().is_some_and(|waiter| waiter.met);
        if met || self.wire.lies.get() || self.wire.level.get() == self.level {
            return Poll::Ready(Ok(()));
        }
        *waiter = Some(Waiter { level: self.level, met, waker: cx.waker().clone() });
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.wire.waiter.take();
    }
}

impl Wait for Wire {
    async fn wait_for_high(&mut self) -> Result<(), ErrorKind> {
        Waiting { wire: &self.0, level: true }.await
    }

    async fn wait_for_low(&mut self) -> Result<(), ErrorKind> {
        Waiting { wire: &self.0, level: false }.await
    }

    no_edges!();
}
