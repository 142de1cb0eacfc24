//! When the clock is read: where something depends on it, and at most once.

use core::time::Duration;

use super::circuit::Ticket;
use super::machine::{Epoch, Terms};
use super::trip::{Call, Trip};
use crate::time::{Clock, Instant, Steady, nanos};

/// The present, which is read when it is asked for.
pub(super) struct Time<'t, C> {
    pub(super) steady: &'t mut Steady,
    pub(super) clock: &'t C,
    /// What the clock said, where it has been read.
    pub(super) read: Option<Instant>,
}

impl<C: Clock> Time<'_, C> {
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn now(&mut self) -> Instant {
        let read = *self.read.get_or_insert_with(|| self.clock.now());
        self.steady.advance(read, self.clock)
    }
}

/// Kept out of line, so that calls that are not timed go a short way.
#[inline(never)]
fn read<C: Clock>(clock: &C) -> Instant {
    clock.now()
}

impl<T: Trip, B> Terms<T, B> {
    /// Whether it matters how long a call takes.
    #[inline]
    pub(super) fn times_calls(&self) -> bool {
        self.trip.slow_after() != Duration::MAX
    }

    /// What a call that goes through is stamped with.
    #[inline]
    pub(super) fn stamp<C: Clock>(&self, epoch: Epoch, clock: &C) -> Ticket {
        Ticket { epoch, began: if self.times_calls() { read(clock) } else { Instant::ORIGIN } }
    }

    /// How a call has ended, and what the clock said, if that had to be known.
    #[inline]
    pub(super) fn ended<C: Clock>(&self, ticket: Ticket, failed: bool, clock: &C) -> (Call, Option<Instant>) {
        let read = (T::TIMED || self.times_calls()).then(|| clock.now());
        let took = read.map_or(0, |read| read.as_nanos().saturating_sub(ticket.began.as_nanos()));
        (Call { failed, slow: self.times_calls() && took > nanos(self.trip.slow_after()) }, read)
    }
}
