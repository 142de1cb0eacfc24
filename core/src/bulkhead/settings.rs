use core::fmt;
use core::mem::forget;
use core::time::Duration;

use super::event::Event;
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::storage::{Storage, waiting_error};
use crate::sync::Semaphore;
use crate::sync::semaphore::Lender;
use crate::time::{duration, nanos};

/// So many operations at once, a queue with an end for the others, and a limit to the time in it.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_waiting`](Bulkhead::max_waiting) | as many as the storage has room for; on the heap, set it |
/// | [`max_wait`](Bulkhead::max_wait) | without limit |
/// | [`observed_by`](Bulkhead::observed_by) | nobody is told |
/// | [`storage`](Bulkhead::storage) | the platform's |
///
/// `S` says where waiters are kept, `O` who is told of its [events](Event).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static DB: Bulkhead = checked!(Bulkhead::new(10).max_waiting(100).max_wait(ms(500)));
///
/// async fn query(id: u32) -> Result<String, std::io::Error> { Ok(format!("row {id}")) }
///
/// aplomb_sim::block_on(async {
///     let id = 7;
///     match DB.run(|| query(id)).await {
///         Err(error) if error.is_rejected() => eprintln!("try again later: {error}"),
///         row => assert_eq!(row.unwrap(), "row 7"),
///     }
/// });
/// ```
pub struct Bulkhead<P: Platform, S: Storage = <P as Platform>::Storage, O = Silent> {
    pub(super) semaphore: Semaphore<P, S>,
    pub(super) clock: P::Clock,
    /// Nanoseconds.
    pub(super) max_wait: u64,
    /// As it was built. What it is now, is behind the semaphore's lock, where no `const fn` looks.
    max_concurrent: u32,
    pub(super) observer: O,
}

/// What a bulkhead is like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many may run at once.
    pub max_concurrent: u32,
    /// How many places are taken; more than there are, for a while after there have become fewer.
    pub running: u32,
    /// How many wait.
    pub waiting: u32,
}

impl<P: Platform<Clock: Ambient>> Bulkhead<P> {
    /// Lets so many run at once, at least 1.
    #[must_use]
    pub const fn new(max_concurrent: u32) -> Self {
        Self::with_clock(Ambient::CLOCK, max_concurrent)
    }
}

impl<P: Platform, S: Storage> Bulkhead<P, S> {
    /// As `new`, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, max_concurrent: u32) -> Self {
        Self { semaphore: Semaphore::with(max_concurrent, ()), clock, max_wait: u64::MAX, max_concurrent, observer: Silent }
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, S: Storage, O: Copy> Bulkhead<P, S, O> {
    /// Keeps those who wait in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, and one whose turn has come keeps its place until its task has its turn: with room for `max_waiting` and `max_concurrent` together, the queue never ends early. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static DB: Bulkhead<Inline<4>> = checked!(Bulkhead::new(2).storage());
    /// ```
    #[must_use]
    pub const fn storage<T: Storage>(self) -> Bulkhead<P, T, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Tells `observer` who has to wait, for how long, and who is turned away.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::bulkhead::Event;
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let desk: Bulkhead<Heap, _> = Bulkhead::new(1).observed_by(|event: &Event| seen.borrow_mut().push(*event));
    /// let work = async || { aplomb_sim::sleep(ms(20)).await; Ok::<_, std::io::Error>(()) };
    /// aplomb_sim::block_on(async { zip(desk.run(work), desk.run(work)).await });
    /// assert_eq!(*seen.borrow(), [Event::Waiting { waiting: 1 }, Event::Admitted { waited: ms(20) }]);
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> Bulkhead<P, S, V> {
        self.with(observer)
    }

    const fn with<T: Storage, V>(self, observer: V) -> Bulkhead<P, T, V> {
        let Self { clock, max_wait, max_concurrent, .. } = self;
        let semaphore = Semaphore::with(max_concurrent, ()).max_waiting(self.semaphore.max_waiting);
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        Bulkhead { semaphore, clock, max_wait, max_concurrent, observer }
    }
}

impl<P: Platform, S: Storage, O> Bulkhead<P, S, O> {
    /// Lets at most so many wait; with 0, whoever finds no place is rejected at once. Default: as many as the [storage](Bulkhead::storage) has room for. On the heap that is no bound, and memory is taken for each; set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let desk: Bulkhead = Bulkhead::new(1).max_waiting(0);
    /// # aplomb_sim::block_on(async {
    /// let _place = desk.acquire().await;
    /// assert_eq!(desk.acquire().await.unwrap_err(), BulkheadError::QueueFull { waiting: 0 });
    /// # });
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, max_waiting: u32) -> Self {
        self.semaphore.max_waiting = max_waiting;
        self
    }

    /// Lets nobody wait for longer than that, counted from the poll that has found no place. Default: without limit. With zero, nobody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let desk: Bulkhead = Bulkhead::new(1).max_wait(ms(50));
    /// # aplomb_sim::block_on(async {
    /// let _place = desk.acquire().await;
    /// assert_eq!(desk.acquire().await.unwrap_err(), BulkheadError::TimedOut { after: ms(50) });
    /// # });
    /// ```
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = nanos(max_wait);
        self
    }

    /// What is wrong with it, if anything is: [`check`](Bulkhead::check), for code that is evaluated at compile time.
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
    /// [`ConfigError::MaxConcurrent`] if nothing may run; [`ConfigError::WaitingPlaces`] if more may wait than there is room for.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused: Result<Bulkhead, ConfigError> = Bulkhead::new(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "max_concurrent is 0, must be at least 1");
    /// ```
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.built_wrong() {
            Some(error) => {
                forget(self);
                Err(error)
            }
            None => Ok(self),
        }
    }

    /// From now on, so many may run at once.
    ///
    /// If these are more, those who wait have their turn at once. If they are fewer, nobody is disturbed who runs, or whose turn has come: nobody else starts before enough of them have ended.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MaxConcurrent`] if nothing may run; nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static DB: Bulkhead = checked!(Bulkhead::new(10));
    ///
    /// DB.set_max_concurrent(20)?;
    /// assert_eq!(DB.snapshot().max_concurrent, 20);
    /// # Ok::<_, ConfigError>(())
    /// ```
    pub fn set_max_concurrent(&self, max_concurrent: u32) -> Result<(), ConfigError> {
        if let Some(error) = wrong(max_concurrent) {
            return Err(error);
        }
        self.semaphore.set_permits(max_concurrent);
        Ok(())
    }

    /// Lets nobody in any more. Those who wait end with [`Closed`](super::BulkheadError::Closed), and so does whoever comes; what runs is not disturbed.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let db: Bulkhead = Bulkhead::new(10);
    ///     db.close();
    ///     assert!(matches!(db.acquire().await, Err(BulkheadError::Closed)));
    /// });
    /// ```
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// Whether it was [closed](Bulkhead::close).
    pub fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }

    /// How many run, how many wait, and how many may run, all at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static DB: Bulkhead = checked!(Bulkhead::new(10));
    ///
    /// let place = DB.try_acquire();
    /// let now = DB.snapshot();
    /// assert_eq!((now.running, now.waiting, now.max_concurrent), (1, 0, 10));
    /// # drop(place);
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let (max_concurrent, running, waiting) = self.semaphore.counts();
        Snapshot { max_concurrent, running, waiting }
    }

    /// What is wrong with it as it was built.
    pub(super) const fn built_wrong(&self) -> Option<ConfigError> {
        match wrong(self.max_concurrent) {
            Some(error) => Some(error),
            None => self.queue_error(),
        }
    }

    /// What is wrong with how many may wait.
    #[inline]
    pub(super) const fn queue_error(&self) -> Option<ConfigError> {
        waiting_error(self.semaphore.max_waiting, S::CAPACITY)
    }
}

const fn wrong(max_concurrent: u32) -> Option<ConfigError> {
    if max_concurrent == 0 { Some(ConfigError::MaxConcurrent { value: 0 }) } else { None }
}

impl<P: Platform, S: Storage, O> Lender for Bulkhead<P, S, O> {
    type Platform = P;
    type Storage = S;
    type Beside = ();

    #[inline]
    fn semaphore(&self) -> &Semaphore<P, S> {
        &self.semaphore
    }
}

impl<P: Platform, S: Storage, O> fmt::Debug for Bulkhead<P, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("now", &self.snapshot())
            .field("max_wait", &duration(self.max_wait))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, S: Storage, O> defmt::Format for Bulkhead<P, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Bulkhead {{ now: {}, max_wait: {}, .. }}", self.snapshot(), duration(self.max_wait));
    }
}
