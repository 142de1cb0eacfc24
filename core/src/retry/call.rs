use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::event::{Attempt, Cause};
use crate::operation::Operation;

/// An operation, as a retry starts it.
pub trait Start {
    /// What it ends with.
    type Output;

    /// One run of it.
    type Run;

    /// Starts it. Whoever does not ask which attempt this is, saves a reading of the clock.
    fn start(&mut self, attempt: impl FnOnce() -> Attempt) -> Self::Run;

    /// Goes on with what has been started.
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Whether it may be started again.
    fn may_repeat(&self) -> bool;
}

/// An operation that doesn't care which attempt it is.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Plain<O>(pub(crate) O);

impl<O: Operation> Start for Plain<O> {
    type Output = O::Output;
    type Run = O::Run;

    #[inline]
    fn start(&mut self, _attempt: impl FnOnce() -> Attempt) -> O::Run {
        self.0.start()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut O::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        self.0.poll_run(run, cx)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.0.may_repeat()
    }
}

/// An operation that is told which attempt it is.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Numbered<F>(pub(super) F);

impl<F, Fut> Start for Numbered<F>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future,
{
    type Output = Fut::Output;
    type Run = Fut;

    fn start(&mut self, attempt: impl FnOnce() -> Attempt) -> Fut {
        (self.0)(attempt())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Fut>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        run.poll(cx)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        true
    }
}

/// What runs between two attempts: after the pause, before the next one. Every `FnMut(Cause<E>) -> impl Future<Output = ()>` is one.
pub trait Between<E> {
    /// One run of it.
    type Future: Future<Output = ()>;

    /// Starts it, if there is anything to run.
    fn begin(&mut self, cause: Cause<'_, E>) -> Option<Self::Future>;
}

impl<E, F, Fut> Between<E> for F
where
    F: FnMut(Cause<'_, E>) -> Fut,
    Fut: Future<Output = ()>,
{
    type Future = Fut;

    fn begin(&mut self, cause: Cause<'_, E>) -> Option<Fut> {
        Some(self(cause))
    }
}

/// Nothing runs between two attempts. Where there has to be a future all the same, it is over at once; unlike [`Ready`](core::future::Ready) it cannot panic.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nothing;

impl<E> Between<E> for Nothing {
    type Future = Self;

    #[inline]
    fn begin(&mut self, _cause: Cause<'_, E>) -> Option<Self> {
        None
    }
}

impl Future for Nothing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// What a [`Retry`](super::Retry) is to call, where it is not a policy only.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Call<S, K = Nothing> {
    pub(crate) operation: S,
    pub(crate) between: K,
}
