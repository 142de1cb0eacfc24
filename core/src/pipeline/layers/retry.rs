use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::backoff::Backoff;
use crate::circuit_breaker::BreakerError;
use crate::operation::{Lent, Operation};
use crate::pipeline::error::{Cause, LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::platform::Platform;
use crate::retry::{Call, Event, Nothing, Plain, Policy, Progress, Retry, Rules};

/// A retry for which what a layer within has rejected is a failure too; made by [`Pipeline::retry_rejected`](crate::pipeline::Pipeline::retry_rejected).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryRejected<R> {
    retry: R,
}

impl<R: Copy> RetryRejected<R> {
    /// A policy that is applied so.
    pub const fn new(retry: R) -> Self {
        Self { retry }
    }
}

/// The rules of a retry, as they are applied in a pipeline.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Within<R> {
    rules: R,
    rejected: bool,
}

impl<T, E, R: Rules<T, E>> Rules<T, PipelineError<E>> for Within<R> {
    #[inline]
    fn retries(&mut self, outcome: Result<&T, &PipelineError<E>>) -> bool {
        match outcome {
            Ok(value) => self.rules.retries(Ok(value)),
            Err(error) => match error.cause() {
                Cause::Failed(error) => self.rules.retries(Err(error)),
                Cause::TimedOut { .. } => true,
                Cause::Config(_) => false,
                _ => self.rejected,
            },
        }
    }

    fn retry_after(&mut self, outcome: Result<&T, &PipelineError<E>>) -> Option<Duration> {
        match outcome {
            Ok(value) => self.rules.retry_after(Ok(value)),
            Err(error) => match error.cause() {
                Cause::Failed(error) => self.rules.retry_after(Err(error)),
                // Which is at the latest, and a probe may end at any moment: that is what the backoff is for.
                Cause::CircuitBreaker(BreakerError::HalfOpen { .. }) => None,
                _ => error.retry_after(),
            },
        }
    }

    #[inline]
    fn observe(&mut self, event: &Event<'_, PipelineError<E>>) {
        self.rules.observe(&event.map_cause(|error| match error.cause() {
            Cause::Failed(error) => crate::retry::Cause::Error(error),
            Cause::TimedOut { .. } => crate::retry::Cause::TimedOut,
            _ => crate::retry::Cause::Rejected,
        }));
    }
}

impl<'p, P, B, R, O> Layer<'p, O> for Retry<'_, P, B, R>
where
    Self: 'p,
    P: Platform,
    O: Operation,
    Layered<&'p Self, O>: Operation,
{
    type Operation = Layered<&'p Self, O>;

    #[inline]
    fn wrap(&'p self, index: usize, operation: O) -> Layered<&'p Self, O> {
        Layered { layer: self, index, operation }
    }
}

impl<'p, R, O> Layer<'p, O> for RetryRejected<R>
where
    R: 'p,
    O: Operation,
    Layered<&'p Self, O>: Operation,
{
    type Operation = Layered<&'p Self, O>;

    #[inline]
    fn wrap(&'p self, index: usize, operation: O) -> Layered<&'p Self, O> {
        Layered { layer: self, index, operation }
    }
}

/// A call of the policy that `'p` refers to.
type Run<'p, 'b, P, B, R, E, A> = Progress<&'p Policy<'b, P, B>, Within<R>, PipelineError<E>, A, Nothing>;

#[inline]
fn begin<'p, 'b, P: Platform, B: Backoff, R: Clone, E, A>(
    retry: &'p Retry<'b, P, B, R>,
    rejected: bool,
) -> Run<'p, 'b, P, B, R, E, A> {
    Progress::new(&retry.policy, Within { rules: retry.rules.clone(), rejected })
}

#[inline]
fn go_on<L, P, B, R, O, T, E>(
    run: Pin<&mut Run<'_, '_, P, B, R, E, O::Run>>,
    Layered { index, operation, .. }: &mut Layered<L, O>,
    cx: &mut Context<'_>,
) -> Poll<O::Output>
where
    P: Platform,
    B: Backoff,
    R: Rules<T, E>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    let mut call = Call { operation: Plain(Lent(operation)), between: Nothing };
    run.poll_call(&mut call, cx).map_err(|error| PipelineError::of_retry(error, LayerId { index: *index, name: "retry" }))
}

impl<'p, 'b, P, B, R, O, T, E> Operation for Layered<&'p Retry<'b, P, B, R>, O>
where
    P: Platform,
    B: Backoff,
    R: Rules<T, E> + Clone,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<'p, 'b, P, B, R, E, O::Run>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        begin(self.layer, false)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        go_on(run, self, cx)
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

impl<'p, 'b, P, B, R, O, T, E> Operation for Layered<&'p RetryRejected<Retry<'b, P, B, R>>, O>
where
    P: Platform,
    B: Backoff,
    R: Rules<T, E> + Clone,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<'p, 'b, P, B, R, E, O::Run>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        begin(&self.layer.retry, true)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        go_on(run, self, cx)
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
