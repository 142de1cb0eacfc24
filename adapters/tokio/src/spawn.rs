use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb::pool::{Spawn, Stopped, Task};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::Tokio;

/// Spawns on the runtime that is entered.
///
/// # Panics
///
/// As `tokio::spawn`, where no runtime is entered.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::Tokio;
/// use aplomb_tokio::prelude::*;
///
/// static RESIZING: Pool = checked!(Pool::new(4));
///
/// async fn resize(image: u32) -> Result<u32, std::io::Error> { Ok(image) }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), PoolError<std::io::Error>> {
/// let [one, two] = [1, 2].map(|image| RESIZING.run(move || resize(image)).spawn_on(&Tokio));
/// assert_eq!((one.await?, two.await?), (1, 2));
/// # Ok(()) }
/// ```
impl Spawn for Tokio {
    type Task<T: Send + 'static> = TokioTask<T>;

    fn spawn<F>(&self, future: F) -> TokioTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        TokioTask { handle: Some(tokio::spawn(future)) }
    }
}

/// Spawns on the runtime of this handle, from wherever it is asked to.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::OnRuntime;
/// use aplomb_tokio::prelude::*;
///
/// static POOL: Pool = checked!(Pool::new(4));
///
/// let runtime = tokio::runtime::Runtime::new()?;
/// let job = POOL.run(async || Ok::<_, std::io::Error>(7)).spawn_on(&OnRuntime(runtime.handle().clone()));
/// assert_eq!(runtime.block_on(job).unwrap(), 7);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OnRuntime(pub Handle);

impl Spawn for OnRuntime {
    type Task<T: Send + 'static> = TokioTask<T>;

    fn spawn<F>(&self, future: F) -> TokioTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        TokioTask { handle: Some(self.0.spawn(future)) }
    }
}

/// A task on tokio, which is aborted when this is dropped.
#[must_use = "dropping it drops the task"]
pub struct TokioTask<T> {
    /// None once it is detached.
    handle: Option<JoinHandle<T>>,
}

impl<T> Task for TokioTask<T> {
    fn detach(mut self) {
        self.handle = None;
    }
}

impl<T> Future for TokioTask<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handle) = &mut self.handle else { return Poll::Pending };
        let ended = ready!(Pin::new(handle).poll(cx));
        Poll::Ready(ended.map_err(|error| if error.is_panic() { Stopped::Panicked } else { Stopped::Cancelled }))
    }
}

impl<T> Drop for TokioTask<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for TokioTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioTask").field("detached", &self.handle.is_none()).finish_non_exhaustive()
    }
}
