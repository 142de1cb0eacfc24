use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

/// A result, and whether several callers have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<R> {
    /// What the call ends with.
    pub result: R,
    /// Whether another caller has got a clone of it: so it is of every follower's, and of a leader's whom somebody followed.
    pub is_shared: bool,
}

/// A call that knows, once it has ended, whether its result was shared. It is implemented for those of this crate only.
pub trait MaybeShared {
    #[doc(hidden)]
    fn is_shared(&self) -> bool;
}

pin_project! {
    /// Ends with a [`Shared`] result; made by `with_shared` of a call that may share its run.
    ///
    /// # Cancel safety
    ///
    /// As of the call within.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithShared<R> {
        #[pin]
        run: R,
    }
}

impl<R> WithShared<R> {
    pub(crate) const fn new(run: R) -> Self {
        Self { run }
    }
}

impl<R: Future + MaybeShared> Future for WithShared<R> {
    type Output = Shared<R::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut run = self.project().run;
        let result = ready!(run.as_mut().poll(cx));
        Poll::Ready(Shared { result, is_shared: run.is_shared() })
    }
}
