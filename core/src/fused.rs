use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that is pending for ever after its end, as all others here are, and holds nothing then. It is for what only the compiler can make, an `async` block that lends: polled after its end, that would panic.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Fused<F> {
        // None after the end.
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Fused<F> {
    pub(crate) const fn new(future: F) -> Self {
        Self { future: Some(future) }
    }
}

impl<F: Future> Future for Fused<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let output = ready!(future.poll(cx));
        this.future.set(None);
        Poll::Ready(output)
    }
}
