use core::num::NonZeroU64;

use super::algorithm::Algorithm;
use crate::sync::{ConstInit, Word};
use crate::time::{Instant, LATE_READING, Steady};

/// What has been taken, outside the lock: there, a caller who need not wait takes permits by exchanging one word for another.
///
/// It lies here for as long as nothing but the rule decides. Whoever has the lock brings it in first, and sets it out again, unless others wait, calls are counted, or it does not fit into a word; until then, whoever finds nothing here takes the lock.
pub(super) struct Outside<W> {
    taken: W,
    /// When somebody asked last, or a little before that: by what is earlier, the clock has been set back, which is seen to under the lock.
    latest: W,
}

/// How far the latest may lie back, in nanoseconds.
const WRITTEN_DOWN_EVERY: u64 = LATE_READING / 8;

impl<W: Word> Outside<W> {
    pub(super) const NOTHING: Self = Self { taken: <W as ConstInit>::INIT, latest: <W as ConstInit>::INIT };

    /// Takes permits by the rule, or says when they are there; nothing, if that takes [more than a few steps](Self::try_take_packed).
    #[allow(clippy::inline_always, reason = "a call of it costs as much as it does")]
    #[inline(always)]
    pub(super) fn try_take<A: Algorithm>(&self, rule: &A, now: Instant, permits: u32) -> Option<Result<(), Instant>> {
        self.exchange(now, |word| rule.try_take_quickly(word, now, permits))
    }

    /// As [`try_take`](Self::try_take), however many steps it takes; nothing, if it is decided under the lock.
    #[inline]
    pub(super) fn try_take_packed<A: Algorithm>(&self, rule: &A, now: Instant, permits: u32) -> Option<Result<(), Instant>> {
        self.exchange(now, |word| rule.try_take_packed(word, now, permits))
    }

    #[allow(clippy::inline_always, reason = "a call of it costs as much as it does")]
    #[inline(always)]
    fn exchange(
        &self,
        now: Instant,
        take: impl Fn(NonZeroU64) -> Option<Result<NonZeroU64, Instant>>,
    ) -> Option<Result<(), Instant>> {
        let mut word = NonZeroU64::new(self.taken.get())?;
        let (read, latest) = (now.as_nanos(), self.latest.get());
        if latest.saturating_sub(read) >= LATE_READING {
            return None;
        }
        // Where many ask, they need not all write it down.
        if read.saturating_sub(latest) >= WRITTEN_DOWN_EVERY {
            self.latest.put(read);
        }
        loop {
            match take(word)? {
                Err(at) => return Some(Err(at)),
                Ok(taken) => match self.taken.exchange(word.get(), taken.get()) {
                    Ok(()) => return Some(Ok(())),
                    Err(newer) => word = NonZeroU64::new(newer)?,
                },
            }
        }
    }

    /// Brings it under the lock, which the caller has.
    #[inline]
    pub(super) fn bring_in<A: Algorithm>(&self, rule: &A, taken: &mut A::State, steady: &mut Steady) {
        // Only who has the lock sets it out.
        if self.taken.get() == 0 {
            return;
        }
        if let Some(word) = NonZeroU64::new(self.taken.take()) {
            *taken = rule.unpack(word);
            steady.catch_up(Instant::from_nanos(self.latest.get()));
        }
    }

    /// Sets it out from under the lock, which the caller has, if it fits.
    #[inline]
    pub(super) fn set_out<A: Algorithm>(&self, rule: &A, taken: &A::State, now: Instant) {
        if let Some(word) = rule.pack(taken, now) {
            self.latest.put(now.as_nanos());
            self.taken.put(word.get());
        }
    }
}
