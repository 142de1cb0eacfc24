use core::pin::Pin;
use core::task::{Context, Poll};

use crate::children::PinnedStorage;
use crate::hedge::{Delay, Event, Hedge, Judge, Progress, Verdict};
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::pipeline::error::{Cause, LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;

impl<P, D, S, J, V, O> Layer<'_, O> for &Hedge<P, D, S, J, V>
where
    P: Platform,
    D: Delay,
    O: Operation,
    Layered<Self, O>: Operation,
{
    type Operation = Layered<Self, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Layered<Self, O> {
        Layered { layer: *self, index, operation }
    }
}

impl<'h, P, D, S, J, V, O, T, E> Operation for Layered<&'h Hedge<P, D, S, J, V>, O>
where
    P: Platform,
    D: Delay,
    S: PinnedStorage,
    J: Judge<E>,
    V: SharedObserver<Event>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Progress<'h, P, D, S, J, V, O::Run, PipelineError<E>>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Progress::new(self.layer)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let index = self.index;
        run.poll_call(&mut self.operation, verdict, cx)
            .map_err(|error| PipelineError::of_hedge(error, LayerId { index, name: "hedge" }))
    }
}

/// The judge has the operation's own errors. What took too long has failed; what a layer within has rejected, it would reject again.
fn verdict<E, J: Judge<E>>(judge: &J, error: &PipelineError<E>) -> Verdict {
    match error.cause() {
        Cause::Failed(error) if judge.is_fatal(error) => Verdict::Fatal,
        Cause::Failed(_) | Cause::TimedOut { .. } => Verdict::Failed,
        Cause::Config(_) => Verdict::Fatal,
        _ => Verdict::Rejected,
    }
}
