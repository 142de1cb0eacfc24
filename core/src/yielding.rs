//! How a future lets others have their turn.

use core::future::poll_fn;
use core::mem;
use core::task::Poll;

/// Lets the other tasks have their turn.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
