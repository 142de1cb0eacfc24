use core::pin::Pin;
use core::task::{Context, Poll};

use crate::children::PinnedStorage;
use crate::hedge::{Delay, Event, Hedge, Progress, Verdict};
use crate::judge::Judge;
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::pipeline::layers::verdict;
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
    J: Judge<T, E, Verdict>,
    V: SharedObserver<Event>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Progress<&'h Hedge<P, D, S, J, V>, O::Run, O::Output>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Progress::new(self.layer)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        run.poll_call(&mut self.operation, judged, cx)
            .map_err(|error| PipelineError::of_hedge(error, LayerId { index: self.index, name: "hedge" }))
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.operation.may_repeat()
    }

    #[inline]
    fn begun(&self) -> Option<u32> {
        self.operation.begun()
    }
}

/// What took too long has failed; what a layer within has rejected, it would reject again, and what makes no sense does so for every start.
#[inline]
fn judged<T, E, J: Judge<T, E, Verdict>>(judge: &J, outcome: Result<&T, &PipelineError<E>>) -> Option<Verdict> {
    match outcome {
        Err(error) if error.cause().is_rejected() => None,
        _ => Some(verdict(judge, outcome, true, Verdict::Failure, Verdict::Fatal)),
    }
}
