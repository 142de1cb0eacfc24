use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::deadline::Deadline;
use crate::operation::Operation;
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;
use crate::time::{Instant, duration, nanos};
use crate::timeout::Timeout;

/// So long, and no longer; made by [`Pipeline::timeout`](crate::pipeline::Pipeline::timeout) and [`timeout_at`](crate::pipeline::Pipeline::timeout_at).
pub struct TimeoutLayer<P: Platform> {
    clock: P::Clock,
    /// Nanoseconds; `u64::MAX` with a deadline.
    after: u64,
    /// Never, without a deadline.
    deadline: Instant,
}

impl<P: Platform> TimeoutLayer<P> {
    /// Gives what is within so much time, by that clock.
    #[must_use]
    pub const fn after(clock: P::Clock, after: Duration) -> Self {
        Self { clock, after: nanos(after), deadline: Instant::MAX }
    }

    /// Gives what is within time until then, by that clock.
    #[must_use]
    pub const fn at(clock: P::Clock, deadline: Deadline) -> Self {
        Self { clock, after: u64::MAX, deadline: deadline.instant() }
    }
}

impl<'p, P, O> Layer<'p, O> for TimeoutLayer<P>
where
    P: Platform + 'p,
    O: Operation,
    Layered<&'p Self, O>: Operation,
{
    type Operation = Layered<&'p Self, O>;

    #[inline]
    fn wrap(&'p self, index: usize, operation: O) -> Layered<&'p Self, O> {
        Layered { layer: self, index, operation }
    }
}

impl<P, O, T, E> Operation for Layered<&TimeoutLayer<P>, O>
where
    P: Platform,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Timeout<O::Run, P::Clock>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        let TimeoutLayer { clock, after, deadline } = self.layer;
        Timeout::of_run(clock.clone(), *after, *deadline, self.operation.start())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        run.poll_by(|run, cx| self.operation.poll_run(run, cx), cx)
            .map_err(|error| PipelineError::of_timeout(error, LayerId { index: self.index, name: "timeout" }))
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

impl<P: Platform> Clone for TimeoutLayer<P> {
    fn clone(&self) -> Self {
        Self { clock: self.clock.clone(), after: self.after, deadline: self.deadline }
    }
}

impl<P: Platform<Clock: Copy>> Copy for TimeoutLayer<P> {}

impl<P: Platform> fmt::Debug for TimeoutLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutLayer")
            .field("after", &duration(self.after))
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform> defmt::Format for TimeoutLayer<P> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "TimeoutLayer {{ after: {}, deadline: {}, .. }}", duration(self.after), self.deadline);
    }
}
