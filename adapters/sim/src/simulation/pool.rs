//! Jobs of a pool, each in a task of its own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb::pool::{Spawn, Stopped, Task};

use super::sim::Sim;
use super::spawn::JoinHandle;

/// Spawns in the world that runs on this thread. A task that panics fails its world.
impl Spawn for Sim {
    type Task<T: Send + 'static> = SimTask<T>;

    fn spawn<F>(&self, future: F) -> SimTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        SimTask { handle: Some(Sim::spawn(*self, "job", future)) }
    }
}

/// A simulated task, which is dropped when this is.
#[must_use = "dropping it drops the task"]
pub struct SimTask<T> {
    /// None once it is detached, or has ended.
    handle: Option<JoinHandle<T>>,
}

impl<T> Task for SimTask<T> {
    fn detach(mut self) {
        self.handle = None;
    }
}

impl<T> Future for SimTask<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handle) = &mut self.handle else { return Poll::Pending };
        let polled = Pin::new(handle).poll(cx);
        if polled.is_ready() {
            self.handle = None;
        }
        polled.map(|ended| ended.map_err(|_aborted| Stopped::Cancelled))
    }
}

impl<T> Drop for SimTask<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for SimTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTask").field("handle", &self.handle).finish()
    }
}
