use core::mem::replace;
use core::task::Waker;

use super::error::PoolError;
use super::event::Event;
use super::lanes::Rank;
use super::line::{Key, Line};
use crate::config::ConfigError;
use crate::storage::Storage;

/// What a pool does at one moment, and what it has done so far.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// let pool: Pool = Pool::new(2);
/// # aplomb_sim::block_on(async {
/// let _failed = pool.run(async || Err::<(), _>("busy")).await;
/// let now = pool.snapshot();
/// assert_eq!((now.running, now.completed, now.failed), (0, 0, 1));
/// assert!(now.is_idle());
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many jobs may run at once.
    pub concurrency: u32,
    /// How many jobs run, or have been given a place and are about to start. After a [`set_concurrency`](super::Pool::set_concurrency) it may be more than that for a while.
    pub running: u32,
    /// How many jobs wait for a place.
    pub waiting: u32,
    /// Whether nothing starts.
    pub paused: bool,
    /// Whether no jobs are taken any more.
    pub closed: bool,
    /// How many jobs have ended with a value.
    pub completed: u64,
    /// How many jobs have ended with an error.
    pub failed: u64,
    /// How many jobs were dropped before their end, or panicked.
    pub cancelled: u64,
    /// How many jobs were turned away: the pool was closed, or the queue full.
    pub rejected: u64,
}

/// How a job has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    Cancelled,
}

impl End {
    /// What an observer is told of it.
    pub(super) const fn event(self) -> Event {
        match self {
            Self::Completed => Event::Completed,
            Self::Failed => Event::Failed,
            Self::Cancelled => Event::Cancelled,
        }
    }
}

impl Snapshot {
    pub(super) const fn new(concurrency: u32) -> Self {
        let (paused, closed) = (false, false);
        Self { concurrency, running: 0, waiting: 0, paused, closed, completed: 0, failed: 0, cancelled: 0, rejected: 0 }
    }

    /// Whether nothing runs, and nothing waits.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting == 0
    }

    #[inline]
    pub(super) const fn has_place(&self) -> bool {
        !self.paused && self.running < self.concurrency
    }

    /// A job comes: whether it starts at once.
    #[inline]
    fn start(&mut self) -> bool {
        let starts = self.has_place() && self.waiting == 0 && !self.closed;
        self.running = self.running.saturating_add(u32::from(starts));
        starts
    }

    /// Whether a job may wait that has found no place, where so many may, or it was not to.
    fn may_wait(&mut self, max_queued: Option<u32>) -> Result<(), PoolError> {
        if self.concurrency == 0 {
            Err(PoolError::Config(ConfigError::Concurrency { value: 0, most: u32::MAX }))
        } else if self.closed {
            Err(self.reject(PoolError::Closed))
        } else {
            match max_queued {
                None => Err(self.reject(PoolError::Busy)),
                Some(most) if self.waiting >= most => Err(self.reject(PoolError::QueueFull { waiting: self.waiting })),
                Some(_) => Ok(()),
            }
        }
    }

    pub(super) fn reject(&mut self, error: PoolError) -> PoolError {
        self.rejected = self.rejected.saturating_add(1);
        error
    }

    /// A job that ran has ended.
    #[inline]
    pub(super) fn end(&mut self, end: End) {
        self.running = self.running.saturating_sub(1);
        self.count(end);
    }

    pub(super) fn count(&mut self, end: End) {
        let count = match end {
            End::Completed => &mut self.completed,
            End::Failed => &mut self.failed,
            End::Cancelled => &mut self.cancelled,
        };
        *count = count.saturating_add(1);
    }
}

/// What is behind the lock.
pub(super) struct State<S: Storage> {
    pub(super) now: Snapshot,
    line: Line<Waker, S>,
}

/// What one is told that comes: whether they have a key in the line, or need none. A waker that isn't needed comes back.
type Entered<L> = (Result<Option<Key<L>>, PoolError>, Option<Waker>);

/// Where one stands that asked.
pub(super) enum Turn {
    Waits,
    Called(Rank),
}

impl<S: Storage> State<S> {
    pub(super) const fn new(concurrency: u32) -> Self {
        Self { now: Snapshot::new(concurrency), line: Line::new() }
    }

    /// A job comes, without a waker: most find a place. Whether it did.
    #[inline]
    pub(super) fn start(&mut self) -> bool {
        self.now.start()
    }

    /// A job comes: it starts, or waits in the line, where so many may, if it is to.
    pub(super) fn enter(&mut self, max_queued: Option<u32>, priority: i32, waker: Waker) -> Entered<S::Link> {
        if self.now.start() {
            return (Ok(None), Some(waker));
        }
        if let Err(refused) = self.now.may_wait(max_queued) {
            return (Err(refused), Some(waker));
        }
        match self.line.push(Rank::Job(priority), waker) {
            Ok(key) => {
                self.now.waiting = self.now.waiting.saturating_add(1);
                (Ok(Some(key)), None)
            }
            Err(waker) => {
                let full = PoolError::QueueFull { waiting: self.line.places() };
                (Err(self.now.reject(full)), Some(waker))
            }
        }
    }

    /// Somebody comes who waits for the pool to be idle, if it isn't.
    pub(super) fn await_idle(&mut self, waker: Waker) -> Entered<S::Link> {
        if self.now.is_idle() {
            return (Ok(None), Some(waker));
        }
        match self.line.push(Rank::Drained, waker) {
            Ok(key) => (Ok(Some(key)), None),
            Err(waker) => (Err(PoolError::QueueFull { waiting: self.line.places() }), Some(waker)),
        }
    }

    /// Asks for one's turn. Who was called leaves the line; who waits on is woken through `waker` from now on. A waker that is no longer needed comes back.
    pub(super) fn ask(&mut self, key: Key<S::Link>, waker: Waker) -> (Turn, Option<Waker>) {
        match self.line.get_mut(key) {
            Some((_, Some(rank))) => {
                // Its own waker has been taken; what is in its stead does nothing.
                self.line.remove(key);
                (Turn::Called(rank), Some(waker))
            }
            Some((known, None)) if known.will_wake(&waker) => (Turn::Waits, Some(waker)),
            Some((known, None)) => (Turn::Waits, Some(replace(known, waker))),
            None => (Turn::Waits, Some(waker)),
        }
    }

    /// A job leaves that was in the line. Its waker comes back.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> Option<Waker> {
        let (waker, called) = self.line.remove(key)?;
        match called {
            None => {
                self.now.waiting = self.now.waiting.saturating_sub(1);
                self.now.count(End::Cancelled);
            }
            // It had a place that it did not live to see.
            Some(Rank::Job(_)) => self.now.end(End::Cancelled),
            Some(Rank::Cancelled | Rank::Idle | Rank::Drained) => {}
        }
        Some(waker)
    }

    /// Somebody leaves who waited for the pool to be idle. Their waker comes back.
    pub(super) fn forgo_idle(&mut self, key: Key<S::Link>) -> Option<Waker> {
        self.line.remove(key).map(|(waker, _)| waker)
    }

    /// Nothing starts from now on. Whether that is so already.
    pub(super) fn pause(&mut self) -> bool {
        self.recall();
        replace(&mut self.now.paused, true)
    }

    /// So many may run. If more than that have places, those are asked anew who have not started.
    pub(super) fn set_concurrency(&mut self, concurrency: u32) {
        self.now.concurrency = concurrency;
        if self.now.running > concurrency {
            self.recall();
        }
    }

    /// Nobody who waits now gets a place. How many that are.
    pub(super) fn cancel_waiting(&mut self) -> u32 {
        self.recall();
        self.line.regroup(|rank| if matches!(rank, Rank::Job(_)) { Rank::Cancelled } else { rank });
        self.now.waiting
    }

    /// Jobs that were called and have not come wait again. No wake-up is lost: each has been woken, or is about to be, and leaves another waker if it asks before it is called again.
    fn recall(&mut self) {
        let recalled = self.line.recall();
        self.now.running = self.now.running.saturating_sub(recalled);
        self.now.waiting = self.now.waiting.saturating_add(recalled);
    }

    /// Calls the next one whose turn it is, if there is one. The waker is to be woken outside the lock; says whether there is another.
    #[inline]
    pub(super) fn call(&mut self) -> (Option<Waker>, bool) {
        // Mostly nobody waits.
        if self.line.front().is_none() { (None, false) } else { self.call_next() }
    }

    #[inline(never)]
    fn call_next(&mut self) -> (Option<Waker>, bool) {
        let waker = self.next().and_then(|rank| {
            match rank {
                Rank::Job(_) => {
                    self.now.waiting = self.now.waiting.saturating_sub(1);
                    self.now.running = self.now.running.saturating_add(1);
                }
                Rank::Cancelled => {
                    self.now.waiting = self.now.waiting.saturating_sub(1);
                    self.now.count(End::Cancelled);
                }
                Rank::Idle | Rank::Drained => {}
            }
            self.line.call_front().map(|waker| replace(waker, Waker::noop().clone()))
        });
        (waker, self.next().is_some())
    }

    /// The rank of the first in the line, if it is its turn.
    fn next(&mut self) -> Option<Rank> {
        if self.now.is_idle() {
            self.line.regroup(|rank| if rank == Rank::Drained { Rank::Idle } else { rank });
        }
        self.line.front().filter(|rank| match rank {
            Rank::Cancelled | Rank::Idle => true,
            Rank::Job(_) => self.now.has_place(),
            Rank::Drained => false,
        })
    }
}
