//! How a future lets others have their turn.

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Lets the other tasks have their turn.
pub(crate) const fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// No `async fn`: that would panic if it were polled after its end.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
