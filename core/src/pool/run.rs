use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::as_pool::AsPool;
use super::error::PoolError;
use super::event::Event;
use super::lanes::Rank;
use super::line::Key;
use super::spawn::{Queued, Spawn, Spawned};
use super::state::{End, State, Turn};
use crate::observe::SharedObserver;
use crate::panicking::clear_at_panic;
use crate::storage::Storage;

/// What a pool's entries are linked by.
pub(super) type LinkOf<B> = <<B as AsPool>::Storage as Storage>::Link;

pin_project! {
    /// A job in a pool; made by [`Pool::run`](super::Pool::run), or by [`new`](Run::new) with a pool that it owns.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the job has started gives up its place in the queue. Dropping it later drops the job, and then gives the place to the next one; if the job panics, that happens at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<B: AsPool, F, Fut> {
        // Dropped before the place is given back.
        #[pin]
        job: Job<F, Fut>,
        priority: i32,
        waits: bool,
        stay: Stay<B>,
    }
}

pin_project! {
    #[project = JobProjection]
    #[project_replace = JobReplaced]
    enum Job<F, Fut> {
        Ready { job: F },
        Running { #[pin] running: Fut },
        Ended,
    }
}

impl<B, F, Fut, T, E> Run<B, F, Fut>
where
    B: AsPool,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    /// As [`Pool::run`](super::Pool::run), with a pointer of one's own to the pool: an `Arc`, an `Rc`, a `&'static`.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::pool::Run;
    /// use aplomb_sim::prelude::*;
    /// use std::{future::Future, sync::Arc};
    ///
    /// fn job(pool: &Arc<Pool>) -> impl Future<Output = Result<u32, PoolError<std::io::Error>>> + use<> {
    ///     Run::new(Arc::clone(pool), async || Ok(7))
    /// }
    ///
    /// let pool = Arc::new(Pool::new(2));
    /// assert_eq!(aplomb_sim::block_on(job(&pool)).unwrap(), 7);
    /// ```
    pub const fn new(pool: B, job: F) -> Self {
        let stay = Stay { pool, progress: Progress::Outside };
        Self { job: Job::Ready { job }, priority: 0, waits: true, stay }
    }

    /// How urgent the job is: those of a higher priority get their places before those of a lower, and equal ones in the order of their coming. What runs is not interrupted. Default: 0.
    ///
    /// Where there is always something more urgent, a job waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// # static POOL: Pool = Pool::new(4);
    /// # async fn render(page: u32) -> Result<u32, std::io::Error> { Ok(page) }
    /// # aplomb_sim::block_on(async {
    /// let visible = POOL.run(|| render(1)).priority(10).await?;
    /// # let _ = visible; Ok::<_, PoolError<std::io::Error>>(()) }).unwrap();
    /// ```
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    pub(super) const fn without_waiting(mut self) -> Self {
        self.waits = false;
        self
    }

    /// Runs the job in a task of its own, which an executor polls on whatever thread it likes. It stands in the queue, or has its place, when this returns; nobody has to await the handle.
    ///
    /// One that found a place has started by then, whenever the executor polls it for the first time: a [pause](super::Pool::pause) does not hold it any more. One that was called out of the queue starts when it is polled.
    ///
    /// The pool outlives the task: it is in a `static`, or [owned](Run::new) through a pointer that can be cloned. `executor` is what the adapter provides: `Tokio` and `OnRuntime`, `OnExecutor`, `Sim`.
    ///
    /// # Errors
    ///
    /// Through the handle: as of [`Pool::run`](super::Pool::run); and [`Panicked`](PoolError::Panicked), where the executor goes on when a task panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::Sim;
    /// use aplomb_sim::prelude::*;
    ///
    /// static RESIZING: Pool = checked!(Pool::new(4));
    ///
    /// async fn resize(image: u32) -> Result<u32, std::io::Error> { Ok(image) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let resized: Vec<_> = (0..100).map(|image| RESIZING.run(move || resize(image)).spawn_on(&Sim)).collect();
    ///     for image in resized {
    ///         image.await?;
    ///     }
    ///     assert_eq!(RESIZING.snapshot().completed, 100);
    ///     Ok::<_, PoolError<std::io::Error>>(())
    /// }).unwrap();
    /// ```
    pub fn spawn_on<X: Spawn>(mut self, executor: &X) -> Spawned<X::Task<Result<T, PoolError<E>>>, B>
    where
        B: Clone,
        Self: Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        // Without a waker: the task asks when it is polled for the first time. One that was polled before has what it needs.
        let entered = match (&self.job, &self.stay.progress) {
            (Job::Ready { .. }, Progress::Outside) => self.stay.enter(self.priority, self.waits, Waker::noop()),
            _ => Ok(()),
        };
        let queued = Queued { pool: self.stay.pool.clone(), key: self.stay.key() };
        match entered {
            Ok(()) => Spawned::new(executor.spawn(self), queued),
            Err(refused) => Spawned::refused(refused, queued),
        }
    }
}

impl<B, F, Fut, T, E> Future for Run<B, F, Fut>
where
    B: AsPool,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, PoolError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_result(cx))
    }
}

impl<B, F, Fut, T, E> Run<B, F, Fut>
where
    B: AsPool,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.job.set(Job::Ended);
        this.stay.give_up();
    }

    #[inline]
    fn poll_result(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, PoolError<E>>> {
        let mut this = self.project();
        if let JobProjection::Ready { .. } = this.job.as_mut().project() {
            let called = ready!(this.stay.poll_place(*this.priority, *this.waits, cx));
            let JobReplaced::Ready { job } = this.job.as_mut().project_replace(Job::Ended) else { return Poll::Pending };
            match called {
                Ok(()) => this.job.set(Job::Running { running: job() }),
                Err(refused) => return Poll::Ready(Err(refused.of_job())),
            }
        }
        let JobProjection::Running { running } = this.job.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(running.poll(cx));
        // What it held is free before the next one starts.
        this.job.set(Job::Ended);
        this.stay.end(if outcome.is_ok() { End::Completed } else { End::Failed });
        Poll::Ready(outcome.map_err(PoolError::Failed))
    }
}

/// A job's stay in its pool: a place in the queue, and then a place to run, given up when this is dropped.
struct Stay<B: AsPool> {
    pool: B,
    progress: Progress<LinkOf<B>>,
}

enum Progress<L> {
    /// Not yet in the pool, or no longer.
    Outside,
    Waiting(Key<L>),
    Running,
}

impl<B: AsPool> Stay<B> {
    #[inline]
    fn poll_place(&mut self, priority: i32, waits: bool, cx: &mut Context<'_>) -> Poll<Result<(), PoolError>> {
        match self.progress {
            Progress::Running => Poll::Ready(Ok(())),
            Progress::Waiting(key) => self.ask(key, cx),
            Progress::Outside => {
                self.enter(priority, waits, cx.waker())?;
                if let Progress::Waiting(_) = self.progress { Poll::Pending } else { Poll::Ready(Ok(())) }
            }
        }
    }

    /// Takes a place, or one in the queue.
    #[inline]
    fn enter(&mut self, priority: i32, waits: bool, waker: &Waker) -> Result<(), PoolError> {
        if let Some(error) = self.pool.as_pool().queue_error() {
            return Err(self.rejected(PoolError::Config(error)));
        }
        // Without a waker first: most find a place.
        if self.pool.as_pool().look(State::start) {
            self.start(priority);
            return Ok(());
        }
        self.stand_in_line(priority, waits, waker)
    }

    fn stand_in_line(&mut self, priority: i32, waits: bool, waker: &Waker) -> Result<(), PoolError> {
        let pool = self.pool.as_pool();
        let max_queued = waits.then(|| pool.max_queued_jobs());
        let waker = waker.clone();
        // A waker that isn't needed after all comes out of the lock before it is dropped.
        let (entered, _unused) = pool.look(|state| state.enter(max_queued, priority, waker));
        match entered {
            Ok(None) => self.start(priority),
            Ok(Some(key)) => {
                self.progress = Progress::Waiting(key);
                if <B::Observer as SharedObserver<Event>>::LISTENS {
                    pool.tell(Event::Waiting { priority, waiting: pool.look(|state| state.now.waiting) });
                }
            }
            Err(reason) => return Err(self.rejected(reason)),
        }
        Ok(())
    }

    fn rejected(&self, reason: PoolError) -> PoolError {
        self.pool.as_pool().tell(Event::Rejected { reason });
        reason
    }

    fn ask(&mut self, key: Key<LinkOf<B>>, cx: &Context<'_>) -> Poll<Result<(), PoolError>> {
        let waker = cx.waker().clone();
        let (turn, _unused) = self.pool.as_pool().look(|state| state.ask(key, waker));
        match turn {
            Turn::Waits => Poll::Pending,
            Turn::Called(Rank::Job(priority)) => {
                self.start(priority);
                Poll::Ready(Ok(()))
            }
            Turn::Called(Rank::Cancelled | Rank::Idle | Rank::Drained) => {
                self.progress = Progress::Outside;
                self.pool.as_pool().tell(Event::Cancelled);
                Poll::Ready(Err(PoolError::Cancelled))
            }
        }
    }

    /// It has a place.
    #[inline]
    fn start(&mut self, priority: i32) {
        self.progress = Progress::Running;
        self.pool.as_pool().tell(Event::Started { priority });
    }

    #[inline]
    fn end(&mut self, end: End) {
        self.progress = Progress::Outside;
        let pool = self.pool.as_pool();
        pool.change(|state| state.now.end(end));
        pool.tell(end.event());
    }

    /// Of its place in the queue, while it is there.
    const fn key(&self) -> Option<Key<LinkOf<B>>> {
        match self.progress {
            Progress::Waiting(key) => Some(key),
            Progress::Outside | Progress::Running => None,
        }
    }

    fn give_up(&mut self) {
        match self.progress {
            Progress::Outside => {}
            Progress::Running => self.end(End::Cancelled),
            Progress::Waiting(key) => {
                self.progress = Progress::Outside;
                self.pool.as_pool().leave(key);
            }
        }
    }
}

impl<B: AsPool> Drop for Stay<B> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<B: AsPool, F, Fut> fmt::Debug for Run<B, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match (&self.job, &self.stay.progress) {
            (Job::Ready { .. }, Progress::Outside) => "not yet polled",
            (Job::Ready { .. }, Progress::Waiting(_)) => "waiting",
            (Job::Ready { .. } | Job::Running { .. }, _) => "running",
            (Job::Ended, _) => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).field("priority", &self.priority).finish_non_exhaustive()
    }
}
