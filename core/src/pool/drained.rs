use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::control::Pool;
use super::error::PoolError;
use super::state::Turn;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::wait_list::Key;

/// Waits until a pool has nothing to do; made by [`Pool::drained`].
///
/// # Cancel safety
///
/// Dropping it changes nothing for anybody. Polled after its end, it is pending for ever.
#[must_use = "futures do nothing unless polled"]
pub struct Drained<'p, P: Platform, S: Storage = <P as Platform>::Storage> {
    pool: &'p Pool<P, S>,
    progress: Progress<S::Link>,
}

enum Progress<L> {
    Unasked,
    Waiting(Key<L>),
    Ended,
}

impl<'p, P: Platform, S: Storage> Drained<'p, P, S> {
    pub(super) const fn new(pool: &'p Pool<P, S>) -> Self {
        Self { pool, progress: Progress::Unasked }
    }
}

impl<P: Platform, S: Storage> Future for Drained<'_, P, S> {
    type Output = Result<(), PoolError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let ended = match self.progress {
            Progress::Ended => return Poll::Pending,
            Progress::Unasked => {
                let (entered, _unused) = self.pool.look(|state| state.await_idle(waker));
                match entered {
                    Ok(Some(key)) => {
                        self.progress = Progress::Waiting(key);
                        return Poll::Pending;
                    }
                    Ok(None) => Ok(()),
                    Err(full) => Err(full),
                }
            }
            Progress::Waiting(key) => match self.pool.look(|state| state.ask(key, waker)) {
                (Turn::Waits, _unused) => return Poll::Pending,
                (Turn::Called(_), _unused) => Ok(()),
            },
        };
        self.progress = Progress::Ended;
        Poll::Ready(ended)
    }
}

impl<P: Platform, S: Storage> Drop for Drained<'_, P, S> {
    fn drop(&mut self) {
        if let Progress::Waiting(key) = self.progress {
            drop(self.pool.look(|state| state.forgo_idle(key)));
        }
    }
}

impl<P: Platform, S: Storage> fmt::Debug for Drained<'_, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").field("ended", &matches!(self.progress, Progress::Ended)).finish_non_exhaustive()
    }
}
