use core::fmt;
use core::mem::forget;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Waker};

use super::acquire::Acquire;
use super::error::{AcquireError, TryAcquireError};
use super::outside::Outside;
use super::permit::Permit;
use super::state::{Claim, Entered, State};
use super::tally::Tally;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::Shared;
use crate::sync::wait_list::Key;

/// So many permits, and a queue of those who wait for them, first come first served.
///
/// Permits are granted in the queue, by whoever gives back: nobody overtakes, a large request at the head is not starved by the small ones behind it, and a
/// waiter that leaves lets the next one through at once, also if it was at the head, or had been granted permits that it did not live to see. (tokio's semaphore sets the semantics; the last point is where others lose a wake-up.)
///
/// How many permits there are [can be changed](Semaphore::set_permits) while they are in use. It is what a [bulkhead](crate::bulkhead) and an [adaptive limit](crate::adaptive_limit) are built on, and useful alone. `S` says where waiters are kept: [`Inline<N>`](crate::storage::Inline) for at most `N` of them. `X` is what a pattern keeps behind the same lock: nothing, of a semaphore alone.
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
pub struct Semaphore<P: Platform, S: Storage = <P as Platform>::Storage, X = ()> {
    outside: Outside<P::Word>,
    state: Shared<P::RawMutex, State<S, X>>,
    pub(crate) max_waiting: u32,
}

/// What permits are of: a [`Semaphore`], or a pattern that has one.
pub trait Lender {
    /// The semaphore's platform.
    type Platform: Platform;

    /// Where its waiters are kept.
    type Storage: Storage;

    /// What lies beside it, behind its lock.
    type Beside;

    /// The semaphore; always the same one.
    fn semaphore(&self) -> &Semaphore<Self::Platform, Self::Storage, Self::Beside>;
}

impl<P: Platform, S: Storage, X> Lender for Semaphore<P, S, X> {
    type Platform = P;
    type Storage = S;
    type Beside = X;

    #[inline]
    fn semaphore(&self) -> &Self {
        self
    }
}

/// How the waiters of what `B` points to are linked.
pub(super) type LinkOf<B> = <<<B as Deref>::Target as Lender>::Storage as Storage>::Link;

impl<P: Platform> Semaphore<P> {
    /// A semaphore of `permits` permits, all free.
    #[must_use]
    pub const fn new(permits: u32) -> Self {
        Self::with(permits, ())
    }
}

impl<P: Platform, S: Storage> Semaphore<P, S> {
    /// As [`new`](Semaphore::new), with those who wait kept in `S`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, and one whose turn has come keeps its place until its task has its turn.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static BUFFERS: Semaphore<Inline<4>> = Semaphore::with_storage(8);
    /// ```
    #[must_use]
    pub const fn with_storage(permits: u32) -> Self {
        Self::with(permits, ())
    }
}

impl<P: Platform, S: Storage, X> Semaphore<P, S, X> {
    /// As [`new`](Semaphore::new), with something beside it.
    pub(crate) const fn with(permits: u32, beside: X) -> Self {
        Self { outside: Outside::NOTHING, state: Shared::new(State::new(permits, beside)), max_waiting: u32::MAX }
    }

    /// At most so many wait; with 0, nobody does. Default: as many as the [storage](Semaphore::with_storage) has room for; on the heap, set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::sync::{AcquireError, Semaphore};
    /// use aplomb_sim::Sim;
    ///
    /// static DESKS: Semaphore<Sim> = Semaphore::new(1).max_waiting(0);
    ///
    /// let _desk = DESKS.try_acquire(1)?;
    /// let refused = aplomb_sim::block_on(DESKS.acquire(1)).unwrap_err();
    /// assert_eq!(refused, AcquireError::QueueFull { waiting: 0 });
    /// # Ok::<_, aplomb::sync::TryAcquireError>(())
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, max_waiting: u32) -> Self {
        self.max_waiting = max_waiting;
        self
    }

    /// Waits until `n` permits are free, and takes them. Places in the queue are taken at the first poll.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TooMany`], at once, if there are not so many, or when there have become fewer; [`AcquireError::QueueFull`], at once, if there is no room for another waiter;
    /// [`AcquireError::Closed`] if the semaphore is closed, or as soon as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static BUFFERS: Semaphore = Semaphore::new(8);
    ///
    /// # aplomb_sim::block_on(async {
    /// let four = BUFFERS.acquire(4).await?;
    /// assert_eq!((four.count(), BUFFERS.available()), (4, 4));
    /// # Ok::<_, aplomb::sync::AcquireError>(()) }).unwrap();
    /// ```
    pub const fn acquire(&self, n: u32) -> Acquire<&Self> {
        Acquire::new(self, n)
    }

    /// As [`acquire`](Semaphore::acquire), of a semaphore that `this` points to: an `Arc` or `Rc` of it, which the permit keeps.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::sync::Semaphore;
    /// use aplomb_sim::Sim;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let semaphore = Arc::new(Semaphore::<Sim>::new(1));
    ///     let permit = Semaphore::acquire_owned(Arc::clone(&semaphore), 1).await?;
    ///     aplomb_sim::spawn("holder", async move { drop(permit) });
    ///     semaphore.acquire(1).await.map(drop)
    /// })?;
    /// # Ok::<_, aplomb::sync::AcquireError>(())
    /// ```
    pub const fn acquire_owned<B: Deref<Target = Self>>(this: B, n: u32) -> Acquire<B> {
        Acquire::new(this, n)
    }

    /// Takes `n` permits if they are free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoPermits`] says how many were free; those that others wait for are not. [`TryAcquireError::TooMany`] if there are not so many at all; [`TryAcquireError::Closed`] if the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static DESKS: Semaphore = Semaphore::new(2);
    ///
    /// let _one = DESKS.try_acquire(1)?;
    /// assert_eq!(DESKS.try_acquire(2).unwrap_err().to_string(), "no permits: 2 requested, 1 free");
    /// # Ok::<_, aplomb::sync::TryAcquireError>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self, n: u32) -> Result<Permit<&Self>, TryAcquireError> {
        Self::try_acquire_owned(self, n)
    }

    /// As [`try_acquire`](Semaphore::try_acquire), of a semaphore that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Semaphore::try_acquire).
    #[inline]
    pub fn try_acquire_owned<B: Deref<Target = Self>>(this: B, n: u32) -> Result<Permit<B>, TryAcquireError> {
        this.take(n)?;
        Ok(Permit::new(this, n))
    }

    /// How many permits are free, and not yet promised to anybody.
    pub fn available(&self) -> u32 {
        self.locked(|state| state.tally.free())
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.locked(|state| state.waiting())
    }

    /// How many permits there are, free or not.
    pub fn permits(&self) -> u32 {
        self.locked(|state| state.tally.permits)
    }

    /// From now on there are so many permits.
    ///
    /// Of more, those who wait get theirs at once. If there are fewer, nothing is taken from anybody: what is held runs out, and nothing is granted before so much has been given back.
    /// Whoever waits for more than there are is told so when it is its turn.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::sync::Semaphore;
    /// use aplomb_sim::Sim;
    ///
    /// let lanes = Semaphore::<Sim>::new(3);
    /// let (first, second) = (lanes.try_acquire(2)?, lanes.try_acquire(1)?);
    /// lanes.set_permits(1);
    /// drop(first);
    /// assert_eq!(lanes.available(), 0);
    /// drop(second);
    /// assert_eq!(lanes.available(), 1);
    /// # Ok::<_, aplomb::sync::TryAcquireError>(())
    /// ```
    pub fn set_permits(&self, permits: u32) {
        self.change(|state| state.set_permits(permits));
    }

    /// Lends no more permits, ever. Those who wait end with [`AcquireError::Closed`]; what was granted is held on, and given back as ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::sync::{AcquireError, Semaphore};
    /// use aplomb_sim::Sim;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let counter = Semaphore::<Sim>::new(1);
    ///     let _held = counter.acquire(1).await;
    ///     let (turned_away, ()) = zip(counter.acquire(1), async { counter.close() }).await;
    ///     assert_eq!(turned_away.unwrap_err(), AcquireError::Closed);
    /// });
    /// ```
    pub fn close(&self) {
        self.change(State::close);
    }

    /// Whether it was [closed](Semaphore::close).
    pub fn is_closed(&self) -> bool {
        self.locked(|state| state.is_closed())
    }

    #[inline]
    pub(crate) fn take(&self, n: u32) -> Result<(), TryAcquireError> {
        match self.outside.try_take(n) {
            Some(taken) => taken.map_err(|tally| tally.lack(n)),
            None => self.take_inside(n),
        }
    }

    #[inline(never)]
    fn take_inside(&self, n: u32) -> Result<(), TryAcquireError> {
        self.locked(|state| if state.take(n) { Ok(()) } else { Err(state.lack(n)) })
    }

    /// How many permits there are, how many of them are taken, and how many wait, all at one moment.
    pub(crate) fn counts(&self) -> (u32, u32, u32) {
        self.locked(|state| (state.tally.permits, state.tally.taken, state.waiting()))
    }

    /// Gives so many back, and has what lies beside say how many there are from now on: it is told how many there were, and how many were taken. Says both.
    #[inline]
    pub(crate) fn resize(&self, given_back: u32, act: impl FnOnce(&mut X, u32, u32) -> u32) -> (u32, u32) {
        self.change(|state| {
            let Tally { permits: before, taken } = state.tally;
            // First, since a rule of the caller's own may panic.
            state.give_back(given_back);
            let after = act(&mut state.beside, before, taken);
            state.set_permits(after);
            (before, after)
        })
    }

    /// Takes so many past the lock; if not, they may be there all the same.
    #[inline]
    pub(super) fn take_outside(&self, n: u32) -> Result<bool, AcquireError> {
        match self.outside.try_take(n) {
            Some(Ok(())) => Ok(true),
            // Nobody waits there: who may not be the first is turned away at once.
            Some(Err(tally)) => tally.check(n, 0, self.max_waiting).map(|()| false),
            None => Ok(false),
        }
    }

    /// Takes so many, or says that they are to be waited for.
    #[inline]
    pub(crate) fn admit(&self, n: u32) -> Result<bool, AcquireError> {
        if self.take_outside(n)? { Ok(true) } else { self.admit_inside(n) }
    }

    #[inline(never)]
    fn admit_inside(&self, n: u32) -> Result<bool, AcquireError> {
        self.locked(|state| state.admit(n, self.max_waiting))
    }

    /// Gives so many back, and lets go whoever can go then.
    #[inline]
    pub(super) fn give_back(&self, n: u32) {
        if !self.outside.give_back(n) {
            self.give_back_inside(n);
        }
    }

    #[inline(never)]
    fn give_back_inside(&self, n: u32) {
        self.change(|state| state.give_back(n));
    }

    /// Does something with all that is known, under the lock.
    #[inline]
    fn locked<R>(&self, act: impl FnOnce(&mut State<S, X>) -> R) -> R {
        self.state.with(|state| {
            self.outside.bring_in(&mut state.tally);
            let result = act(state);
            if state.is_plain() {
                self.outside.set_out(state.tally);
            }
            result
        })
    }

    /// Takes so many, or a place in the queue.
    pub(super) fn enter(&self, n: u32, cx: &Context<'_>) -> Entered<S::Link> {
        let waker = cx.waker().clone();
        let (entered, unused) = self.locked(|state| state.enter(n, self.max_waiting, waker));
        self.drop_unused(unused, if matches!(entered, Ok(None)) { n } else { 0 });
        entered
    }

    /// What one in the queue is told; `None`: to wait on.
    pub(super) fn ask(&self, place: Key<S::Link>, cx: &Context<'_>) -> Option<Claim> {
        let waker = cx.waker().clone();
        let (answer, unused) = self.locked(|state| state.ask(place, waker));
        self.drop_unused(unused, if let Some(Claim::Permits(n)) = answer { n } else { 0 });
        answer
    }

    /// Drops a waker that isn't needed after all, outside the lock. If that panics, the permits that were just taken go back: nobody holds them yet.
    fn drop_unused(&self, unused: Option<Waker>, taken: u32) {
        let mut this = self;
        clear_at_panic(Pin::new(&mut this), |this| this.give_back(taken), |_| drop(unused));
    }

    /// Changes something, and lets go whoever can go then.
    #[inline]
    pub(super) fn change<R>(&self, act: impl FnOnce(&mut State<S, X>) -> R) -> R {
        let (result, woken) = self.locked(|state| {
            let result = act(state);
            (result, state.settle())
        });
        if let Some((first, more)) = woken {
            self.wake(first, more);
        }
        result
    }

    /// Wakes one after the other, each outside the lock. If a waker panics, those behind it have their turn all the same.
    #[cold]
    #[inline(never)]
    fn wake(&self, first: Waker, more: bool) {
        let mut next = Some((first, more));
        while let Some((waker, more)) = next {
            let rest = more.then(|| Rest(self));
            waker.wake();
            forget(rest);
            next = if more { self.locked(State::settle) } else { None };
        }
    }
}

/// Those who are still to be let go, when a waker panics.
struct Rest<'s, P: Platform, S: Storage, X>(&'s Semaphore<P, S, X>);

impl<P: Platform, S: Storage, X> Drop for Rest<'_, P, S, X> {
    fn drop(&mut self) {
        self.0.change(|_| {});
    }
}

impl<P: Platform, S: Storage, X> fmt::Debug for Semaphore<P, S, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, taken, waiting) = self.counts();
        f.debug_struct("Semaphore")
            .field("permits", &permits)
            .field("taken", &taken)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, S: Storage, X> defmt::Format for Semaphore<P, S, X> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (permits, taken, waiting) = self.counts();
        defmt::write!(f, "Semaphore {{ permits: {}, taken: {}, waiting: {}, .. }}", permits, taken, waiting);
    }
}
