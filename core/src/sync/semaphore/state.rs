use core::task::Waker;

use super::error::{AcquireError, TryAcquireError};
use super::tally::Tally;
use crate::storage::Storage;
use crate::sync::WaitList;
use crate::sync::wait_list::{Key, Turn};

/// What is behind the lock of a semaphore.
pub(super) struct State<S: Storage, X> {
    pub(super) tally: Tally,
    closed: bool,
    waiters: WaitList<Claim, S>,
    /// What a pattern keeps beside it.
    pub(super) beside: X,
}

/// What a waiter has in the list: what it waits for, and then what it is told.
#[derive(Clone, Copy)]
pub(super) enum Claim {
    Permits(u32),
    TooMany { permits: u32 },
    Closed,
}

impl Claim {
    /// What one who asked for so many is told.
    pub(super) const fn answer(self, requested: u32) -> Result<(), AcquireError> {
        match self {
            Self::Permits(_) => Ok(()),
            Self::TooMany { permits } => Err(AcquireError::TooMany { requested, permits }),
            Self::Closed => Err(AcquireError::Closed),
        }
    }
}

/// The place in the queue of one who has come, if it has to wait.
pub(super) type Entered<L> = Result<Option<Key<L>>, AcquireError>;

impl<S: Storage, X> State<S, X> {
    pub(super) const fn new(permits: u32, beside: X) -> Self {
        Self { tally: Tally { permits, taken: 0 }, closed: false, waiters: WaitList::new(), beside }
    }

    pub(super) const fn waiting(&self) -> u32 {
        self.waiters.len()
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing but their number decides who has permits.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !self.closed && self.waiters.is_empty()
    }

    /// Takes so many, if they are free and nobody waits.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> bool {
        let taken = if self.is_plain() { self.tally.taking(n) } else { None };
        if let Some(taken) = taken {
            self.tally = taken;
        }
        taken.is_some()
    }

    /// Why so many can't be taken.
    #[cold]
    pub(super) fn lack(&self, requested: u32) -> TryAcquireError {
        if self.closed {
            return TryAcquireError::Closed;
        }
        // What others wait for is not free.
        let promised = if self.waiters.is_empty() { 0 } else { self.tally.free() };
        Tally { taken: self.tally.taken.saturating_add(promised), ..self.tally }.lack(requested)
    }

    /// Takes so many, if they are free and nobody waits; says whether it did. If not, they are to be waited for, unless that is refused.
    #[inline]
    pub(super) fn admit(&mut self, n: u32, max_waiting: u32) -> Result<bool, AcquireError> {
        let taken = self.take(n);
        if !taken {
            self.check(n, max_waiting)?;
        }
        Ok(taken)
    }

    /// Whether so many may be waited for.
    #[inline(never)]
    fn check(&self, requested: u32, max_waiting: u32) -> Result<(), AcquireError> {
        if self.closed { Err(AcquireError::Closed) } else { self.tally.check(requested, self.waiting(), max_waiting) }
    }

    /// As [`admit`](State::admit), and takes a place in the queue where that is to be waited for; `None`: it did not have to. A waker that isn't needed comes back.
    pub(super) fn enter(&mut self, n: u32, max_waiting: u32, waker: Waker) -> (Entered<S::Link>, Option<Waker>) {
        match self.admit(n, max_waiting) {
            Ok(true) => (Ok(None), Some(waker)),
            Err(error) => (Err(error), Some(waker)),
            Ok(false) => match self.waiters.push(Claim::Permits(n), waker) {
                Ok(key) => (Ok(Some(key)), None),
                Err(full) => (Err(AcquireError::QueueFull { waiting: self.waiters.places() }), Some(full.0)),
            },
        }
    }

    /// What one who waits is told; `None`: to wait on. A waker that isn't needed comes back.
    pub(super) fn ask(&mut self, key: Key<S::Link>, waker: Waker) -> (Option<Claim>, Option<Waker>) {
        match self.waiters.poll(key, waker) {
            Turn::Granted { payload, unused } => (Some(payload), unused),
            Turn::Waiting { unused } => (None, unused),
            Turn::Unknown { unused } => (None, Some(unused)),
        }
    }

    /// One who waits leaves. What it had been granted goes back; its waker comes back.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> Option<Waker> {
        let left = self.waiters.remove(key)?;
        if let Claim::Permits(n) = left.payload
            && left.granted
        {
            self.give_back(n);
        }
        left.waker
    }

    #[inline]
    pub(super) const fn give_back(&mut self, n: u32) {
        self.tally = self.tally.giving_back(n);
    }

    /// So many of those that are taken will never come back.
    pub(super) const fn forget(&mut self, n: u32) {
        self.give_back(n);
        self.tally.permits = self.tally.permits.saturating_sub(n);
    }

    pub(super) const fn set_permits(&mut self, permits: u32) {
        self.tally.permits = permits;
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    /// Lets the head of the queue go if there is an answer for it. Who is to be woken outside the lock, and whether the next one can go too. Whoever changes anything calls it, until there is none.
    #[inline]
    pub(super) fn settle(&mut self) -> Option<(Waker, bool)> {
        let answer = self.answer()?;
        if let Claim::Permits(n) = answer {
            self.tally.taken += n;
        }
        if let Some(head) = self.waiters.front_mut() {
            *head = answer;
        }
        Some((self.waiters.grant_front()?, self.answer().is_some()))
    }

    /// What the head of the queue can be told by now: that it has its permits, or that it won't get them.
    #[inline]
    fn answer(&self) -> Option<Claim> {
        let &claim = self.waiters.front()?;
        if self.closed {
            return Some(Claim::Closed);
        }
        let Claim::Permits(n) = claim else { return Some(claim) };
        let permits = self.tally.permits;
        if n > permits { Some(Claim::TooMany { permits }) } else { (n <= self.tally.free()).then_some(claim) }
    }
}
