//! The counting semaphore: the wait list under the plainest rule for admission.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::wait_list::{Key, Turn};
use super::{Shared, WaitList};
use crate::platform::Platform;
use crate::storage::Storage;

/// So many permits, and a queue of those who wait for them, first come first served.
///
/// Permits are granted in the queue, by whoever gives back: nobody overtakes, a large request at the head is not starved by the small ones behind it, and a
/// waiter that leaves lets the next one through at once, also if it was at the head, or had been granted permits that it did not live to see. (tokio's semaphore sets the semantics; the last point is where others lose a wake-up.)
///
/// It is what bulkhead, pool and the limiters are built on, and useful alone. `S` says where waiters are kept: [`Inline<N>`](crate::storage::Inline) for at most `N` of them.
///
/// # Examples
///
/// ```
/// use aplomb::sync::Semaphore;
/// use aplomb_sim::Sim;
///
/// static CONNECTIONS: Semaphore<Sim> = Semaphore::new(2);
///
/// aplomb_sim::block_on(async {
///     let first = CONNECTIONS.acquire(1).await?;
///     let _second = CONNECTIONS.acquire(1).await?;
///     assert!(CONNECTIONS.try_acquire(1).is_err());
///     drop(first);
///     assert!(CONNECTIONS.try_acquire(1).is_ok());
///     Ok::<_, aplomb::sync::AcquireError>(())
/// })?;
/// # Ok::<_, aplomb::sync::AcquireError>(())
/// ```
pub struct Semaphore<P: Platform, S: Storage = <P as Platform>::Storage> {
    state: Shared<P::RawMutex, State<S>>,
    permits: u32,
}

struct State<S: Storage> {
    free: u32,
    /// Each waits for so many permits.
    waiters: WaitList<u32, S>,
}

impl<P: Platform, S: Storage> Semaphore<P, S> {
    /// A semaphore of `permits` permits, all free.
    #[must_use]
    pub const fn new(permits: u32) -> Self {
        Self { state: Shared::new(State { free: permits, waiters: WaitList::new() }), permits }
    }

    /// Waits until `n` permits are free, and takes them. Places in the queue are taken at the first poll.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TooMany`], at once, if the semaphore never has so many; [`AcquireError::QueueFull`], at once, if there is no room for another waiter.
    pub const fn acquire(&self, n: u32) -> Acquire<'_, P, S> {
        Acquire { semaphore: self, n, progress: Progress::Unasked }
    }

    /// Takes `n` permits if they are free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`] says how many permits were free; the permits of others' that are waited for are not.
    pub fn try_acquire(&self, n: u32) -> Result<Permit<'_, P, S>, TryAcquireError> {
        self.state.with(|state| state.take(n)).map(|()| Permit { semaphore: self, n })
    }

    /// How many permits are free, and not yet promised to anybody.
    pub fn available(&self) -> u32 {
        self.state.with(|state| state.free)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state.with(|state| state.waiters.len())
    }

    fn give_back(&self, n: u32) {
        let mut given = n;
        loop {
            let (waker, more) = self.state.with(|state| {
                state.free = state.free.saturating_add(core::mem::take(&mut given));
                state.grant()
            });
            // Woken outside the lock, one at a time. If one panics, those behind it have their turn all the same.
            let rest = more.then(|| Rest(self));
            if let Some(waker) = waker {
                waker.wake();
            }
            core::mem::forget(rest);
            if !more {
                return;
            }
        }
    }
}

/// Those who are still to be granted what they wait for, when a waker panics.
struct Rest<'s, P: Platform, S: Storage>(&'s Semaphore<P, S>);

impl<P: Platform, S: Storage> Drop for Rest<'_, P, S> {
    fn drop(&mut self) {
        self.0.give_back(0);
    }
}

impl<S: Storage> State<S> {
    fn take(&mut self, n: u32) -> Result<(), TryAcquireError> {
        if !self.waiters.is_empty() {
            return Err(TryAcquireError { requested: n, free: 0 });
        }
        if n > self.free {
            return Err(TryAcquireError { requested: n, free: self.free });
        }
        self.free -= n;
        Ok(())
    }

    /// Grants the head of the queue what it waits for if there is enough; says whether the next one can have its own too.
    fn grant(&mut self) -> (Option<Waker>, bool) {
        match self.waiters.front() {
            Some(&n) if n <= self.free => {
                self.free -= n;
                let waker = self.waiters.grant_front();
                (waker, self.waiters.front().is_some_and(|&next| next <= self.free))
            }
            _ => (None, false),
        }
    }
}

impl<P: Platform, S: Storage> fmt::Debug for Semaphore<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (free, waiting) = self.state.with(|state| (state.free, state.waiters.len()));
        f.debug_struct("Semaphore").field("permits", &self.permits).field("free", &free).field("waiting", &waiting).finish()
    }
}

/// Waits for permits; made by [`Semaphore::acquire`].
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and lets the one behind go if there is enough for it. Permits that had been granted already go back.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'s, P: Platform, S: Storage = <P as Platform>::Storage> {
    semaphore: &'s Semaphore<P, S>,
    n: u32,
    progress: Progress<S::Link>,
}

enum Progress<L> {
    Unasked,
    Waiting(Key<L>),
    Done,
}

impl<'s, P: Platform, S: Storage> Future for Acquire<'s, P, S> {
    type Output = Result<Permit<'s, P, S>, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let step = match self.progress {
            Progress::Unasked => self.enter(cx),
            Progress::Waiting(key) => self.ask(key, cx),
            Progress::Done => return Poll::Pending,
        };
        step.map(|outcome| {
            self.progress = Progress::Done;
            outcome.map(|()| Permit { semaphore: self.semaphore, n: self.n })
        })
    }
}

impl<P: Platform, S: Storage> Acquire<'_, P, S> {
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        let (semaphore, n) = (self.semaphore, self.n);
        if n > semaphore.permits {
            return Poll::Ready(Err(AcquireError::TooMany { requested: n, permits: semaphore.permits }));
        }
        // Without a waker first: most find their permits free.
        if semaphore.state.with(|state| state.take(n)).is_ok() {
            return Poll::Ready(Ok(()));
        }
        let waker = cx.waker().clone();
        // A waker that isn't needed after all comes out of the lock before it is dropped.
        let (entered, _unused) = semaphore.state.with(|state| match state.take(n) {
            Ok(()) => (Ok(None), Some(waker)),
            Err(_) => match state.waiters.push(n, waker) {
                Ok(key) => (Ok(Some(key)), None),
                Err(full) => (Err(AcquireError::QueueFull { waiting: state.waiters.len() }), Some(full.0)),
            },
        });
        match entered {
            Ok(None) => Poll::Ready(Ok(())),
            Ok(Some(key)) => {
                self.progress = Progress::Waiting(key);
                Poll::Pending
            }
            Err(full) => Poll::Ready(Err(full)),
        }
    }

    fn ask(&self, key: Key<S::Link>, cx: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        let waker = cx.waker().clone();
        match self.semaphore.state.with(|state| state.waiters.poll(key, waker)) {
            Turn::Granted { .. } => Poll::Ready(Ok(())),
            Turn::Waiting { .. } | Turn::Unknown { .. } => Poll::Pending,
        }
    }
}

impl<P: Platform, S: Storage> Drop for Acquire<'_, P, S> {
    fn drop(&mut self) {
        if let Progress::Waiting(key) = self.progress {
            let left = self.semaphore.state.with(|state| state.waiters.remove(key));
            // Whoever stood behind may be able to go, also if this one waited and had nothing.
            self.semaphore.give_back(left.map_or(0, |left| if left.granted { left.payload } else { 0 }));
        }
    }
}

/// Permits that are held. Dropping it gives them back.
#[must_use = "the permits go back as soon as this is dropped"]
pub struct Permit<'s, P: Platform, S: Storage = <P as Platform>::Storage> {
    semaphore: &'s Semaphore<P, S>,
    n: u32,
}

impl<P: Platform, S: Storage> Permit<'_, P, S> {
    /// How many permits these are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.n
    }
}

impl<P: Platform, S: Storage> Drop for Permit<'_, P, S> {
    fn drop(&mut self) {
        self.semaphore.give_back(self.n);
    }
}

impl<P: Platform, S: Storage> fmt::Debug for Permit<'_, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.n).finish()
    }
}

impl<P: Platform, S: Storage> fmt::Debug for Acquire<'_, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("n", &self.n).finish_non_exhaustive()
    }
}

/// Why [`Semaphore::acquire`] did not even wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AcquireError {
    /// More than the semaphore ever has.
    TooMany {
        /// Permits asked for.
        requested: u32,
        /// Permits of the semaphore.
        permits: u32,
    },
    /// All waiting places are taken.
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { requested, permits } => write!(f, "too many permits: {requested} requested, there are {permits}"),
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
        }
    }
}

impl core::error::Error for AcquireError {}

/// The permits were not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TryAcquireError {
    /// Permits asked for.
    pub requested: u32,
    /// Permits that were to be had: none, while others wait.
    pub free: u32,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no permits: {} requested, {} free", self.requested, self.free)
    }
}

impl core::error::Error for TryAcquireError {}
