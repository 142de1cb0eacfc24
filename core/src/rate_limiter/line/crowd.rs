use crate::sync::wait_list::Queue;
use crate::time::Instant;

/// Those who share their permits: who runs, and who waits.
#[derive(Debug, Clone, Copy)]
pub struct Crowd<L> {
    pub(in crate::rate_limiter) queue: Queue<L>,
    pub(super) running: u32,
    /// How many in the queue are callers.
    pub(super) callers: u32,
    /// Those for whom the line is kept though they may not stand in its queue: reservations that have not come to an end, and callers that were refused and have not learnt of it.
    pub(super) held: u32,
    /// Since when the first in the queue waits for its permits, and for nothing else; never, while it waits for a call to end. Of reservations [alone](Self::is_alone), since when they are.
    pub(super) since: Instant,
    /// Whether none but reservations are in the queue. While nobody stands behind them, what they take is not worked out; but they take it as of then.
    pub(super) is_alone: bool,
    /// Permits that those in the queue wait for.
    pub(super) asked: u64,
}

/// What a waiter brings.
#[derive(Debug, Clone, Copy)]
pub(in crate::rate_limiter) struct Ask {
    /// What it waits for; of one that was refused, how many there could be at once.
    pub(super) permits: u32,
    pub(super) by: By,
    /// What a reservation was told, though those before it may leave: its permits are not taken as of any earlier instant. Once they are taken, for when: it may be later, if those before it came late.
    pub(super) not_before: Instant,
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
    /// A caller that waited for more than there can be at once by a new rule. It stands in its line's queue no more, and has a slot until it learns of it.
    Refused,
}

impl Ask {
    pub(super) const fn of_caller(permits: u32) -> Self {
        Self { permits, by: By::Caller, not_before: Instant::ORIGIN }
    }

    /// How many permits it stands for, where there can be so many at once.
    pub(super) const fn counted(&self, most: u32) -> u32 {
        if self.permits > most { 0 } else { self.permits }
    }
}

impl<L> Crowd<L> {
    /// Nobody.
    pub(in crate::rate_limiter) const NONE: Self =
        Self { queue: Queue::new(), running: 0, callers: 0, held: 0, since: Instant::ORIGIN, is_alone: false, asked: 0 };

    /// A call has ended. Says whether somebody waits for that.
    pub(in crate::rate_limiter) const fn end_call(&mut self) -> bool {
        self.running = self.running.saturating_sub(1);
        self.since.is_never() && !self.queue.is_empty()
    }

    pub(in crate::rate_limiter) const fn is_none(&self) -> bool {
        self.running == 0 && self.held == 0 && self.queue.is_empty()
    }
}
