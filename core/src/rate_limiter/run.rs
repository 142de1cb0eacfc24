use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::Acquire;
use super::error::RateLimitError;
use super::lines::{Find, Lines};
use super::permit::Permit;

pin_project! {
    /// Waits for a permit, and runs an operation; made by [`RateLimiter::run`](super::RateLimiter::run) and its likes.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the operation has started gives up the place in the queue, and nothing is spent. Dropping it later drops the operation, and its place among those that run is free.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'l, L: Lines, K, F, Fut> {
        #[pin]
        acquire: Acquire<'l, L, K>,
        // None once it has started.
        operation: Option<F>,
        // Dropped before the permit.
        #[pin]
        running: Option<Fut>,
        permit: Option<Permit<'l, L>>,
    }
}

impl<'l, L: Lines, K, F, Fut> Run<'l, L, K, F, Fut> {
    pub(super) const fn new(acquire: Acquire<'l, L, K>, operation: F) -> Self {
        Self { acquire, operation: Some(operation), running: None, permit: None }
    }
}

impl<L, K, F, Fut, T, E> Future for Run<'_, L, K, F, Fut>
where
    L: Lines,
    K: Find<L>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, RateLimitError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.running.is_none() {
            let admitted = ready!(this.acquire.poll(cx));
            let Some(operation) = this.operation.take() else { return Poll::Pending };
            match admitted {
                Ok(permit) => *this.permit = Some(permit),
                Err(error) => return Poll::Ready(Err(error.of_operation())),
            }
            this.running.set(Some(operation()));
        }
        let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
        let outcome = ready!(running.poll(cx));
        this.running.set(None);
        drop(this.permit.take());
        Poll::Ready(outcome.map_err(RateLimitError::Failed))
    }
}

impl<L: Lines, K, F, Fut> fmt::Debug for Run<'_, L, K, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("runs", &self.running.is_some()).finish_non_exhaustive()
    }
}
