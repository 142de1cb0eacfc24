use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

/// The items of an iterator, which are there as soon as somebody asks.
#[derive(Debug, Clone)]
pub struct Items<I> {
    items: I,
}

impl<I> Items<I> {
    pub(super) const fn new(items: I) -> Self {
        Self { items }
    }
}

/// An iterator is never pinned.
impl<I> Unpin for Items<I> {}

impl<I: Iterator> Stream for Items<I> {
    type Item = I::Item;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.items.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}
