use core::task::Waker;

use super::Desk;
use super::crowd::{Ask, By};
use super::rehearsal::Rehearsal;
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
    /// When that was.
    made: Instant,
}

/// What is taken for later, or comes back.
impl<A: Algorithm, S: Storage> Desk<'_, A, S> {
    /// Takes the permits of reservations before which nobody stands any more. While nobody stands behind them either, that has time: they may be given back, and then nothing was taken.
    pub(super) fn settle(&mut self, somebody_comes: bool) {
        let has_time = !somebody_comes && self.crowd.callers == 0;
        while let Some(&ask) = self.waiters.slab.front(&self.crowd.queue) {
            match ask.by {
                By::Caller | By::Refused => return,
                By::Reservation if has_time => {
                    if !self.crowd.is_alone {
                        (self.crowd.is_alone, self.crowd.since) = (true, self.now);
                    }
                    return;
                }
                By::Reservation | By::Ended => {}
            }
            let (permits, as_of) = (ask.counted(self.algorithm.most()), self.as_of(&ask));
            let charged_at = self.algorithm.reserve(self.taken, self.now.min(as_of), as_of, permits);
            self.no_longer_asks(&ask);
            if ask.by == By::Ended {
                _ = self.waiters.slab.pop_front(&mut self.crowd.queue);
                continue;
            }
            // That is what it has to give back. By a rule of now its turn may never come: it was charged nothing then.
            if let Some(front) = self.waiters.slab.front_mut(&self.crowd.queue) {
                (front.permits, front.not_before) = charged_at.map_or((0, as_of), |at| (permits, at));
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
            if let Some(made) = self.reserve_alone(permits) {
                return Ok(made);
            }
            // By the rule, it is taken at once; or there is no place for it.
            let at = self.algorithm.reserve(self.taken, self.now, self.now, permits).ok_or(RateLimitError::Exhausted)?;
            return Ok(self.hold(at, None));
        }
        let at = self.after_all(permits).ok_or(RateLimitError::Exhausted)?;
        match self.queue_up(at, permits) {
            Some(key) => Ok(self.hold(at, Some(key))),
            None => Err(self.full(permits)),
        }
    }

    /// From when on somebody may use permits who comes now, behind others. What those take, and when, is played on a copy.
    fn after_all(&mut self, permits: u32) -> Option<Instant> {
        let (first, last) = self.crowd.queue.ends()?;
        let played = self.waiters.rehearsed.take(first, self.now);
        let (mut taken, mut until, after) = match played {
            Some(Rehearsal { taken, until, last, .. }) => (taken, until, Some(last)),
            None => (self.taken.clone(), Instant::MAX, None),
        };
        for ask in self.waiters.slab.iter_after(&self.crowd.queue, after) {
            until = until.min(self.reserved(&mut taken, ask)?);
        }
        self.waiters.rehearsed.keep(|| Rehearsal { taken: taken.clone(), first, last, until });
        self.reserved(&mut taken, &Ask::of_caller(permits))
    }

    /// Gives a reservation a place, so that its permits are taken only when somebody comes after it; none, if they are there now.
    fn reserve_alone(&mut self, permits: u32) -> Option<InAdvance<S::Link>> {
        if !self.algorithm.reserves_late() {
            return None;
        }
        let at = self.algorithm.not_before(self.taken, self.now, 0, permits);
        if at <= self.now || at.is_never() {
            return None;
        }
        let key = self.queue_up(at, permits)?;
        self.settle(false);
        Some(self.hold(at, Some(key)))
    }

    fn queue_up(&mut self, at: Instant, permits: u32) -> Option<Key<S::Link>> {
        self.push(Ask { permits, by: By::Reservation, not_before: at }, Waker::noop().clone()).ok()
    }

    const fn hold(&mut self, at: Instant, key: Option<Key<S::Link>>) -> InAdvance<S::Link> {
        self.crowd.held = self.crowd.held.saturating_add(1);
        InAdvance { at, key, made: self.now }
    }

    /// When the permits of one whose turn comes now are taken.
    fn as_of(&self, ask: &Ask) -> Instant {
        ask.not_before.max(if self.crowd.is_alone { self.crowd.since } else { self.now })
    }

    /// Permits come back that were taken then, and not used. The waker of whoever is first, who may be able to go sooner.
    pub(in crate::rate_limiter) fn take_back(&mut self, permits: u32, taken: Instant) -> Option<Waker> {
        if taken < self.returnable_from {
            return None;
        }
        self.waiters.rehearsed.forget();
        self.algorithm.give_back(self.taken, self.now, permits, taken);
        self.reconsider()
    }

    /// From when on somebody may use permits who takes them after all others.
    pub(super) fn reserved(&self, taken: &mut A::State, ask: &Ask) -> Option<Instant> {
        let as_of = self.as_of(ask);
        self.algorithm.reserve(taken, self.now.min(as_of), as_of, ask.counted(self.algorithm.most()))
    }

    /// Ends a reservation; before its instant, it is given back, and whoever is first may be able to go sooner.
    pub(in crate::rate_limiter) fn give_back(
        &mut self,
        mut permits: u32,
        mut at: Instant,
        made: &InAdvance<S::Link>,
    ) -> Option<Waker> {
        self.crowd.held = self.crowd.held.saturating_sub(1);
        let is_used = at <= self.now;
        if let Some(key) = made.key {
            if !self.waiters.slab.is_granted(key) {
                // Nothing has been taken for it yet; what it has used all the same is taken in its turn.
                match self.waiters.slab.get_mut(key) {
                    Some(ask) if is_used => ask.by = By::Ended,
                    _ => drop(self.remove(key)),
                }
                self.settle(false);
                return None;
            }
            let charged = self.waiters.slab.remove(&mut self.crowd.queue, key)?.payload;
            (permits, at) = (charged.permits, charged.not_before);
        }
        if is_used || permits == 0 || made.made < self.returnable_from {
            return None;
        }
        self.waiters.rehearsed.forget();
        self.algorithm.give_back(self.taken, self.now, permits, at);
        self.reconsider()
    }
}
