use core::fmt;
use core::mem::replace;
use core::task::Waker;

use super::error::EdgeError;
use super::gate::{Mode, State};
use super::machine::Decision;
use super::seats::{Phase, Seats};
use super::terms::Terms;
use crate::storage::Storage;
use crate::time::Instant;

/// All callers of a burst end with clones of the result of the one operation that starts: that of the newest. `T` is what operations end with, and `S` says where callers are kept: each takes a place from its first poll to its end.
pub struct Share<T, S: Storage> {
    seats: Seats<T, S>,
    /// How many calls there were.
    calls: u64,
    /// How many of those who sit run.
    running: u32,
    /// The newest of the pending ones.
    pending: Option<S::Link>,
    /// The newest of those who were flushed and have not started.
    flushed: Option<S::Link>,
    /// One of those who were cancelled and have not been told.
    cancelled: Option<S::Link>,
    /// Who of the pending ones looks at the time for all: there is always one.
    keeper: Option<S::Link>,
    /// When it looks.
    looks_at: Instant,
    /// Who runs what calls may still join: the last that has started.
    joinable: Option<S::Link>,
}

impl<T, S: Storage> Mode for Share<T, S> {
    const NEW: Self = Self {
        seats: Seats::new(),
        calls: 0,
        running: 0,
        pending: None,
        flushed: None,
        cancelled: None,
        keeper: None,
        looks_at: Instant::MAX,
        joinable: None,
    };
    const PLACES: usize = S::CAPACITY;
    type Dropped = ();

    fn cancel(&mut self) {
        let started_none = self.seats.join(self.flushed.take(), self.pending.take());
        self.cancelled = self.seats.join(self.cancelled, started_none);
        self.keeper = None;
    }

    fn flush(&mut self) {
        self.flushed = self.seats.join(self.flushed, self.pending.take());
        self.keeper = None;
    }

    fn next_waker(&mut self) -> Option<Waker> {
        while let Some(link) = self.cancelled {
            self.cancelled = self.seats.part(link);
            let seat = self.seats.seat(link)?;
            seat.phase = Phase::Cancelled;
            if let Some(waker) = seat.waker.take() {
                return Some(waker);
            }
        }
        self.seats.take_waker(self.flushed?)
    }
}

impl<T, S: Storage> Share<T, S> {
    /// The newest of the pending ones looks at the time from now on, and is to be woken for it.
    fn entrust(&mut self) -> Option<Waker> {
        self.looks_at = Instant::ORIGIN;
        self.keeper = self.pending;
        self.seats.take_waker(self.keeper?)
    }

    /// The keeper looks anew.
    fn keeper_waker(&mut self) -> Option<Waker> {
        self.seats.take_waker(self.keeper?)
    }

    /// Who sits there runs its operation from now on, for all of its ring.
    fn run(&mut self, link: S::Link) {
        if let Some(seat) = self.seats.seat(link) {
            seat.phase = Phase::Running;
        }
        self.running += 1;
        self.joinable = Some(link);
    }

    /// It runs no longer. Nobody joins it from now on.
    fn stop(&mut self, link: S::Link) {
        self.running = self.running.saturating_sub(1);
        self.close(link);
    }

    /// Nobody joins that run any more.
    pub(super) fn close(&mut self, link: S::Link) {
        if self.joinable == Some(link) {
            self.joinable = None;
        }
    }

    /// Whether somebody shares that run.
    pub(super) fn is_shared(&self, link: S::Link) -> bool {
        self.seats.next(link).is_some()
    }

    /// Gives the oldest of those who share a run its result. Its waker; or the result, if they have all gone.
    pub(super) fn give(&mut self, link: S::Link, result: T) -> (Option<Waker>, Option<T>) {
        let Some(sharer) = self.seats.next(link) else { return (None, Some(result)) };
        self.seats.part(sharer);
        let Some(seat) = self.seats.seat(sharer) else { return (None, Some(result)) };
        seat.phase = Phase::Done(result);
        (seat.waker.take(), None)
    }

    /// The run is over, and all have its result.
    pub(super) fn end(&mut self, link: S::Link) {
        self.stop(link);
        self.seats.vacate(link);
    }
}

/// What a caller is told when it comes.
pub(super) enum Entry<L> {
    Start {
        seat: L,
    },
    /// With `more`, others may be about to come, whose turn it is first.
    Wait {
        seat: L,
        more: bool,
    },
    Superseded,
    Full {
        waiting: u32,
    },
}

/// What a caller is told that waits.
pub(super) enum Turn<T> {
    /// Somebody else looks at the time, or an operation is under way.
    Wait,
    /// It looks at the time, for all.
    Look {
        until: Instant,
    },
    End(Result<T, EdgeError>),
}

impl<T, S: Storage> State<Share<T, S>> {
    /// A call comes. A waker that isn't needed comes back.
    pub(super) fn enter(
        &mut self,
        terms: &Terms,
        max_waiting: u32,
        now: Instant,
        waker: Waker,
    ) -> (Entry<S::Link>, Option<Waker>) {
        // Only if it finds a place has it come.
        let (mut window, mode) = (self.window, &mut self.mode);
        let decision = window.call(terms, now);
        let starts = decision == Decision::Start;
        if decision == Decision::Skip && mode.joinable.is_none() {
            self.window = window;
            return (Entry::Superseded, Some(waker));
        }
        let waiting = mode.seats.taken().saturating_sub(mode.running);
        if !starts && waiting >= max_waiting {
            return (Entry::Full { waiting }, Some(waker));
        }
        let (kept, unused) = if starts { (None, Some(waker)) } else { (Some(waker), None) };
        let seat = match mode.seats.sit(mode.calls.wrapping_add(1), Phase::Waiting, kept) {
            Ok(seat) => seat,
            Err(kept) => return (Entry::Full { waiting: mode.seats.taken() }, kept.or(unused)),
        };
        mode.calls = mode.calls.wrapping_add(1);
        self.window = window;
        let entry = match (decision, mode.joinable) {
            (Decision::Start, _) => {
                mode.seats.join(mode.pending.take(), Some(seat));
                mode.keeper = None;
                mode.run(seat);
                Entry::Start { seat }
            }
            (Decision::Wait { until }, _) => {
                mode.pending = mode.seats.join(mode.pending, Some(seat));
                if mode.keeper.is_none() || until < mode.looks_at {
                    (mode.keeper, mode.looks_at) = (Some(seat), until);
                }
                let looks = mode.keeper == Some(seat);
                Entry::Wait { seat, more: looks && until == Instant::ORIGIN }
            }
            (Decision::Skip, runs) => {
                if let Some(runs) = runs {
                    mode.seats.join_before(runs, seat);
                }
                Entry::Wait { seat, more: false }
            }
        };
        (entry, unused)
    }

    /// Wakers that are no longer needed come back.
    pub(super) fn ask(&mut self, terms: &Terms, link: S::Link, waker: Waker) -> (Turn<T>, Option<Waker>, Option<Waker>) {
        let mode = &mut self.mode;
        let Some(seat) = mode.seats.seat(link) else { return (Turn::Wait, Some(waker), None) };
        let ended = match replace(&mut seat.phase, Phase::Waiting) {
            Phase::Waiting => {
                let unused = seat.waker.replace(waker);
                let turn = if mode.flushed == Some(link) {
                    Turn::Look { until: Instant::ORIGIN }
                } else if mode.keeper == Some(link) {
                    mode.looks_at = self.window.newest_deadline(terms);
                    Turn::Look { until: mode.looks_at }
                } else {
                    Turn::Wait
                };
                return (turn, unused, None);
            }
            Phase::Done(result) => Ok(result),
            Phase::Cancelled => Err(EdgeError::Cancelled),
            // Who runs, or has left, does not ask.
            gone @ (Phase::Running | Phase::Vacant) => {
                seat.phase = gone;
                return (Turn::Wait, Some(waker), None);
            }
        };
        let (_, unused) = mode.seats.vacate(link);
        (Turn::End(ended), Some(waker), unused)
    }

    /// Whether the operation of a caller that looked at the time starts. If that of another one does, it counts from when that comes for it. A waker that is no longer needed comes back, and that of whoever has to look anew.
    pub(super) fn begin(&mut self, terms: &Terms, link: S::Link, now: Instant) -> (bool, Option<Waker>, Option<Waker>) {
        let mode = &mut self.mode;
        let looks = if mode.flushed == Some(link) {
            mode.flushed = None;
            self.window.start_flushed(terms, now);
            mode.keeper_waker()
        } else if mode.keeper != Some(link) || !self.window.is_due(terms, now) {
            return (false, None, None);
        } else if mode.pending != Some(link) {
            return (false, None, mode.entrust());
        } else {
            self.window.start_newest(terms, now);
            (mode.pending, mode.keeper) = (None, None);
            None
        };
        mode.run(link);
        (true, mode.seats.take_waker(link), looks)
    }

    /// A caller leaves that waited. What it held comes back, with the waker of who is to look anew.
    pub(super) fn leave(&mut self, link: S::Link) -> ((Phase<T>, Option<Waker>), Option<Waker>) {
        let mode = &mut self.mode;
        let previous = mode.seats.part(link);
        let mut looks = None;
        if mode.flushed == Some(link) {
            mode.flushed = previous;
            looks = if let Some(newest) = previous {
                mode.seats.take_waker(newest)
            } else {
                self.window.abandon_flushed();
                mode.keeper_waker()
            };
        }
        if mode.cancelled == Some(link) {
            mode.cancelled = previous;
        }
        if mode.pending == Some(link) {
            mode.pending = previous;
            if previous.is_none() {
                self.window.abandon();
            }
        }
        if mode.keeper == Some(link) {
            looks = mode.entrust();
        }
        (mode.seats.vacate(link), looks)
    }

    /// A run was given up. Those who shared it are pending again, and the newest starts its own as soon as may be. Who is to look at the time.
    pub(super) fn hand_over(&mut self, terms: &Terms, link: S::Link) -> Option<Waker> {
        let mode = &mut self.mode;
        mode.stop(link);
        let sharers = mode.seats.part(link);
        mode.seats.vacate(link);
        sharers?;
        self.window.restart(terms);
        mode.pending = mode.seats.join(sharers, mode.pending);
        mode.entrust()
    }
}

impl<T, S: Storage> fmt::Debug for Share<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("calls", &self.calls).field("callers", &self.seats.taken()).finish_non_exhaustive()
    }
}
