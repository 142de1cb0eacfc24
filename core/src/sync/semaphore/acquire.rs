use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::counting::{Lender, LinkOf};
use super::error::AcquireError;
use super::permit::Permit;
use crate::platform::SMALL;
use crate::sync::wait_list::Key;

/// Waits for permits of what `B` points to; made by [`Semaphore::acquire`](super::Semaphore::acquire) and [`acquire_owned`](super::Semaphore::acquire_owned).
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and lets the one behind go if there is enough for it. Permits that had been granted already go back.
/// Polled after its end, it is pending for ever.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<B: Deref<Target: Lender>> {
    /// None when it has ended.
    lender: Option<B>,
    n: u32,
    /// In the queue, if it has one.
    place: Option<Key<LinkOf<B>>>,
}

impl<B: Deref<Target: Lender>> Acquire<B> {
    pub(crate) const fn new(lender: B, n: u32) -> Self {
        Self { lender: Some(lender), n, place: None }
    }

    /// Of whom it wants permits, until it has ended.
    pub(crate) const fn lender(&self) -> Option<&B> {
        self.lender.as_ref()
    }

    /// Whether it has a place in the queue.
    pub(crate) const fn waits(&self) -> bool {
        self.place.is_some()
    }

    /// Ends it, and hands on of whom it wanted permits.
    #[inline]
    pub(crate) const fn end(&mut self) -> Option<B> {
        self.lender.take()
    }

    /// Ends it, gives up its place, if it has one, and hands on of whom it wanted permits.
    pub(crate) fn give_up(&mut self) -> Option<B> {
        let lender = self.end()?;
        if let Some(place) = self.place.take() {
            // Whoever stood behind may be able to go, also if this one waited and had nothing. They are woken before this one's waker is dropped.
            drop(lender.semaphore().change(|state| state.leave(place)));
        }
        Some(lender)
    }

    /// Waits until the permits are taken. It is to be [ended](Acquire::end) then.
    // The way of a permit that is free is straight, and all else stands aside.
    #[inline]
    pub(crate) fn poll_taken(&mut self, cx: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        let Some(lender) = &self.lender else { return Poll::Pending };
        let taken = match self.place {
            None if !SMALL => lender.semaphore().take_outside(self.n),
            _ => Ok(false),
        };
        match taken {
            Ok(true) => Poll::Ready(Ok(())),
            // Without a waker and a lock before: most find their permits free.
            Ok(false) => self.poll_waiting(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<B: Deref<Target: Lender>> Future for Acquire<B> {
    type Output = Result<Permit<B>, AcquireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.poll_taken(cx));
        let Some(lender) = self.end() else { return Poll::Pending };
        Poll::Ready(outcome.map(|()| Permit::new(lender, self.n)))
    }
}

impl<B: Deref<Target: Lender>> Acquire<B> {
    /// Takes a place in the queue, or asks there for its turn.
    #[inline(never)]
    fn poll_waiting(&mut self, cx: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        let Some(lender) = &self.lender else { return Poll::Pending };
        let semaphore = lender.semaphore();
        let Some(place) = self.place else {
            self.place = semaphore.enter(self.n, cx)?;
            return if self.place.is_some() { Poll::Pending } else { Poll::Ready(Ok(())) };
        };
        let Some(claim) = semaphore.ask(place, cx) else { return Poll::Pending };
        self.place = None;
        Poll::Ready(claim.answer(self.n))
    }
}

/// A pointer may move, whatever it points to.
impl<B: Deref<Target: Lender>> Unpin for Acquire<B> {}

impl<B: Deref<Target: Lender>> Drop for Acquire<B> {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            drop(self.give_up());
        }
    }
}

impl<B: Deref<Target: Lender>> fmt::Debug for Acquire<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match (&self.lender, self.place) {
            (Some(_), None) => "not yet polled",
            (Some(_), Some(_)) => "waiting",
            (None, _) => "ended",
        };
        f.debug_struct("Acquire").field("n", &self.n).field("stage", &stage).finish()
    }
}
