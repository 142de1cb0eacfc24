use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb::pool::{Spawn, Stopped, Task};
use async_executor::{Executor, FallibleTask};

/// Spawns on this executor, on whatever threads it is run.
///
/// # Examples
///
/// ```
/// use aplomb_smol::OnExecutor;
/// use aplomb_smol::prelude::*;
///
/// static EXECUTOR: smol::Executor<'static> = smol::Executor::new();
/// static RESIZING: Pool = checked!(Pool::new(4));
///
/// async fn resize(image: u32) -> Result<u32, std::io::Error> { Ok(image) }
///
/// smol::block_on(EXECUTOR.run(async {
///     let [one, two] = [1, 2].map(|image| RESIZING.run(move || resize(image)).spawn_on(&OnExecutor(&EXECUTOR)));
///     assert_eq!((one.await?, two.await?), (1, 2));
///     Ok::<_, PoolError<std::io::Error>>(())
/// }))?;
/// # Ok::<_, PoolError<std::io::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OnExecutor<'e>(pub &'e Executor<'static>);

impl Spawn for OnExecutor<'_> {
    type Task<T: Send + 'static> = SmolTask<T>;

    fn spawn<F>(&self, future: F) -> SmolTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        SmolTask { task: self.0.spawn(future).fallible() }
    }
}

/// Spawns on the executor of `smol::spawn`.
///
/// # Examples
///
/// ```
/// use aplomb_smol::Smol;
/// use aplomb_smol::prelude::*;
///
/// static POOL: Pool = checked!(Pool::new(4));
///
/// let job = POOL.run(async || Ok::<_, std::io::Error>(7)).spawn_on(&Smol);
/// assert_eq!(smol::block_on(job).unwrap(), 7);
/// ```
#[cfg(feature = "global-executor")]
impl Spawn for crate::Smol {
    type Task<T: Send + 'static> = SmolTask<T>;

    fn spawn<F>(&self, future: F) -> SmolTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        SmolTask { task: smol::spawn(future).fallible() }
    }
}

/// A task on an executor of smol's, which is cancelled when this is dropped.
#[must_use = "dropping it drops the task"]
pub struct SmolTask<T> {
    task: FallibleTask<T>,
}

impl<T> Task for SmolTask<T> {
    fn detach(self) {
        self.task.detach();
    }
}

impl<T> Future for SmolTask<T> {
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The panic of a task goes on in whoever awaits it. Nothing is left behind halfway: the task is over.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.task).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(output))) => Poll::Ready(Ok(output)),
            Ok(Poll::Ready(None)) => Poll::Ready(Err(Stopped::Cancelled)),
            Err(_panic) => Poll::Ready(Err(Stopped::Panicked)),
        }
    }
}

impl<T> fmt::Debug for SmolTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmolTask").finish_non_exhaustive()
    }
}
