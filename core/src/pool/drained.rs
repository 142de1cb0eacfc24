use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::as_pool::AsPool;
use super::error::PoolError;
use super::line::Key;
use super::state::Turn;
use crate::storage::Storage;

/// Waits until a pool has nothing to do; made by [`Pool::drained`](super::Pool::drained).
///
/// # Cancel safety
///
/// Dropping it changes nothing for anybody. Polled after its end, it is pending for ever.
#[must_use = "futures do nothing unless polled"]
pub struct Drained<B: AsPool> {
    pool: B,
    progress: Progress<<B::Storage as Storage>::Link>,
}

enum Progress<L> {
    Unasked,
    Waiting(Key<L>),
    Ended,
}

impl<B: AsPool> Drained<B> {
    pub(super) const fn new(pool: B) -> Self {
        Self { pool, progress: Progress::Unasked }
    }
}

impl<B: AsPool> Future for Drained<B> {
    type Output = Result<(), PoolError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let ended = match self.progress {
            Progress::Ended => return Poll::Pending,
            Progress::Unasked => {
                let (entered, _unused) = self.pool.as_pool().look(|state| state.await_idle(waker));
                match entered {
                    Ok(Some(key)) => {
                        self.progress = Progress::Waiting(key);
                        return Poll::Pending;
                    }
                    Ok(None) => Ok(()),
                    Err(full) => Err(full),
                }
            }
            Progress::Waiting(key) => match self.pool.as_pool().look(|state| state.ask(key, waker)) {
                (Turn::Waits, _unused) => return Poll::Pending,
                (Turn::Called(_), _unused) => Ok(()),
            },
        };
        self.progress = Progress::Ended;
        Poll::Ready(ended)
    }
}

/// A pointer may move, whatever it points to.
impl<B: AsPool> Unpin for Drained<B> {}

impl<B: AsPool> Drop for Drained<B> {
    fn drop(&mut self) {
        if let Progress::Waiting(key) = self.progress {
            drop(self.pool.as_pool().look(|state| state.forgo_idle(key)));
        }
    }
}

impl<B: AsPool> fmt::Debug for Drained<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").field("ended", &matches!(self.progress, Progress::Ended)).finish_non_exhaustive()
    }
}
