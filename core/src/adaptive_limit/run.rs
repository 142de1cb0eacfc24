use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::Acquire;
use super::algorithm::Algorithm;
use super::error::LimitError;
use super::event::Event;
use super::judge::Verdict;
use super::limit::AdaptiveLimit;
use super::permit::{Permit, Settle};
use crate::judge::Judge;
use crate::observe::SharedObserver;
use crate::operation::{Drive, Held};
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::storage::Storage;

pin_project! {
    /// An operation that waits until the limit allows it, and is measured while it runs; made by [`AdaptiveLimit::run`] and [`AdaptiveLimit::try_run`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the operation has started gives up the place in the queue, which is free at once: nothing starts. Dropping it later drops the operation, and then makes room for the next; that counts as nothing. If the operation panics, that
    /// happens at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<B, F, Fut>
    where
        B: Deref,
        B::Target: Settle,
    {
        #[pin]
        stage: Stage<B, F, Fut>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<B, F, Fut>
    where
        B: Deref,
        B::Target: Settle,
    {
        Start { limit: Option<B>, waits: bool, operation: Option<F> },
        Wait { #[pin] acquire: Acquire<B>, operation: Option<F> },
        // Dropped in this order: the place is free when what had it is gone.
        Running { #[pin] operation: Fut, permit: Permit<B> },
        Ended,
    }
}

impl<B: Deref<Target: Settle>, F, Fut> Run<B, F, Fut> {
    #[inline]
    pub(crate) const fn new(limit: B, waits: bool, operation: F) -> Self {
        Self { stage: Stage::Start { limit: Some(limit), waits, operation: Some(operation) } }
    }
}

impl<P, A, J, S, O, B, F, Fut, T, E> Future for Run<B, F, Fut>
where
    P: Platform,
    A: Algorithm,
    J: Judge<T, E, Verdict>,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = AdaptiveLimit<P, A, J, S, O>>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, LimitError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_driven(&mut Held, Judge::judge, cx))
    }
}

impl<P, A, J, S, O, B, F, Fut> Run<B, F, Fut>
where
    P: Platform,
    A: Algorithm,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = AdaptiveLimit<P, A, J, S, O>>,
{
    /// Whatever it has is gone: its operation, or its place in the queue.
    fn give_up(self: Pin<&mut Self>) {
        self.project().stage.set(Stage::Ended);
    }

    /// Whoever polls it so drops it if that panics.
    // The way of one who finds a place is straight, and that of one who has to wait stands aside.
    #[inline]
    pub(crate) fn poll_driven<D, T, E>(
        self: Pin<&mut Self>,
        drive: &mut D,
        verdict: impl FnOnce(&J, Result<&T, &E>) -> Verdict,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, LimitError<E>>>
    where
        D: Drive<F, Fut, Output = Result<T, E>>,
    {
        let mut stage = self.project().stage;
        if let StageProjection::Running { operation, permit } = stage.as_mut().project()
            && drive.waits(&operation)
        {
            // What it waits for is none of the service's time.
            permit.begin();
        }
        if let StageProjection::Start { limit, waits, operation } = stage.as_mut().project() {
            let (Some(limit), Some(operation)) = (limit.take(), operation.take()) else { return Poll::Pending };
            match limit.enter(*waits) {
                Ok(true) => {
                    let permit = Permit::new(limit);
                    stage.set(Stage::Running { operation: drive.start(operation), permit });
                }
                Ok(false) => stage.set(Stage::Wait { acquire: Acquire::new(limit), operation: Some(operation) }),
                Err(error) => return Poll::Ready(Err(error.of_operation())),
            }
        }
        if let StageProjection::Wait { acquire, operation } = stage.as_mut().project() {
            let permit = ready!(acquire.poll(cx)).map_err(LimitError::of_operation)?;
            let Some(operation) = operation.take() else { return Poll::Pending };
            stage.set(Stage::Running { operation: drive.start(operation), permit });
        }
        let StageProjection::Running { operation, permit } = stage.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(drive.poll_run(operation, cx));
        permit.note(|judge| verdict(judge, outcome.as_ref()));
        // The next one has its turn before the caller goes on.
        stage.set(Stage::Ended);
        Poll::Ready(outcome.map_err(LimitError::Failed))
    }
}

impl<B: Deref<Target: Settle>, F, Fut> fmt::Debug for Run<B, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start { .. } => "not yet polled",
            Stage::Wait { .. } => "waiting",
            Stage::Running { .. } => "running",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}
