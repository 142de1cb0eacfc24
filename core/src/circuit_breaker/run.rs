use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::circuit::Circuit;
use super::error::BreakerError;
use super::judge::Verdict;
use super::permit::Permit;
use crate::judge::Judge;
use crate::operation::{Drive, Held, end};
use crate::panicking::clear_at_panic;

pin_project! {
    /// An operation that runs if the breaker lets it; made by [`CircuitBreaker::run`](super::CircuitBreaker::run) and [`KeyedCircuitBreaker::run`](super::KeyedCircuitBreaker::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the operation, and then counts as nothing: neither as a success nor as a failure. The place of a probe is free.
    /// An operation that panics counts as nothing too. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<C: Circuit, F, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        // Dropped after the operation: the place of a probe is free when what had it is gone.
        permit: Permit<C>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        // None once it has been polled.
        Start { operation: Option<F> },
        Running { #[pin] operation: Fut },
        Ended,
    }
}

impl<C: Circuit, F, Fut> Run<C, F, Fut> {
    pub(crate) const fn new(circuit: C, operation: F) -> Self {
        Self { stage: Stage::Start { operation: Some(operation) }, permit: Permit::unasked(circuit) }
    }
}

impl<C, F, Fut, T, E> Future for Run<C, F, Fut>
where
    C: Circuit<Judge: Judge<T, E, Verdict>>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, BreakerError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_driven(&mut Held, Judge::judge, cx))
    }
}

impl<C: Circuit, F, Fut> Run<C, F, Fut> {
    /// The operation is gone, and counts as nothing.
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.stage.set(Stage::Ended);
        this.permit.abandon();
    }

    /// Whoever polls it so drops it if that panics.
    #[inline]
    pub(crate) fn poll_driven<D, T, E>(
        self: Pin<&mut Self>,
        drive: &mut D,
        verdict: impl FnOnce(&C::Judge, Result<&T, &E>) -> Verdict,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, BreakerError<E>>>
    where
        D: Drive<F, Fut, Output = Result<T, E>>,
    {
        let mut this = self.project();
        if let StageProjection::Start { operation } = this.stage.as_mut().project() {
            let Some(operation) = operation.take() else { return Poll::Pending };
            if let Err(rejected) = this.permit.ask() {
                return Poll::Ready(Err(rejected.of_operation()));
            }
            this.stage.set(Stage::Running { operation: drive.start(operation) });
        } else if let StageProjection::Running { operation } = this.stage.as_mut().project()
            && drive.waits(&operation)
        {
            // What it waits for is none of the service's time.
            this.permit.begin();
        }
        let StageProjection::Running { operation } = this.stage.as_mut().project() else { return Poll::Pending };
        let polled = drive.poll_run(operation, cx);
        let settle = |outcome: Result<&T, &E>| {
            let verdict = verdict(this.permit.judge(), outcome);
            this.permit.settle_as(verdict);
            this.stage.set(Stage::Ended);
        };
        end(polled, settle, BreakerError::Failed)
    }
}

impl<C: Circuit, F, Fut> fmt::Debug for Run<C, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start { .. } => "not yet polled",
            Stage::Running { .. } => "running",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}
