use core::pin::Pin;
use core::task::{Context, Poll};

use crate::fallback::{Alternative, Fallback, OnlyIf};
use crate::operation::Operation;
use crate::pipeline::error::{Cause, PipelineError};
use crate::pipeline::layer::{Layer, Layered};

/// What takes the place of what is within when that fails; made by [`Pipeline::fallback`](crate::pipeline::Pipeline::fallback) and [`fallback_value`](crate::pipeline::Pipeline::fallback_value).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FallbackLayer<A> {
    alternative: A,
}

impl<A> FallbackLayer<A> {
    /// That takes its place.
    #[must_use]
    pub const fn new(alternative: A) -> Self {
        Self { alternative }
    }
}

impl<A: Copy> FallbackLayer<A> {
    /// For errors of which `predicate` is true only.
    #[must_use]
    pub const fn fallback_if<C>(self, predicate: C) -> FallbackLayer<OnlyIf<A, C>> {
        FallbackLayer { alternative: OnlyIf { alternative: self.alternative, predicate } }
    }
}

impl<'p, A, O> Layer<'p, O> for FallbackLayer<A>
where
    A: 'p,
    O: Operation,
    Layered<&'p Self, O>: Operation,
{
    type Operation = Layered<&'p Self, O>;

    #[inline]
    fn wrap(&'p self, index: usize, operation: O) -> Layered<&'p Self, O> {
        Layered { layer: self, index, operation }
    }
}

impl<'p, A, O, T, E> Operation for Layered<&'p FallbackLayer<A>, O>
where
    &'p A: Alternative<T, PipelineError<E>>,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Fallback<O::Run, &'p A, <&'p A as Alternative<T, PipelineError<E>>>::Future>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Fallback::of_run(self.operation.start(), &self.layer.alternative)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let operation = &mut self.operation;
        run.poll_by(|run, cx| operation.poll_run(run, cx), |error| !matches!(error.cause(), Cause::Config(_)), cx)
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
