use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::as_pool::AsPool;
use super::error::PoolError;
use super::line::Key;
use super::run::LinkOf;

/// An executor that takes tasks, on whatever thread it polls them. The adapters implement it for theirs.
pub trait Spawn {
    /// A task under way.
    type Task<T: Send + 'static>: Task<Output = Result<T, Stopped>>;

    /// Starts a task.
    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;
}

/// A task under way: a future of its output. Dropping it drops the task.
pub trait Task: Future {
    /// Lets the task run without anybody to tell.
    fn detach(self);
}

/// Why a task has no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stopped {
    /// It panicked.
    Panicked,
    /// The executor has dropped it.
    Cancelled,
}

impl From<Stopped> for PoolError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Panicked => Self::Panicked,
            Stopped::Cancelled => Self::Cancelled,
        }
    }
}

pin_project! {
    /// A job that runs in a task of its own; made by [`Run::spawn_on`](super::Run::spawn_on).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the job, be it waiting or running; a job that is being polled on another thread is dropped at the end of that poll. To let it run all the same, [`detach`](Spawned::detach) it. Polled after its end, it is pending for ever.
    ///
    /// A job that waits, or was called and not polled since, has left the queue when this is dropped. One that has started leaves its place when its executor drops it: in a simulation at once, on tokio and smol when a thread comes to it.
    #[must_use = "dropping it drops the job; `detach` lets it run"]
    pub struct Spawned<X, B: AsPool> {
        // Dropped before its place is given up, where the executor does so at once.
        #[pin]
        stage: Stage<X>,
        queued: Queued<B>,
    }
}

/// The place in the queue of a job that is in a task of its own: given up when this is dropped, if it is still there.
pub(super) struct Queued<B: AsPool> {
    pub(super) pool: B,
    /// None if it never stood there, or is none of the handle's any more.
    pub(super) key: Option<Key<LinkOf<B>>>,
}

impl<B: AsPool> Drop for Queued<B> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.pool.as_pool().leave(key);
        }
    }
}

pin_project! {
    #[project = StageProjection]
    #[project_replace = StageReplaced]
    enum Stage<X> {
        Task { #[pin] task: X },
        Refused { error: PoolError },
        Ended,
    }
}

impl<X, B: AsPool> Spawned<X, B> {
    pub(super) const fn new(task: X, queued: Queued<B>) -> Self {
        Self { stage: Stage::Task { task }, queued }
    }

    pub(super) const fn refused(error: PoolError, queued: Queued<B>) -> Self {
        Self { stage: Stage::Refused { error }, queued }
    }
}

impl<X: Task, B: AsPool> Spawned<X, B> {
    /// Lets the job run without anybody to tell. Whoever wants to know that it was refused looks at the pool's counters.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::Sim;
    /// use aplomb_sim::prelude::*;
    ///
    /// static POOL: Pool = checked!(Pool::new(4));
    ///
    /// aplomb_sim::block_on(async {
    ///     POOL.run(async || Ok::<_, std::io::Error>(())).spawn_on(&Sim).detach();
    ///     POOL.drained().await.unwrap();
    ///     assert_eq!(POOL.snapshot().completed, 1);
    /// });
    /// ```
    pub fn detach(mut self) {
        self.queued.key = None;
        match self.stage {
            Stage::Task { task } => task.detach(),
            Stage::Refused { .. } | Stage::Ended => {}
        }
    }
}

impl<X, B, T, E> Future for Spawned<X, B>
where
    B: AsPool,
    X: Task<Output = Result<Result<T, PoolError<E>>, Stopped>>,
{
    type Output = Result<T, PoolError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut stage = this.stage;
        let ended = match stage.as_mut().project() {
            StageProjection::Task { task } => match ready!(task.poll(cx)) {
                Ok(outcome) => outcome,
                Err(stopped) => Err(PoolError::from(stopped).of_job()),
            },
            StageProjection::Refused { error } => Err(error.of_job()),
            StageProjection::Ended => return Poll::Pending,
        };
        stage.set(Stage::Ended);
        this.queued.key = None;
        Poll::Ready(ended)
    }
}

impl<X, B: AsPool> fmt::Debug for Spawned<X, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Task { .. } => "a task",
            Stage::Refused { .. } => "refused",
            Stage::Ended => "ended",
        };
        f.debug_struct("Spawned").field("stage", &stage).finish_non_exhaustive()
    }
}
