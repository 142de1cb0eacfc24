use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::observe::SharedObserver;
use crate::operation::{Lent, Operation};
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;
use crate::rate_limiter::{Acquire, Algorithm, Event, Find, Lines, RateLimiter, Run};
use crate::storage::Storage;
use crate::time::{Clock, Instant, nanos};

/// A limiter, or that of one key, and how long a call waits for it; made by [`Pipeline::keyed_rate_limiter`](crate::pipeline::Pipeline::keyed_rate_limiter) and [`Pipeline::rate_limiter_within`](crate::pipeline::Pipeline::rate_limiter_within).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LineOf<'b, L, K> {
    lines: &'b L,
    key: K,
    /// Nanoseconds.
    max_wait: u64,
}

impl<'b, L, K> LineOf<'b, L, K> {
    /// Waits without limit. Of a limiter without keys, `key` is `()`.
    #[must_use]
    pub const fn new(lines: &'b L, key: K) -> Self {
        Self { lines, key, max_wait: u64::MAX }
    }

    /// Waits for no longer than that: what cannot have its permit by then is rejected at once.
    #[must_use]
    pub const fn max_wait(mut self, time: Duration) -> Self {
        self.max_wait = nanos(time);
        self
    }
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
        Layered { layer: LineOf::new(*self, ()), index, operation }
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
        let LineOf { lines, key, max_wait } = self.layer;
        let deadline = if max_wait == u64::MAX { Instant::MAX } else { lines.clock().now().saturating_add_nanos(max_wait) };
        Run::new(Acquire::new(lines, key, 1, deadline), ())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        run.poll_driven(&mut Lent(&mut self.operation), cx)
            .map_err(|error| PipelineError::of_rate_limiter(error, LayerId { index: self.index, name: "rate limiter" }))
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
