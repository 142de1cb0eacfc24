use core::mem;
use core::task::Waker;

use crate::storage::{Link, Storage};
use crate::sync::wait_list::{Queue, Slab};
use crate::time::Instant;

/// Those who share their permits: who runs, and who waits.
#[derive(Debug, Clone, Copy)]
pub struct Crowd<L> {
    pub(in crate::rate_limiter) queue: Queue<L>,
    pub(super) running: u32,
    /// Reservations that have not come to an end.
    pub(super) reserved: u32,
    /// Since when the first in the queue waits for its permits, and for nothing else; never, while it waits for a call to end.
    pub(super) since: Instant,
    /// Permits that those in the queue wait for.
    pub(super) asked: u64,
}

/// What a waiter brings.
#[derive(Debug, Clone, Copy)]
pub(in crate::rate_limiter) struct Ask {
    pub(super) permits: u32,
    pub(super) by: By,
    /// What a reservation was told, though those before it may leave: its permits are not taken as of any earlier instant.
    pub(super) not_before: Instant,
    /// Whether its turn has come when nobody stood behind it: its permits are taken as of then, whenever that is done.
    pub(super) is_alone: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A caller that is woken.
    Caller,
    /// A reservation, whose permits are taken in advance as soon as nobody stands before it. It keeps its slot until it has ended.
    Reservation,
    /// A reservation that has ended.
    Ended,
}

impl Ask {
    pub(super) const fn of_caller(permits: u32) -> Self {
        Self { permits, by: By::Caller, not_before: Instant::ORIGIN, is_alone: false }
    }

    /// When its permits are taken, if its turn comes now.
    pub(super) fn as_of(&self, now: Instant) -> Instant {
        if self.is_alone { self.not_before } else { self.not_before.max(now) }
    }
}

impl<L> Crowd<L> {
    /// Nobody.
    pub(in crate::rate_limiter) const NONE: Self =
        Self { queue: Queue::new(), running: 0, reserved: 0, since: Instant::ORIGIN, asked: 0 };

    /// A call has ended. Says whether somebody waits for that.
    pub(in crate::rate_limiter) const fn end_call(&mut self) -> bool {
        self.running = self.running.saturating_sub(1);
        self.since.is_never() && !self.queue.is_empty()
    }

    pub(in crate::rate_limiter) const fn is_none(&self) -> bool {
        self.running == 0 && self.reserved == 0 && self.queue.is_empty()
    }
}

impl<L: Link> Crowd<L> {
    /// There can be so many permits at once from now on: who asks for more counts no longer, and has to be told.
    pub(in crate::rate_limiter) fn refit<S: Storage<Link = L>>(&mut self, slab: &mut Slab<Ask, S>, most: u32) {
        let asked = &mut self.asked;
        slab.for_each(&self.queue, |ask| {
            if ask.permits > most {
                *asked = asked.saturating_sub(u64::from(mem::take(&mut ask.permits)));
            }
        });
    }

    /// The waker of somebody who has to be told that there will never be so many.
    pub(in crate::rate_limiter) fn next_in_vain<S: Storage<Link = L>>(&self, slab: &mut Slab<Ask, S>) -> Option<Waker> {
        slab.take_waker_where(&self.queue, |ask| ask.permits == 0 && ask.by == By::Caller)
    }
}
