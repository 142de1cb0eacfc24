//! The source of a stream, which the script feeds.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::edge::Stream;
use serde_json::Value;

/// What the script has fed, and the pattern has not taken.
#[derive(Default)]
pub(super) struct Feed {
    items: RefCell<VecDeque<Value>>,
    waker: Cell<Option<Waker>>,
    ended: Cell<bool>,
    drained: Cell<bool>,
}

impl Feed {
    /// One more item.
    pub(super) fn push(&self, item: Value) {
        self.items.borrow_mut().push_back(item);
        self.wake();
    }

    /// There are no more.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Nothing comes out of the pattern any more.
    pub(super) fn drain(&self) {
        self.drained.set(true);
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drained.get()
    }

    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The source, as the pattern sees it.
pub(super) struct Items(pub(super) Rc<Feed>);

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
