use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::WaterfallError;
use super::name::{Name, Unnamed};

pin_project! {
    /// A chain of steps under way; made by [`Waterfall::run`](super::Waterfall::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the step that is under way, with what it was fed; the others never start. Polled after its end, it is pending for ever.
    ///
    /// It is never `Unpin`, whatever its steps are: where it is polled by reference, as in `select!`, pin it first.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<G, T, E> {
        #[pin]
        stage: G,
        outcome: PhantomData<fn() -> Result<T, E>>,
    }
}

impl<G, T, E> Run<G, T, E> {
    pub(super) const fn new(stage: G) -> Self {
        Self { stage, outcome: PhantomData }
    }
}

impl<G: Stage<T, E>, T, E> Future for Run<G, T, E> {
    type Output = Result<T, WaterfallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().stage.poll_stage(cx)
    }
}

impl<G, T, E> fmt::Debug for Run<G, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// Steps under way, of which the last ends with a `T`, and any may end with an `E` instead.
pub trait Stage<T, E> {
    /// How many there are.
    const STEPS: usize;

    /// Goes on.
    ///
    /// # Errors
    ///
    /// That of the step that failed.
    fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, WaterfallError<E>>>;
}

/// The input of the first step.
#[derive(Debug)]
pub struct Fed<I> {
    input: Option<I>,
}

impl<I> Unpin for Fed<I> {}

impl<I> Fed<I> {
    pub(super) const fn new(input: I) -> Self {
        Self { input: Some(input) }
    }
}

impl<I, E> Stage<I, E> for Fed<I> {
    const STEPS: usize = 0;

    #[inline]
    fn poll_stage(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<I, WaterfallError<E>>> {
        self.input.take().map_or(Poll::Pending, |input| Poll::Ready(Ok(input)))
    }
}

pin_project! {
    /// A step after others, of which one is under way.
    // `Unpin` where its steps are would take a proof thrice as deep as there are steps: too deep for optimised builds of a few dozen.
    #[project(!Unpin)]
    #[project = Projection]
    #[project_replace = Replaced]
    pub enum After<G, F, V, Fut, N = Unnamed> {
        #[doc(hidden)]
        Before { #[pin] before: G, step: F, name: N, fed: PhantomData<fn() -> V> },
        #[doc(hidden)]
        Running { #[pin] running: Fut, name: N },
        /// The last has ended, or one of them has failed.
        Ended,
    }
}

impl<G, F, V, Fut, N> After<G, F, V, Fut, N> {
    pub(super) const fn new(before: G, step: F, name: N) -> Self {
        Self::Before { before, step, name, fed: PhantomData }
    }
}

impl<G, F, V, Fut, N, T, E> Stage<T, E> for After<G, F, V, Fut, N>
where
    G: Stage<V, E>,
    F: FnOnce(V) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    N: Name,
{
    const STEPS: usize = G::STEPS + 1;

    #[inline]
    fn poll_stage(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, WaterfallError<E>>> {
        if let Projection::Before { before, .. } = self.as_mut().project() {
            let outcome = ready!(before.poll_stage(cx));
            let Replaced::Before { step, name, .. } = self.as_mut().project_replace(Self::Ended) else { return Poll::Pending };
            let value = outcome?;
            self.set(Self::Running { running: step(value), name });
        }
        let Projection::Running { running, .. } = self.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(running.poll(cx));
        let Replaced::Running { name, .. } = self.project_replace(Self::Ended) else { return Poll::Pending };
        Poll::Ready(match outcome {
            Ok(value) => Ok(value),
            Err(error) => Err(WaterfallError { step: G::STEPS, name: name.name(), error }),
        })
    }
}
