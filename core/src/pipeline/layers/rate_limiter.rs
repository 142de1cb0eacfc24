use core::pin::Pin;
use core::task::{Context, Poll};

use crate::observe::SharedObserver;
use crate::operation::{Lent, Operation};
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;
use crate::rate_limiter::{Acquire, Algorithm, Event, Find, Lines, RateLimiter, Run};
use crate::storage::Storage;
use crate::time::Instant;

/// The limiter of one key; made by [`Pipeline::keyed_rate_limiter`](crate::pipeline::Pipeline::keyed_rate_limiter).
#[derive(Debug)]
pub struct LineOf<'b, L, K> {
    pub(in crate::pipeline) lines: &'b L,
    pub(in crate::pipeline) key: K,
}

impl<L, K: Copy> Clone for LineOf<'_, L, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, K: Copy> Copy for LineOf<'_, L, K> {}

impl<L, K, O> Layer<'_, O> for LineOf<'_, L, K>
where
    K: Copy,
    O: Operation,
    Layered<Self, O>: Operation,
{
    type Operation = Layered<Self, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Layered<Self, O> {
        Layered { layer: *self, index, operation }
    }
}

impl<'b, P, A, S, V, O> Layer<'_, O> for &'b RateLimiter<P, A, S, V>
where
    P: Platform,
    A: Algorithm,
    S: Storage,
    V: SharedObserver<Event>,
    O: Operation,
    Layered<LineOf<'b, RateLimiter<P, A, S, V>, ()>, O>: Operation,
{
    type Operation = Layered<LineOf<'b, RateLimiter<P, A, S, V>, ()>, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Self::Operation {
        Layered { layer: LineOf { lines: *self, key: () }, index, operation }
    }
}

impl<'b, L, K, O, T, E> Operation for Layered<LineOf<'b, L, K>, O>
where
    L: Lines,
    K: Find<L> + Copy,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<&'b L, K, (), O::Run>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Run::new(Acquire::new(self.layer.lines, self.layer.key, 1, Instant::MAX), ())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let index = self.index;
        run.poll_driven(&mut Lent(&mut self.operation), cx)
            .map_err(|error| PipelineError::of_rate_limiter(error, LayerId { index, name: "rate limiter" }))
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.operation.may_repeat()
    }
}
