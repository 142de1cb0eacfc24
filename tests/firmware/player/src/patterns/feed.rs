//! The source of a stream, which the script feeds.

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use aplomb::edge::Stream;
use heapless::Deque;
use wire::Token;

/// What the script has fed, and the pattern has not taken.
#[derive(Default)]
pub struct Feed {
    items: RefCell<Deque<Token, 16>>,
    waker: Cell<Option<Waker>>,
    ended: Cell<bool>,
    drained: Cell<bool>,
}

impl Feed {
    /// One more item.
    pub fn push(&self, item: Token) {
        assert!(self.items.borrow_mut().push_back(item).is_ok(), "too many items");
        self.wake();
    }

    /// There are no more.
    pub fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Nothing comes out of the pattern any more.
    pub fn drain(&self) {
        self.drained.set(true);
    }

    pub fn is_drained(&self) -> bool {
        self.drained.get()
    }

    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The source, as the pattern sees it.
pub struct Items(pub &'static Feed);

impl Stream for Items {
    type Item = Token;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
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

/// The next item of a stream.
pub async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    core::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}
