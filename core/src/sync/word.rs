//! A number beside the lock.

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::{AtomicU64, Ordering};

use mutex::ConstInit;

/// A number that tasks share without the lock: where the platform has one, what is no more than a number is changed by a single exchange, and who need not wait takes no lock.
///
/// It is zero at first. To a pattern zero means that the state lies behind the lock, so that a platform without such a word ([`NoWord`]) runs the same code, and always takes the lock. A model checker brings a word of its own, as it brings a lock.
///
/// # Examples
///
/// ```
/// use aplomb::sync::{AtomicWord, ConstInit, NoWord, Word};
///
/// let word = AtomicWord::INIT;
/// word.put(7);
/// assert_eq!(word.exchange(7, 8), Ok(()));
/// assert_eq!(word.exchange(7, 9), Err(8), "somebody was quicker");
/// assert_eq!((word.take(), word.get()), (8, 0));
///
/// NoWord.put(7);
/// assert_eq!(NoWord.get(), 0);
/// ```
pub trait Word: ConstInit {
    /// The number.
    fn get(&self) -> u64;

    /// Another number instead.
    fn put(&self, number: u64);

    /// Another number instead of the one that is expected.
    ///
    /// # Errors
    ///
    /// The one that is there.
    fn exchange(&self, expected: u64, number: u64) -> Result<(), u64>;

    /// The number, and zero instead.
    fn take(&self) -> u64;
}

/// An atomic integer of 64 bits, for processors that have those.
#[cfg(target_has_atomic = "64")]
#[derive(Debug)]
pub struct AtomicWord(AtomicU64);

#[cfg(target_has_atomic = "64")]
impl ConstInit for AtomicWord {
    #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a new word")]
    const INIT: Self = Self(AtomicU64::new(0));
}

#[cfg(target_has_atomic = "64")]
impl Word for AtomicWord {
    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    fn put(&self, number: u64) {
        self.0.store(number, Ordering::Release);
    }

    #[inline]
    fn exchange(&self, expected: u64, number: u64) -> Result<(), u64> {
        self.0.compare_exchange(expected, number, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }

    #[inline]
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::AcqRel)
    }
}

/// No word: everything lies behind the lock. It takes no room, and the code for a word falls away.
#[derive(Debug, Clone, Copy)]
pub struct NoWord;

impl ConstInit for NoWord {
    const INIT: Self = Self;
}

impl Word for NoWord {
    #[inline]
    fn get(&self) -> u64 {
        0
    }

    #[inline]
    fn put(&self, _number: u64) {}

    #[inline]
    fn exchange(&self, _expected: u64, _number: u64) -> Result<(), u64> {
        Err(0)
    }

    #[inline]
    fn take(&self) -> u64 {
        0
    }
}
