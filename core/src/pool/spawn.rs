use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::PoolError;

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
    #[must_use = "dropping it drops the job; `detach` lets it run"]
    pub struct Spawned<X> {
        #[pin]
        stage: Stage<X>,
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

impl<X> Spawned<X> {
    pub(super) const fn new(task: X) -> Self {
        Self { stage: Stage::Task { task } }
    }

    pub(super) const fn refused(error: PoolError) -> Self {
        Self { stage: Stage::Refused { error } }
    }
}

impl<X: Task> Spawned<X> {
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
    pub fn detach(self) {
        match self.stage {
            Stage::Task { task } => task.detach(),
            Stage::Refused { .. } | Stage::Ended => {}
        }
    }
}

impl<X, T, E> Future for Spawned<X>
where
    X: Task<Output = Result<Result<T, PoolError<E>>, Stopped>>,
{
    type Output = Result<T, PoolError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        let ended = match stage.as_mut().project() {
            StageProjection::Task { task } => match ready!(task.poll(cx)) {
                Ok(outcome) => outcome,
                Err(stopped) => Err(PoolError::from(stopped).of_job()),
            },
            StageProjection::Refused { error } => Err(error.of_job()),
            StageProjection::Ended => return Poll::Pending,
        };
        stage.set(Stage::Ended);
        Poll::Ready(ended)
    }
}

impl<X> fmt::Debug for Spawned<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Task { .. } => "a task",
            Stage::Refused { .. } => "refused",
            Stage::Ended => "ended",
        };
        f.debug_struct("Spawned").field("stage", &stage).finish_non_exhaustive()
    }
}
