use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::adaptive_limit::{AdaptiveLimit, Algorithm, Event, Run, Verdict};
use crate::judge::Judge;
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::pipeline::layers::verdict;
use crate::pipeline::layers::watched::{Watched, Watching};
use crate::platform::Platform;
use crate::storage::Storage;

impl<P, A, J, S, V, O> Layer<'_, O> for &AdaptiveLimit<P, A, J, S, V>
where
    P: Platform,
    A: Algorithm,
    S: Storage,
    V: SharedObserver<Event>,
    O: Operation,
    Layered<Self, O>: Operation,
{
    type Operation = Layered<Self, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Layered<Self, O> {
        Layered { layer: *self, index, operation }
    }
}

impl<'b, P, A, J, S, V, O, T, E> Operation for Layered<&'b AdaptiveLimit<P, A, J, S, V>, O>
where
    P: Platform,
    A: Algorithm,
    J: Judge<T, E, Verdict>,
    S: Storage,
    V: SharedObserver<Event>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<&'b AdaptiveLimit<P, A, J, S, V>, (), Watched<O::Run>>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Run::new(self.layer, true, ())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let has_begun = Cell::new(true);
        // What took too long is a sign of overload; what a layer within has not let through says nothing of the service.
        let judged = |judge: &J, outcome: Result<&T, &PipelineError<E>>| {
            verdict(judge, outcome, has_begun.get(), Verdict::Overload, Verdict::Ignored)
        };
        let mut operation = Watching { operation: &mut self.operation, has_begun: &has_begun };
        run.poll_driven(&mut operation, judged, cx)
            .map_err(|error| PipelineError::of_adaptive_limit(error, LayerId { index: self.index, name: "adaptive limit" }))
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
