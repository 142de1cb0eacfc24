use super::tally::Tally;
use crate::sync::{ConstInit, Word};

/// The permits of a semaphore outside the lock, while it is open and nobody waits: there, who need not wait takes them, and gives them back, by exchanging one word for another.
///
/// Whoever has the lock brings them in first, and sets them out again; until then, whoever finds nothing here takes the lock.
pub(super) struct Outside<W>(W);

impl<W: Word> Outside<W> {
    pub(super) const NOTHING: Self = Self(<W as ConstInit>::INIT);

    /// Takes so many; nothing, if that is decided under the lock.
    ///
    /// # Errors
    ///
    /// So many are not free; what there is.
    #[inline]
    pub(super) fn try_take(&self, n: u32) -> Option<Result<(), Tally>> {
        let mut word = self.0.get();
        while word != 0 {
            let tally = Tally::of_packed(word);
            let Some(taken) = tally.taking(n) else { return Some(Err(tally)) };
            match self.0.exchange(word, taken.packed()) {
                Ok(()) => return Some(Ok(())),
                Err(newer) => word = newer,
            }
        }
        None
    }

    /// Gives so many back; if not, that is done under the lock.
    #[inline]
    pub(super) fn give_back(&self, n: u32) -> bool {
        let mut word = self.0.get();
        while word != 0 {
            match self.0.exchange(word, Tally::of_packed(word).giving_back(n).packed()) {
                Ok(()) => return true,
                Err(newer) => word = newer,
            }
        }
        false
    }

    /// Brings them under the lock, which the caller has.
    #[inline]
    pub(super) fn bring_in(&self, tally: &mut Tally) {
        // Only who has the lock sets them out.
        if self.0.get() != 0 {
            *tally = Tally::of_packed(self.0.take());
        }
    }

    /// Sets them out from under the lock, which the caller has. Where there are none, nothing would tell them from what is not here.
    #[inline]
    pub(super) fn set_out(&self, tally: Tally) {
        if tally.permits > 0 {
            self.0.put(tally.packed());
        }
    }
}
