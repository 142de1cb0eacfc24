use core::pin::Pin;
use core::task::{Context, Poll};

use crate::bulkhead::{Bulkhead, Event, Run};
use crate::observe::SharedObserver;
use crate::operation::{Lent, Operation};
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;
use crate::storage::Storage;

impl<P, S, V, O> Layer<'_, O> for &Bulkhead<P, S, V>
where
    P: Platform,
    S: Storage,
    O: Operation,
    Layered<Self, O>: Operation,
{
    type Operation = Layered<Self, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Layered<Self, O> {
        Layered { layer: *self, index, operation }
    }
}

impl<'b, P, S, V, O, T, E> Operation for Layered<&'b Bulkhead<P, S, V>, O>
where
    P: Platform,
    S: Storage,
    V: SharedObserver<Event>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<&'b Bulkhead<P, S, V>, (), O::Run>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Run::waiting(self.layer, ())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        run.poll_driven(&mut Lent(&mut self.operation), cx)
            .map_err(|error| PipelineError::of_bulkhead(error, LayerId { index: self.index, name: "bulkhead" }))
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
