//! The lock.

use core::fmt;

use mutex::{BlockingMutex, ConstInit, ScopedRawMutex};

/// State that tasks share, behind the platform's lock.
///
/// Whoever calls [`with`](Shared::with) keeps one rule: **nothing foreign inside.** No operation, predicate, clone, drop or waker of a caller runs under the
/// lock; it is moved in before, or moved out and dropped after. That is why the lock is held for nanoseconds, and why a caller's code may call back into the same pattern.
///
/// # Examples
///
/// ```
/// use aplomb::sync::{LocalRawMutex, Shared};
///
/// let count: Shared<LocalRawMutex, u32> = Shared::new(0);
/// count.with(|count| *count += 1);
/// assert_eq!(count.with(|count| *count), 1);
/// ```
pub struct Shared<R, T>(BlockingMutex<R, T>);

impl<R: ConstInit, T> Shared<R, T> {
    /// State that nobody has locked.
    pub const fn new(state: T) -> Self {
        Self(BlockingMutex::new(state))
    }
}

impl<R: ScopedRawMutex, T> Shared<R, T> {
    /// Does something with the state, under the lock.
    pub fn with<U>(&self, act: impl FnOnce(&mut T) -> U) -> U {
        self.0.with_lock(act)
    }
}

impl<R, T> Shared<R, T> {
    /// The state, for whoever has it alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<R, T> fmt::Debug for Shared<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
