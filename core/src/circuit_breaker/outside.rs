use core::time::Duration;

use super::machine::Machine;
use super::trip::Trip;
use crate::backoff::Backoff;
use crate::sync::{ConstInit, Word};
use crate::time::{Clock, Instant, LATE_READING, Steady, duration};

/// Until when calls are rejected, outside the lock: there, a call is rejected by exchanging one word for another, by which it is counted.
///
/// It lies here for as long as only time changes that. Whoever has the lock brings in what has been counted, and sets it out again; until then, whoever finds nothing here takes the lock.
pub(super) struct Outside<W> {
    /// The epoch, and below it how many more calls can be counted.
    room: W,
    /// Until when; never, if somebody has to say so.
    until: W,
    /// When a call was rejected last: by what is earlier than that, the clock has been set back, which is seen to under the lock.
    latest: W,
}

/// Whether a call is rejected is decided under the lock.
pub(super) struct Undecided;

const ROOM: u64 = u32::MAX as u64;

impl<W: Word> Outside<W> {
    pub(super) const NOTHING: Self =
        Self { room: <W as ConstInit>::INIT, until: <W as ConstInit>::INIT, latest: <W as ConstInit>::INIT };

    /// Rejects a call, and says when it may come again, where that is known.
    ///
    /// # Errors
    ///
    /// Whether it is rejected is decided under the lock.
    #[allow(clippy::inline_always, reason = "a call of it costs as much as it does")]
    #[inline(always)]
    pub(super) fn reject<C: Clock>(&self, clock: &C) -> Result<Option<Duration>, Undecided> {
        let mut word = self.room.get();
        if word & ROOM == 0 {
            return Err(Undecided);
        }
        let until = Instant::from_nanos(self.until.get());
        let left = if until.is_never() { None } else { Some(self.left(until, clock).ok_or(Undecided)?) };
        // Others are counted meanwhile; or it is decided anew.
        while let Err(newer) = self.room.exchange(word, word - 1) {
            if newer & ROOM == 0 || newer & !ROOM != word & !ROOM {
                return Err(Undecided);
            }
            word = newer;
        }
        Ok(left.map(duration))
    }

    /// For how many nanoseconds more, if its time is not over.
    #[inline]
    fn left<C: Clock>(&self, until: Instant, clock: &C) -> Option<u64> {
        let (read, latest) = (clock.now(), Instant::from_nanos(self.latest.get()));
        if read > latest {
            self.latest.put(read.as_nanos());
        } else if latest.nanos_since(read) >= LATE_READING {
            return None;
        }
        until.as_nanos().checked_sub(read.max(latest).as_nanos()).filter(|left| *left > 0)
    }

    /// Brings in what has been counted, under the lock, which the caller has.
    #[inline]
    pub(super) fn bring_in<T: Trip, B: Backoff<State: Copy>>(&self, machine: &mut Machine<T, B>, steady: &mut Steady) {
        // Only who has the lock sets it out.
        if self.room.get() != 0 {
            machine.count_rejected(ROOM - (self.room.take() & ROOM));
            steady.catch_up(Instant::from_nanos(self.latest.get()));
        }
    }

    /// Sets it out from under the lock, which the caller has, if calls are rejected.
    #[inline]
    pub(super) fn set_out<T: Trip, B: Backoff<State: Copy>>(&self, machine: &Machine<T, B>, steady: &Steady) {
        if let Some(until) = machine.rejects_until()
            && steady.is_the_clocks()
        {
            self.until.put(until.as_nanos());
            self.latest.put(steady.latest().as_nanos());
            self.room.put(u64::from(machine.epoch().number()) << 32 | ROOM);
        }
    }
}
