use core::fmt;
use core::future::Future;
use core::mem::{forget, replace};
use core::task::Waker;

use super::drained::Drained;
use super::event::Event;
use super::line::Key;
use super::run::Run;
use super::state::{Snapshot, State};
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::Platform;
use crate::storage::{Storage, queued_error};
use crate::sync::Shared;

/// So many jobs at once, however many there are. Jobs are added while it runs, by whom and from where you like.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_queued`](Pool::max_queued) | what the storage holds |
/// | [`observed_by`](Pool::observed_by) | nobody is told |
/// | [`storage`](Pool::storage) | the platform's |
///
/// `S` says where those are kept who wait, `O` who is told of its [events](Event).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static UPLOADS: Pool = checked!(Pool::new(4).max_queued(1_000));
///
/// async fn upload(path: &str) -> Result<usize, std::io::Error> { Ok(path.len()) }
///
/// aplomb_sim::block_on(async {
///     let path = String::from("a/b");
///     let length = UPLOADS.run(|| upload(&path)).await?;
///     assert_eq!(length, 3);
///     Ok::<_, PoolError<std::io::Error>>(())
/// })?;
/// # Ok::<_, PoolError<std::io::Error>>(())
/// ```
pub struct Pool<P: Platform, S: Storage = <P as Platform>::Storage, O = Silent> {
    /// As it was built; what it is now is behind the lock.
    concurrency: u32,
    max_queued: u32,
    state: Shared<P::RawMutex, State<S>>,
    observer: O,
}

impl<P: Platform> Pool<P> {
    /// A pool that runs so many jobs at once.
    #[must_use]
    pub const fn new(concurrency: u32) -> Self {
        Self::made(concurrency, u32::MAX, Silent)
    }
}

/// Settings that change its type. Of a pool that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform, S: Storage, O: Copy> Pool<P, S, O> {
    /// Keeps those who wait in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, and one whose turn has come keeps its place until its task has its turn: with room for `max_queued`, the concurrency, and those who wait until it is [drained](Pool::drained), all together, the queue never ends early. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static UPLOADS: Pool<Inline<4>> = checked!(Pool::new(2).storage());
    /// ```
    #[must_use]
    pub const fn storage<T: Storage>(self) -> Pool<P, T, O> {
        let Self { concurrency, max_queued, observer, .. } = self;
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        Pool::made(concurrency, max_queued, observer)
    }

    /// Tells `observer` what becomes of jobs.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::pool::Event;
    /// use aplomb_sim::prelude::*;
    ///
    /// fn log(event: &Event) { println!("{event:?}"); }
    ///
    /// static UPLOADS: Pool<Heap, fn(&Event)> = checked!(Pool::new(4).observed_by(log as fn(&Event)));
    /// # UPLOADS.pause();
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> Pool<P, S, V> {
        let Self { concurrency, max_queued, .. } = self;
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        Pool::made(concurrency, max_queued, observer)
    }
}

impl<P: Platform, S: Storage, O> Pool<P, S, O> {
    const fn made(concurrency: u32, max_queued: u32, observer: O) -> Self {
        Self { concurrency, max_queued, state: Shared::new(State::new(concurrency)), observer }
    }

    /// Lets so many jobs wait, and turns others away. With zero none waits. Default: as many as the [storage](Pool::storage) has room for; on the heap, set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// let pool: Pool = Pool::new(1).max_queued(0);
    /// let job = async || { aplomb_sim::sleep(ms(10)).await; Ok::<_, std::io::Error>(()) };
    /// let (ran, turned_away) = aplomb_sim::block_on(async { zip(pool.run(job), pool.run(job)).await });
    /// assert!(ran.is_ok() && turned_away.unwrap_err().is_rejected());
    /// ```
    #[must_use]
    pub const fn max_queued(mut self, jobs: u32) -> Self {
        self.max_queued = jobs;
        self
    }

    /// What is wrong with it, if anything is: [`check`](Pool::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.built_wrong();
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        error
    }

    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Concurrency`] if no job could ever run; [`ConfigError::MaxQueued`] if more may wait than there is room for.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused = Pool::new(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "concurrency is 0, must be at least 1");
    /// ```
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.built_wrong() {
            Some(error) => {
                // It has no waiters yet, and a `const fn` drops nothing.
                forget(self);
                Err(error)
            }
            None => Ok(self),
        }
    }

    const fn built_wrong(&self) -> Option<ConfigError> {
        match concurrency_error(self.concurrency) {
            Some(error) => Some(error),
            None => self.queue_error(),
        }
    }

    /// What is wrong with how many may wait.
    pub(super) const fn queue_error(&self) -> Option<ConfigError> {
        queued_error(self.max_queued, S::CAPACITY)
    }
}

impl<P: Platform, S: Storage, O: SharedObserver<Event>> Pool<P, S, O> {
    /// Runs a job when its turn comes, in the task that awaits it: nothing is spawned or boxed, and it may borrow what it likes. Before it is awaited, it takes a [`priority`](Run::priority).
    ///
    /// It stands in the queue from its first poll on. `job` is called when there is a place, so that a timeout within it counts from the start, and one around it from the adding.
    ///
    /// # Errors
    ///
    /// [`PoolError`](super::PoolError): [`Failed`](super::PoolError::Failed) with the job's own; [`Closed`](super::PoolError::Closed) or [`QueueFull`](super::PoolError::QueueFull), at once;
    /// [`Cancelled`](super::PoolError::Cancelled) if it [was](Pool::cancel_waiting) while it waited.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let pool: Pool = Pool::new(1);
    ///     let job = async |n: u32| { aplomb_sim::sleep(ms(10)).await; Ok::<_, std::io::Error>(n) };
    ///     let (one, two) = zip(pool.run(|| job(1)), pool.run(|| job(2)).priority(5)).await;
    ///     assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 20_000_000);
    /// });
    /// ```
    #[inline]
    pub fn run<F, Fut, T, E>(&self, job: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self, job)
    }

    /// As [`run`](Pool::run), if there is a place for it now; nothing waits.
    ///
    /// # Errors
    ///
    /// As of [`run`](Pool::run); [`Busy`](super::PoolError::Busy) if no place is free, the pool is [paused](Pool::pause), or others wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let pool: Pool = Pool::new(1);
    ///     let outer = pool.run(async || {
    ///         let inner = pool.try_run(async || Ok::<_, std::io::Error>(())).await;
    ///         assert_eq!(inner.unwrap_err().to_string(), "no place is free");
    ///         Ok::<_, std::io::Error>(())
    ///     });
    ///     outer.await.unwrap();
    /// });
    /// ```
    pub fn try_run<F, Fut, T, E>(&self, job: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self, job).without_waiting()
    }

    /// Starts nothing until [`resume`](Pool::resume). What runs goes on, and jobs can be added. Whoever has been given a place, and has not been polled since, waits again, before all of its priority.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::{poll_once, zip};
    /// use std::pin::pin;
    ///
    /// aplomb_sim::block_on(async {
    ///     let pool: Pool = Pool::new(2);
    ///     pool.pause();
    ///     let mut job = pin!(pool.run(async || Ok::<_, std::io::Error>(7)));
    ///     assert!(poll_once(job.as_mut()).await.is_none());
    ///     pool.resume();
    ///     assert_eq!(job.await.unwrap(), 7);
    /// });
    /// ```
    pub fn pause(&self) {
        if !self.state.with(State::pause) {
            self.observer.observe(&Event::Paused);
        }
    }

    /// Goes on after a [`pause`](Pool::pause).
    pub fn resume(&self) {
        if self.change(|state| replace(&mut state.now.paused, false)) {
            self.observer.observe(&Event::Resumed);
        }
    }

    /// Takes no more jobs: whoever adds one ends with [`Closed`](super::PoolError::Closed), at once. Those that wait still run, unless they are [cancelled](Pool::cancel_waiting) too.
    ///
    /// # Examples
    ///
    /// The orderly end of a service:
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// # static POOL: Pool = Pool::new(4);
    /// # aplomb_sim::block_on(async {
    /// POOL.close();
    /// POOL.drained().await?;
    /// # assert!(POOL.run(async || Ok::<(), std::io::Error>(())).await.unwrap_err().is_closed());
    /// # Ok::<_, PoolError>(()) }).unwrap();
    /// ```
    pub fn close(&self) {
        if !self.state.with(|state| replace(&mut state.now.closed, true)) {
            self.observer.observe(&Event::Closed);
        }
    }

    /// Ends the waiting of all that wait for a place, or have been given one and have not started: they end with [`Cancelled`](super::PoolError::Cancelled), and none of them starts. What runs is not disturbed. How many they were.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let pool: Pool = Pool::new(1);
    ///     let runs = pool.run(async || { assert_eq!(pool.cancel_waiting(), 0); aplomb_sim::sleep(ms(10)).await; Ok::<_, std::io::Error>(()) });
    ///     let waits = pool.run(async || Ok::<_, std::io::Error>(()));
    ///     let cancels = async { assert_eq!(pool.cancel_waiting(), 1) };
    ///     let ((ran, waited), ()) = zip(zip(runs, waits), cancels).await;
    ///     assert!(ran.is_ok());
    ///     assert!(matches!(waited, Err(PoolError::Cancelled)));
    /// });
    /// ```
    pub fn cancel_waiting(&self) -> u32 {
        self.change(State::cancel_waiting)
    }

    /// Runs so many jobs at once from now on. More start at once; of too many that run, none is disturbed, and none starts before enough have ended, also of those that have been given a place.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Concurrency`] for zero, and all stays as it is: that is what [`pause`](Pool::pause) is for.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static POOL: Pool = checked!(Pool::new(4));
    ///
    /// POOL.set_concurrency(8)?;
    /// assert_eq!(POOL.snapshot().concurrency, 8);
    /// # Ok::<_, ConfigError>(())
    /// ```
    pub fn set_concurrency(&self, concurrency: u32) -> Result<(), ConfigError> {
        if let Some(error) = concurrency_error(concurrency) {
            return Err(error);
        }
        self.change(|state| state.set_concurrency(concurrency));
        Ok(())
    }

    /// Waits until nothing runs, and nothing waits. A pool that is not used is ready at once; one that is paused is not, while jobs wait.
    ///
    /// It is ready for everybody who waits when that instant has come, be there other jobs a moment later.
    ///
    /// # Errors
    ///
    /// [`QueueFull`](super::PoolError::QueueFull), at once, if the storage has no room for another one who waits; on the heap there always is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let pool: Pool = Pool::new(1);
    ///     let job = pool.run(async || { aplomb_sim::sleep(ms(10)).await; Ok::<_, std::io::Error>(()) });
    ///     let (ended, drained) = zip(job, pool.drained()).await;
    ///     assert!(ended.is_ok() && drained.is_ok());
    /// });
    /// ```
    pub fn drained(&self) -> Drained<&Self> {
        Drained::new(self)
    }

    /// What it does now, and what it has done so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// # static POOL: Pool = Pool::new(4);
    /// let now = POOL.snapshot();
    /// println!("{} of {} run, {} wait, {} have failed", now.running, now.concurrency, now.waiting, now.failed);
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.state.with(|state| state.now)
    }

    /// A job leaves the queue, or the place to which it was called, if it has not left before.
    pub(super) fn leave(&self, key: Key<S::Link>) {
        if self.change(|state| state.leave(key)).map(drop).is_some() {
            self.tell(Event::Cancelled);
        }
    }

    #[inline]
    pub(super) fn tell(&self, event: Event) {
        self.observer.observe(&event);
    }
}

impl<P: Platform, S: Storage, O> Pool<P, S, O> {
    pub(super) const fn max_queued_jobs(&self) -> u32 {
        self.max_queued
    }

    /// Looks, where nobody's turn can come by it.
    #[inline]
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State<S>) -> R) -> R {
        self.state.with(look)
    }

    /// Does something by which the turn of others may come, and wakes them.
    #[inline]
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<S>) -> R) -> R {
        let (changed, (first, more)) = self.state.with(|state| (change(state), state.call()));
        if let Some(first) = first {
            self.wake(first, more);
        }
        changed
    }

    /// Wakes outside the lock, one at a time. If one panics, those behind it have their turn all the same.
    #[cold]
    #[inline(never)]
    fn wake(&self, first: Waker, more: bool) {
        let (mut next, mut more) = (Some(first), more);
        while let Some(waker) = next {
            let rest = more.then(|| Rest(self));
            waker.wake();
            forget(rest);
            (next, more) = if more { self.state.with(State::call) } else { (None, false) };
        }
    }
}

/// Those who are still to be called, when a waker panics.
struct Rest<'p, P: Platform, S: Storage, O>(&'p Pool<P, S, O>);

impl<P: Platform, S: Storage, O> Drop for Rest<'_, P, S, O> {
    fn drop(&mut self) {
        self.0.change(|_| {});
    }
}

const fn concurrency_error(concurrency: u32) -> Option<ConfigError> {
    if concurrency == 0 { Some(ConfigError::Concurrency { value: concurrency, most: u32::MAX }) } else { None }
}

impl<P: Platform, S: Storage, O> fmt::Debug for Pool<P, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.state.with(|state| state.now);
        f.debug_struct("Pool").field("max_queued", &self.max_queued).field("now", &now).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, S: Storage, O> defmt::Format for Pool<P, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let now = self.state.with(|state| state.now);
        defmt::write!(f, "Pool {{ max_queued: {}, now: {}, .. }}", self.max_queued, now);
    }
}
