use core::task::Waker;

use super::Desk;
use super::crowd::{Ask, By};
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::error::RateLimitError;
use crate::storage::Storage;
use crate::sync::wait_list::Key;
use crate::time::Instant;

/// What was taken in advance.
pub(in crate::rate_limiter) struct InAdvance<L> {
    /// From when on it may be used.
    pub(in crate::rate_limiter) at: Instant,
    /// Its place in the queue, if others wait.
    pub(in crate::rate_limiter) key: Option<Key<L>>,
}

/// What is taken for later, or comes back.
impl<A: Algorithm, S: Storage> Desk<'_, A, S> {
    /// Takes the permits of reservations before which nobody stands any more. While nobody stands behind them either, that has time: they may be given back, and then nothing was taken.
    pub(super) fn settle(&mut self, somebody_comes: bool) {
        let now = self.now;
        let count = somebody_comes || self.waiters.slab.iter(&self.crowd.queue).any(|ask| ask.by == By::Caller);
        while let Some(&ask) = self.waiters.slab.front(&self.crowd.queue) {
            match ask.by {
                By::Caller | By::Refused => return,
                By::Reservation if !count => {
                    return self.waiters.slab.for_each(&self.crowd.queue, |ask| {
                        (ask.not_before, ask.is_alone) = (ask.as_of(now), true);
                    });
                }
                By::Reservation | By::Ended => {}
            }
            let (permits, as_of) = (self.no_longer_asks(&ask), ask.as_of(now));
            let is_charged = self.algorithm.reserve(self.taken, now.min(as_of), as_of, permits).is_some();
            if ask.by == By::Ended {
                _ = self.waiters.slab.pop_front(&mut self.crowd.queue);
                continue;
            }
            // By a rule of now its turn may never come: it was charged nothing, and has nothing to give back.
            if let Some(front) = self.waiters.slab.front_mut(&self.crowd.queue) {
                front.permits = if is_charged { permits } else { 0 };
            }
            _ = self.waiters.slab.grant_front(&mut self.crowd.queue);
        }
    }

    /// Takes permits in advance, and says from when on; with a place in the queue, if others wait.
    pub(in crate::rate_limiter) fn reserve(&mut self, permits: u32) -> Result<InAdvance<S::Link>, RateLimitError> {
        if let Some(error) = self.never(permits) {
            return Err(error);
        }
        self.settle(true);
        if self.crowd.queue.is_empty() {
            let at = self.algorithm.reserve(self.taken, self.now, self.now, permits).ok_or(RateLimitError::Exhausted)?;
            self.crowd.held = self.crowd.held.saturating_add(1);
            return Ok(InAdvance { at, key: None });
        }
        // What those before it take, and when, is played on a copy.
        let mut taken = self.taken.clone();
        let last = Ask::of_caller(permits);
        let mut asks = self.waiters.slab.iter(&self.crowd.queue).chain([&last]);
        let at = asks.try_fold(self.now, |_, ask| self.reserved(&mut taken, ask));
        drop(asks);
        let at = at.ok_or(RateLimitError::Exhausted)?;
        match self.push(Ask { permits, by: By::Reservation, not_before: at, is_alone: false }, Waker::noop().clone()) {
            Ok(key) => {
                self.crowd.held = self.crowd.held.saturating_add(1);
                Ok(InAdvance { at, key: Some(key) })
            }
            Err(_) => Err(self.full(permits)),
        }
    }

    /// Permits come back that were taken at an instant of the clock, and not used. The waker of whoever is first, who may be able to go sooner.
    pub(in crate::rate_limiter) fn take_back(&mut self, permits: u32, read: Instant, taken: Instant) -> Option<Waker> {
        // By a clock that was set back meanwhile, nobody knows for how long they were held.
        let held = read.as_nanos().checked_sub(taken.as_nanos())?;
        let taken = Instant::from_nanos(self.now.as_nanos().saturating_sub(held));
        self.algorithm.give_back(self.taken, self.now, permits, taken);
        self.reconsider()
    }

    /// From when on somebody may use permits who takes them after all others.
    pub(super) fn reserved(&self, taken: &mut A::State, ask: &Ask) -> Option<Instant> {
        let as_of = ask.as_of(self.now);
        self.algorithm.reserve(taken, self.now.min(as_of), as_of, ask.counted(self.algorithm.most()))
    }

    /// Ends a reservation; before its instant, it is given back, and whoever is first may be able to go sooner.
    pub(in crate::rate_limiter) fn give_back(
        &mut self,
        mut permits: u32,
        at: Instant,
        key: Option<Key<S::Link>>,
    ) -> Option<Waker> {
        self.crowd.held = self.crowd.held.saturating_sub(1);
        let is_used = at <= self.now;
        if let Some(key) = key {
            if !self.waiters.slab.is_granted(key) {
                // Nothing has been taken for it yet; what it has used all the same is taken in its turn.
                match self.waiters.slab.get_mut(key) {
                    Some(ask) if is_used => ask.by = By::Ended,
                    _ => drop(self.remove(key)),
                }
                self.settle(false);
                return None;
            }
            permits = self.waiters.slab.remove(&mut self.crowd.queue, key).map_or(0, |removed| removed.payload.permits);
        }
        if is_used || permits == 0 {
            return None;
        }
        self.algorithm.give_back(self.taken, self.now, permits, at);
        self.reconsider()
    }
}
