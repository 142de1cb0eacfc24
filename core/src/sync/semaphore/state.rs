use core::task::Waker;

use super::error::{AcquireError, TryAcquireError};
use crate::storage::Storage;
use crate::sync::WaitList;
use crate::sync::wait_list::{Key, Turn};

/// What is behind the lock of a semaphore.
pub(super) struct State<S: Storage, X> {
    permits: u32,
    /// Of these so many are taken; more than there are, after there have become fewer.
    taken: u32,
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
        Self { permits, taken: 0, closed: false, waiters: WaitList::new(), beside }
    }

    pub(super) const fn permits(&self) -> u32 {
        self.permits
    }

    pub(super) const fn taken(&self) -> u32 {
        self.taken
    }

    pub(super) const fn free(&self) -> u32 {
        self.permits.saturating_sub(self.taken)
    }

    pub(super) const fn waiting(&self) -> u32 {
        self.waiters.len()
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes so many, if they are free and nobody waits.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> bool {
        let free = !self.closed && self.waiters.is_empty() && n <= self.free();
        if free {
            self.taken += n;
        }
        free
    }

    /// Why so many can't be taken.
    #[cold]
    pub(super) fn lack(&self, requested: u32) -> TryAcquireError {
        if self.closed {
            TryAcquireError::Closed
        } else if requested > self.permits {
            TryAcquireError::TooMany { requested, permits: self.permits }
        } else {
            TryAcquireError::NoPermits { requested, free: if self.waiters.is_empty() { self.free() } else { 0 } }
        }
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
        let (permits, waiting) = (self.permits, self.waiting());
        if self.closed {
            Err(AcquireError::Closed)
        } else if requested > permits {
            Err(AcquireError::TooMany { requested, permits })
        } else if waiting >= max_waiting {
            Err(AcquireError::QueueFull { waiting })
        } else {
            Ok(())
        }
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
        self.taken = self.taken.saturating_sub(n);
    }

    /// So many of those that are taken will never come back.
    pub(super) const fn forget(&mut self, n: u32) {
        self.give_back(n);
        self.permits = self.permits.saturating_sub(n);
    }

    pub(super) const fn set_permits(&mut self, permits: u32) {
        self.permits = permits;
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    /// Lets the head of the queue go if there is an answer for it. Who is to be woken outside the lock, and whether the next one can go too. Whoever changes anything calls it, until there is none.
    #[inline]
    pub(super) fn settle(&mut self) -> Option<(Waker, bool)> {
        let answer = self.answer()?;
        if let Claim::Permits(n) = answer {
            self.taken += n;
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
        if n > self.permits { Some(Claim::TooMany { permits: self.permits }) } else { (n <= self.free()).then_some(claim) }
    }
}
