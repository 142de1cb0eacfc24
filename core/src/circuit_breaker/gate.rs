use core::sync::atomic::{AtomicU32, Ordering};

use super::machine::Epoch;

/// What a breaker is like, for those who only want to go through: a word beside the lock, written under it and read without.
///
/// It is only ever loaded and stored, which every target can. Who reads that calls go through has come before whoever changes that; and a success of which it says that it would change nothing need not be told.
pub(super) struct Gate(AtomicU32);

/// Beside the epoch: calls go through.
const THROUGH: u32 = 1;
/// Beside the epoch: a success changes nothing.
const CALM: u32 = 2;

impl Gate {
    /// Of which nothing is known: everybody asks under the lock.
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The stamp of a call, if calls go through.
    #[inline]
    pub(super) fn pass(&self) -> Option<Epoch> {
        let word = self.0.load(Ordering::Acquire);
        (word & THROUGH != 0).then(|| Epoch::of_number(word))
    }

    /// Whether calls still go through, and have since a call that began then.
    #[inline]
    pub(super) fn has_let_through_since(&self, began: Epoch) -> bool {
        self.0.load(Ordering::Acquire) | CALM == began.number()
    }

    /// Whether the success of a call that began then changes nothing.
    #[inline]
    pub(super) fn is_calm(&self, began: Epoch) -> bool {
        self.0.load(Ordering::Acquire) == began.number()
    }

    /// Says what holds from now on, if it is not what is said; under the lock.
    #[inline]
    pub(super) fn set(&self, epoch: Epoch, goes_through: bool, is_calm: bool) {
        let word = match (goes_through, is_calm) {
            (true, true) => epoch.number(),
            (true, false) => epoch.number() & !CALM,
            (false, _) => 0,
        };
        // A line of the cache that everybody reads is written only if it must be.
        if self.0.load(Ordering::Relaxed) != word {
            self.0.store(word, Ordering::Release);
        }
    }
}
