use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::WaterfallError;

/// Steps that can be begun with an input.
pub trait Step<I> {
    /// What the last one ends with.
    type Value;
    /// What any of them may end with instead.
    type Error;
    /// The steps under way.
    type Stage: Stage<Value = Self::Value, Error = Self::Error>;

    /// Begins the first. Nothing happens before it is polled.
    fn begin(self, input: I) -> Self::Stage;
}

/// Steps under way.
pub trait Stage {
    /// What the last one ends with.
    type Value;
    /// What any of them may end with instead.
    type Error;

    /// The index of the last step.
    const LAST: usize;

    /// Goes on.
    ///
    /// # Errors
    ///
    /// That of the step that failed.
    fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Value, WaterfallError<Self::Error>>>;
}

pin_project! {
    /// A chain of steps under way; made by [`Waterfall::run`](super::Waterfall::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the step that is under way, with what it was fed; the others never start. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<S> {
        #[pin]
        stage: S,
    }
}

impl<S> Run<S> {
    pub(super) const fn new(stage: S) -> Self {
        Self { stage }
    }
}

impl<S: Stage> Future for Run<S> {
    type Output = Result<S::Value, WaterfallError<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().stage.poll_stage(cx)
    }
}

pin_project! {
    /// The first step under way.
    #[project = FirstProjection]
    #[project_replace = FirstReplaced]
    pub enum First<I, F, Fut> {
        #[doc(hidden)]
        Ready { step: F, input: I },
        #[doc(hidden)]
        Running { #[pin] running: Fut },
        #[doc(hidden)]
        Ended,
    }
}

impl<I, F, Fut> First<I, F, Fut> {
    pub(super) const fn new(step: F, input: I) -> Self {
        Self::Ready { step, input }
    }
}

impl<I, F, Fut, T, E> Stage for First<I, F, Fut>
where
    F: FnOnce(I) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Value = T;
    type Error = E;

    const LAST: usize = 0;

    #[inline]
    fn poll_stage(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, WaterfallError<E>>> {
        if let FirstProjection::Ready { .. } = self.as_mut().project()
            && let FirstReplaced::Ready { step, input } = self.as_mut().project_replace(Self::Ended)
        {
            self.set(Self::Running { running: step(input) });
        }
        let FirstProjection::Running { running } = self.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(running.poll(cx));
        self.set(Self::Ended);
        Poll::Ready(outcome.map_err(|error| WaterfallError { step: Self::LAST, name: None, error }))
    }
}

pin_project! {
    /// Steps under way, and the one after them.
    #[project = ThenProjection]
    #[project_replace = ThenReplaced]
    pub enum Then<S, F, Fut> {
        #[doc(hidden)]
        Before { #[pin] before: S, step: F },
        #[doc(hidden)]
        Running { #[pin] running: Fut },
        #[doc(hidden)]
        Ended,
    }
}

impl<S, F, Fut> Then<S, F, Fut> {
    pub(super) const fn new(before: S, step: F) -> Self {
        Self::Before { before, step }
    }
}

impl<S, F, Fut, T> Stage for Then<S, F, Fut>
where
    S: Stage,
    F: FnOnce(S::Value) -> Fut,
    Fut: Future<Output = Result<T, S::Error>>,
{
    type Value = T;
    type Error = S::Error;

    const LAST: usize = S::LAST + 1;

    #[inline]
    fn poll_stage(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, WaterfallError<S::Error>>> {
        if let ThenProjection::Before { before, .. } = self.as_mut().project() {
            let outcome = ready!(before.poll_stage(cx));
            let ThenReplaced::Before { step, .. } = self.as_mut().project_replace(Self::Ended) else { return Poll::Pending };
            match outcome {
                Ok(value) => self.set(Self::Running { running: step(value) }),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let ThenProjection::Running { running } = self.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(running.poll(cx));
        self.set(Self::Ended);
        Poll::Ready(outcome.map_err(|error| WaterfallError { step: Self::LAST, name: None, error }))
    }
}

pin_project! {
    /// Steps under way, of which the last has a name.
    pub struct Named<S> {
        #[pin]
        stage: S,
        name: &'static str,
    }
}

impl<S> Named<S> {
    pub(super) const fn new(stage: S, name: &'static str) -> Self {
        Self { stage, name }
    }
}

impl<S: Stage> Stage for Named<S> {
    type Value = S::Value;
    type Error = S::Error;

    const LAST: usize = S::LAST;

    #[inline]
    fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<S::Value, WaterfallError<S::Error>>> {
        let this = self.project();
        let name = *this.name;
        this.stage.poll_stage(cx).map_err(|error| {
            let name = if error.step == S::LAST { Some(error.name.unwrap_or(name)) } else { error.name };
            WaterfallError { name, ..error }
        })
    }
}

impl<S> fmt::Debug for Run<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
