use core::num::NonZeroU64;

use super::algorithm::Algorithm;
use crate::sync::{ConstInit, Word};
use crate::time::Instant;

/// What has been taken, outside the lock: there, a caller who need not wait takes permits by exchanging one word for another.
///
/// It lies here for as long as nothing but the rule decides. Whoever has the lock brings it in first, and sets it out again, unless others wait, calls are counted, or it does not fit into a word; until then, whoever finds nothing here takes the lock.
pub(super) struct Outside<W> {
    taken: W,
}

impl<W: Word> Outside<W> {
    pub(super) const NOTHING: Self = Self { taken: <W as ConstInit>::INIT };

    /// Takes permits by the rule, or says when they are there; nothing, if it is decided under the lock.
    #[allow(clippy::inline_always, reason = "a call of it costs as much as it does")]
    #[inline(always)]
    pub(super) fn try_take<A: Algorithm>(&self, rule: &A, now: Instant, permits: u32) -> Option<Result<(), Instant>> {
        let mut word = NonZeroU64::new(self.taken.get())?;
        loop {
            match rule.try_take_packed(word, now, permits)? {
                Err(at) => return Some(Err(at)),
                Ok(taken) => match self.taken.exchange(word.get(), taken.get()) {
                    Ok(()) => return Some(Ok(())),
                    Err(newer) => word = NonZeroU64::new(newer)?,
                },
            }
        }
    }

    /// Brings it under the lock, which the caller has. It was so late already when it came about.
    #[inline]
    pub(super) fn bring_in<A: Algorithm>(&self, rule: &A, taken: &mut A::State) -> Option<Instant> {
        // Only who has the lock sets it out.
        if self.taken.get() == 0 {
            return None;
        }
        let word = NonZeroU64::new(self.taken.take())?;
        *taken = rule.unpack(word);
        Some(rule.packed_after(word))
    }

    /// Sets it out from under the lock, which the caller has, if it fits.
    #[inline]
    pub(super) fn set_out<A: Algorithm>(&self, rule: &A, taken: &A::State, now: Instant) {
        if let Some(word) = rule.pack(taken, now) {
            self.taken.put(word.get());
        }
    }
}
