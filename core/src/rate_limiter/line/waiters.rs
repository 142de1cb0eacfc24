use core::task::Waker;

use super::crowd::{Ask, By, Crowd};
use super::rehearsal::Rehearsed;
use crate::rate_limiter::algorithm::Algorithm;
use crate::storage::Storage;
use crate::sync::wait_list::{Queue, Slab};

/// The slots of all who wait behind one lock, in whatever line.
pub(in crate::rate_limiter) struct Waiters<A: Algorithm, S: Storage> {
    pub(super) slab: Slab<Ask, S>,
    /// Callers that a new rule has turned away, and whose wakers are still to be woken.
    pub(super) refused: Queue<S::Link>,
    pub(super) rehearsed: Rehearsed<A::State, S::Link>,
}

impl<A: Algorithm, S: Storage> Waiters<A, S> {
    /// Nobody.
    pub(in crate::rate_limiter) const NONE: Self = Self { slab: Slab::new(), refused: Queue::new(), rehearsed: Rehearsed::NONE };

    /// There can be so many permits at once from now on. Callers that wait for more leave their queue for good, whatever rule comes next, and keep no more than a slot until they have learnt of it.
    /// Reservations stay, since they keep their instants, and do not count while there can't be so many.
    pub(in crate::rate_limiter) fn refit(&mut self, crowd: &mut Crowd<S::Link>, most: u32) {
        self.rehearsed.forget();
        let (mut asked, mut callers, held) = (0_u64, 0, &mut crowd.held);
        self.slab.move_where(&mut crowd.queue, &mut self.refused, |ask| {
            let is_refused = ask.by == By::Caller && ask.permits > most;
            if is_refused {
                (ask.by, ask.permits) = (By::Refused, most);
                *held = held.saturating_add(1);
            } else {
                asked = asked.saturating_add(u64::from(ask.counted(most)));
                callers += u32::from(ask.by == By::Caller);
            }
            is_refused
        });
        (crowd.asked, crowd.callers) = (asked, callers);
    }

    /// The waker of the next caller that a new rule has turned away. One that has none was woken already, and not polled since.
    pub(in crate::rate_limiter) fn next_refused(&mut self) -> Option<Waker> {
        while !self.refused.is_empty() {
            let waker = self.slab.grant_front(&mut self.refused);
            if waker.is_some() {
                return waker;
            }
        }
        None
    }
}
