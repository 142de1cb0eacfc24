use core::fmt;
use core::future::Future;
use core::mem::{forget, replace};
use core::task::Waker;

use super::error::{PoolError, Rejected};
use super::event::Event;
use super::results::Results;
use super::state::{End, Snapshot};
use crate::children::{PinnedStorage, Places};
use crate::config::ConfigError;
use crate::edge::DriveError;
use crate::observe::{SharedObserver, Silent};
use crate::operation::Fallible;
use crate::parallel::window::Window;
use crate::platform::Platform;
use crate::storage::queued_error;
use crate::sync::Shared;

/// Jobs of one type that are added from anywhere, and run in the one task that takes their results: so many at once, started in the order of their adding.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_queued`](JobSet::max_queued) | what the storage holds |
///
/// `S` says where jobs lie, those that wait and those that run: [`Inline<N>`](crate::storage::Inline) has room for `N` of either.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use futures_lite::StreamExt;
///
/// async fn fetch(page: u32) -> Result<u32, std::io::Error> {
///     aplomb_sim::sleep(ms(u64::from(100 - page))).await;
///     Ok(page)
/// }
///
/// aplomb_sim::block_on(async {
///     let crawl: JobSet<_> = JobSet::new(10);
///     crawl.add(fetch(1)).unwrap();
///     let mut results = std::pin::pin!(crawl.results().unwrap());
///     let mut pages = Vec::new();
///     while let Some(page) = results.next().await {
///         let page = page?;
///         pages.push(page);
///         if page < 4 {
///             // What it has led to.
///             crawl.add(fetch(2 * page)).unwrap();
///             crawl.add(fetch(2 * page + 1)).unwrap();
///         } else if pages.len() == 7 {
///             crawl.close();
///         }
///     }
///     assert_eq!(pages, [1, 2, 3, 4, 5, 6, 7]);
///     Ok::<_, std::io::Error>(())
/// }).unwrap();
/// ```
pub struct JobSet<P: Platform, J, S: PinnedStorage = <P as Platform>::Storage, O = Silent> {
    /// As it was built; what it is now is behind the lock.
    concurrency: u32,
    max_queued: u32,
    state: Shared<P::RawMutex, State<J, S>>,
    observer: O,
}

/// What is behind the lock.
struct State<J, S: PinnedStorage> {
    now: Snapshot,
    /// A ring of those that wait.
    jobs: Window<J, S>,
    /// Whether somebody takes the results.
    taken: bool,
    /// Of that task.
    taker: Option<Waker>,
}

/// What there is to start.
pub(super) enum Next<J> {
    Job(J),
    /// Nothing yet.
    Later,
    /// Nothing any more.
    Never,
}

impl<J, S: PinnedStorage> State<J, S> {
    const fn new(concurrency: u32) -> Self {
        Self { now: Snapshot::new(concurrency), jobs: Window::EMPTY, taken: false, taker: None }
    }

    /// The waker of who takes the results comes back, if there is something to start.
    fn add(&mut self, job: J, max_queued: u32) -> Result<Option<Waker>, Rejected<J>> {
        let waiting = self.now.waiting;
        let reason = if self.now.closed {
            PoolError::Closed
        } else if waiting >= max_queued {
            PoolError::QueueFull { waiting }
        } else {
            match self.jobs.keep(waiting as usize, job) {
                Ok(()) => {
                    self.now.waiting = waiting.saturating_add(1);
                    return Ok(if self.now.has_place() { self.taker.take() } else { None });
                }
                Err(job) => return Err(Rejected { job, reason: self.now.reject(PoolError::QueueFull { waiting }) }),
            }
        };
        Err(Rejected { job, reason: self.now.reject(reason) })
    }

    fn next(&mut self, kept: u32) -> Next<J> {
        if self.is_over() {
            return Next::Never;
        }
        match if self.has_next(kept) { self.jobs.take_next() } else { None } {
            Some(job) => {
                self.now.waiting = self.now.waiting.saturating_sub(1);
                self.now.running = self.now.running.saturating_add(1);
                Next::Job(job)
            }
            None => Next::Later,
        }
    }

    /// Whether there is nothing to start any more.
    fn is_over(&self) -> bool {
        self.now.closed && self.now.waiting == 0
    }

    /// Whether a job can start, beside those that run and the results that are kept.
    fn has_next(&self, kept: u32) -> bool {
        let taken = self.now.running.saturating_add(kept);
        self.now.waiting > 0 && !self.now.paused && taken < self.now.concurrency
    }
}

impl<P: Platform, J> JobSet<P, J> {
    /// A set that runs so many jobs at once.
    #[must_use]
    pub const fn new(concurrency: u32) -> Self {
        Self::made(concurrency, u32::MAX, Silent)
    }
}

/// Settings that change its type. Of a set that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform, J, S: PinnedStorage, O: Copy> JobSet<P, J, S, O> {
    /// Keeps jobs in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` that wait, and `N` that run. The wakers of those that run are allocated all the same, where the platform has [wakers of its own](crate::children). Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::future::Ready;
    ///
    /// static SET: JobSet<Ready<Result<u8, ()>>, Inline<4>> = checked!(JobSet::new(2).storage());
    /// ```
    #[must_use]
    pub const fn storage<T: PinnedStorage>(self) -> JobSet<P, J, T, O> {
        let Self { concurrency, max_queued, observer, .. } = self;
        // It has no jobs yet, and a `const fn` drops nothing.
        forget(self);
        JobSet::made(concurrency, max_queued, observer)
    }

    /// Tells `observer` what becomes of jobs, as [`Pool::observed_by`](super::Pool::observed_by) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::pool::Event;
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::StreamExt;
    /// use std::cell::Cell;
    ///
    /// let started = Cell::new(0);
    /// let count = |event: &Event| if let Event::Started { .. } = event { started.set(started.get() + 1) };
    /// let set: JobSet<_, Heap, _> = JobSet::new(2).observed_by(count);
    /// for n in 1..=3 {
    ///     set.add(async move { Ok::<u32, std::io::Error>(n) }).unwrap();
    /// }
    /// set.close();
    /// let results: Vec<u32> = aplomb_sim::block_on(async { set.results().unwrap().try_collect().await.unwrap() });
    /// assert_eq!((results.as_slice(), started.get()), (&[1, 2, 3][..], 3));
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> JobSet<P, J, S, V> {
        let Self { concurrency, max_queued, .. } = self;
        // It has no jobs yet, and a `const fn` drops nothing.
        forget(self);
        JobSet::made(concurrency, max_queued, observer)
    }
}

impl<P: Platform, J, S: PinnedStorage, O> JobSet<P, J, S, O> {
    /// How many can run at once.
    #[allow(clippy::cast_possible_truncation, reason = "where it would, there is no limit")]
    const MOST: u32 = {
        let places = <S::Places<J> as Places<J>>::MOST;
        if places < u32::MAX as usize { places as u32 } else { u32::MAX }
    };

    const fn made(concurrency: u32, max_queued: u32, observer: O) -> Self {
        Self { concurrency, max_queued, state: Shared::new(State::new(concurrency)), observer }
    }

    /// Lets so many jobs wait, and turns others away. Default: as many as the storage has room for; on the heap, set it.
    #[must_use]
    pub const fn max_queued(mut self, jobs: u32) -> Self {
        self.max_queued = jobs;
        self
    }

    /// What is wrong with it, if anything is: [`check`](JobSet::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = Self::error_of(self.concurrency, self.max_queued);
        // It has no jobs yet, and a `const fn` drops nothing.
        forget(self);
        error
    }

    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Concurrency`] if no job could ever run, or more than there are places; [`ConfigError::MaxQueued`] if none could be added, or more than there is room for.
    pub const fn check(self) -> Result<Self, ConfigError> {
        match Self::error_of(self.concurrency, self.max_queued) {
            Some(error) => {
                // It has no jobs yet, and a `const fn` drops nothing.
                forget(self);
                Err(error)
            }
            None => Ok(self),
        }
    }

    const fn error_of(concurrency: u32, max_queued: u32) -> Option<ConfigError> {
        if concurrency == 0 || concurrency > Self::MOST {
            Some(ConfigError::Concurrency { value: concurrency, most: Self::MOST })
        } else if max_queued == 0 {
            Some(ConfigError::MaxQueued { value: 0, most: S::CAPACITY })
        } else {
            queued_error(max_queued, S::CAPACITY)
        }
    }
}

impl<P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> JobSet<P, J, S, O> {
    /// Adds a job. It starts when its turn comes, in the task that takes the results; nothing is started here.
    ///
    /// # Errors
    ///
    /// [`Rejected`] gives the job back if the set is closed or full, or makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use aplomb::pool::Rejected;
    ///
    /// let set: JobSet<_> = JobSet::new(2).max_queued(1);
    /// set.add("a job").unwrap();
    /// let Rejected { job, reason, .. } = set.add("one too many").unwrap_err();
    /// assert_eq!((job, reason), ("one too many", PoolError::QueueFull { waiting: 1 }));
    /// ```
    pub fn add(&self, job: J) -> Result<(), Rejected<J>> {
        let taker = self.state.with(|state| match Self::error_of(state.now.concurrency, self.max_queued) {
            Some(error) => Err(Rejected { job, reason: PoolError::Config(error) }),
            None => state.add(job, self.max_queued),
        });
        match taker {
            Ok(taker) => {
                if O::LISTENS {
                    let waiting = self.state.with(|state| state.now.waiting);
                    self.observer.observe(&Event::Waiting { priority: 0, waiting });
                }
                wake(taker);
                Ok(())
            }
            Err(rejected) => {
                self.observer.observe(&Event::Rejected { reason: rejected.reason });
                Err(rejected)
            }
        }
    }

    /// Starts nothing until [`resume`](JobSet::resume). What runs goes on, and jobs can be added.
    pub fn pause(&self) {
        if !self.state.with(|state| replace(&mut state.now.paused, true)) {
            self.observer.observe(&Event::Paused);
        }
    }

    /// Goes on after a [`pause`](JobSet::pause).
    pub fn resume(&self) {
        if self.change(|now| replace(&mut now.paused, false)) {
            self.observer.observe(&Event::Resumed);
        }
    }

    /// Takes no more jobs. Those that wait still run; when the last one has ended, so do the [results](JobSet::results).
    pub fn close(&self) {
        if !self.change(|now| replace(&mut now.closed, true)) {
            self.observer.observe(&Event::Closed);
        }
    }

    /// Drops all jobs that wait. What runs is not disturbed. How many they were.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let set: JobSet<_> = JobSet::new(2);
    /// set.add("a job").unwrap();
    /// assert_eq!((set.cancel_waiting(), set.snapshot().cancelled), (1, 1));
    /// ```
    pub fn cancel_waiting(&self) -> u32 {
        let (waiting, taker, _jobs) = self.state.with(|state| {
            let waiting = replace(&mut state.now.waiting, 0);
            state.now.cancelled = state.now.cancelled.saturating_add(u64::from(waiting));
            (waiting, state.taker.take(), replace(&mut state.jobs, Window::EMPTY))
        });
        wake(taker);
        if O::LISTENS {
            (0..waiting).for_each(|_| self.observer.observe(&Event::Cancelled));
        }
        waiting
    }

    /// Runs so many jobs at once from now on. Of too many that run, none is disturbed.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Concurrency`] for zero, or more than there are places, and all stays as it is.
    pub fn set_concurrency(&self, concurrency: u32) -> Result<(), ConfigError> {
        if let Some(error) = Self::error_of(concurrency, u32::MAX) {
            return Err(error);
        }
        self.change(|now| now.concurrency = concurrency);
        Ok(())
    }

    /// What it does now, and what it has done so far.
    pub fn snapshot(&self) -> Snapshot {
        self.state.with(|state| state.now)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Snapshot) -> R) -> R {
        let (result, taker) = self.state.with(|state| (change(&mut state.now), state.taker.take()));
        wake(taker);
        result
    }

    pub(super) fn take_next(&self, kept: u32) -> Next<J> {
        self.state.with(|state| state.next(kept))
    }

    /// Whom to wake when there is something to start, or nothing any more. Says whether it is so already.
    pub(super) fn listen(&self, kept: u32, waker: Waker) -> bool {
        let (over, _unused) = self.state.with(|state| {
            let over = state.has_next(kept) || state.is_over();
            (over, if over { Some(waker) } else { state.taker.replace(waker) })
        });
        over
    }

    /// A job has been taken that starts.
    #[inline]
    pub(super) fn started(&self) {
        self.observer.observe(&Event::Started { priority: 0 });
    }

    pub(super) fn end(&self, end: End) {
        self.state.with(|state| state.now.end(end));
        self.observer.observe(&end.event());
    }

    pub(super) fn leave(&self) {
        drop(self.state.with(|state| {
            state.taken = false;
            state.taker.take()
        }));
    }
}

impl<P: Platform, J: Future<Output: Fallible>, S: PinnedStorage, O: SharedObserver<Event>> JobSet<P, J, S, O> {
    /// Runs the jobs, and is the stream of their results, in order of adding; or in the order in which they end, if it is [told](Results::completion_order) so. It ends when the set is closed, and all jobs have.
    ///
    /// Jobs run while it is polled. One that fails harms no other: its error is an item. One that panics does so in this task; if that goes on all the same, the job has no result, and the others go on too.
    ///
    /// # Errors
    ///
    /// [`DriveError::Busy`] while another has the results; [`DriveError::Config`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::StreamExt;
    ///
    /// aplomb_sim::block_on(async {
    ///     let set: JobSet<_> = JobSet::new(2);
    ///     for takes in [30, 10, 10] {
    ///         let job = async move { aplomb_sim::sleep(ms(takes)).await; Ok::<_, std::io::Error>(takes) };
    ///         set.add(job).unwrap();
    ///     }
    ///     set.close();
    ///     let results: Vec<u64> = set.results().unwrap().completion_order().try_collect().await.unwrap();
    ///     assert_eq!(results, [10, 10, 30]);
    /// });
    /// ```
    pub fn results(&self) -> Result<Results<'_, P, J, S, O>, DriveError> {
        let concurrency = self.state.with(|state| match Self::error_of(state.now.concurrency, self.max_queued) {
            Some(error) => Err(DriveError::Config(error)),
            None if replace(&mut state.taken, true) => Err(DriveError::Busy),
            None => Ok(state.now.concurrency),
        })?;
        Ok(Results::new(self, concurrency))
    }
}

/// Outside the lock, as all wakers.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<P: Platform, J, S: PinnedStorage, O> fmt::Debug for JobSet<P, J, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSet")
            .field("max_queued", &self.max_queued)
            .field("now", &self.state.with(|state| state.now))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, J, S: PinnedStorage, O> defmt::Format for JobSet<P, J, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "JobSet {{ max_queued: {}, now: {}, .. }}", self.max_queued, self.state.with(|state| state.now));
    }
}
