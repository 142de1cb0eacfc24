use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::Acquire;
use super::error::RateLimitError;
use super::lines::{Find, Lines};
use super::permit::Permit;
use crate::operation::{Drive, Held, end};
use crate::panicking::clear_at_panic;

pin_project! {
    /// Waits for a permit, and runs an operation; made by [`RateLimiter::run`](super::RateLimiter::run) and its likes.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the operation has started gives up the place in the queue, and nothing is spent. Dropping it later drops the operation, and its place among those that run is free; if the operation panics, that happens at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<B, K, F, Fut>
    where
        B: Deref,
        B::Target: Lines,
    {
        #[pin]
        stage: Stage<B, K, F, Fut>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<B, K, F, Fut>
    where
        B: Deref,
        B::Target: Lines,
    {
        Wait { #[pin] acquire: Acquire<B, K>, operation: Option<F> },
        // Dropped in this order: the place is free when what had it is gone.
        Running { #[pin] operation: Fut, permit: Permit<B> },
        Ended,
    }
}

impl<B: Deref<Target: Lines>, K, F, Fut> Run<B, K, F, Fut> {
    pub(crate) const fn new(acquire: Acquire<B, K>, operation: F) -> Self {
        Self { stage: Stage::Wait { acquire, operation: Some(operation) } }
    }
}

impl<B, K, F, Fut, T, E> Future for Run<B, K, F, Fut>
where
    B: Deref<Target: Lines>,
    K: Find<B::Target>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, RateLimitError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_driven(&mut Held, cx))
    }
}

impl<B, K, F, Fut> Run<B, K, F, Fut>
where
    B: Deref<Target: Lines>,
    K: Find<B::Target>,
{
    /// Whatever it has is gone: its operation, or its place in the queue.
    fn give_up(self: Pin<&mut Self>) {
        self.project().stage.set(Stage::Ended);
    }

    /// Whoever polls it so drops it if that panics.
    #[inline]
    pub(crate) fn poll_driven<D, T, E>(
        self: Pin<&mut Self>,
        drive: &mut D,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, RateLimitError<E>>>
    where
        D: Drive<F, Fut, Output = Result<T, E>>,
    {
        let mut stage = self.project().stage;
        if let StageProjection::Wait { acquire, operation } = stage.as_mut().project() {
            let admitted = ready!(acquire.poll(cx));
            let Some(operation) = operation.take() else { return Poll::Pending };
            match admitted {
                Ok(permit) => stage.set(Stage::Running { operation: drive.start(operation), permit }),
                Err(error) => return Poll::Ready(Err(error.of_operation())),
            }
        }
        let StageProjection::Running { operation, .. } = stage.as_mut().project() else { return Poll::Pending };
        let polled = drive.poll_run(operation, cx);
        // The next one has its turn before the caller goes on.
        end(polled, |_| stage.set(Stage::Ended), RateLimitError::Failed)
    }
}

impl<B: Deref<Target: Lines>, K, F, Fut> fmt::Debug for Run<B, K, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Wait { .. } => "waiting",
            Stage::Running { .. } => "running",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}
