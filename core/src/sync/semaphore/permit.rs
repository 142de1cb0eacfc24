use core::fmt;
use core::mem::take;
use core::ops::Deref;
use core::ptr;

use super::counting::Lender;
use super::error::MergeError;

/// Permits that are held. Dropping it gives them back.
///
/// `B` points to what they are of: it is a reference, or an `Arc`, `Rc` or the like, whose permits are *owned* and go wherever that goes.
///
/// # Examples
///
/// ```
/// use aplomb::sync::{Permit, Semaphore};
/// use aplomb_sim::Sim;
/// use std::sync::Arc;
///
/// let seats = Arc::new(Semaphore::<Sim>::new(4));
/// let mut party: Permit<Arc<Semaphore<Sim>>> = Semaphore::try_acquire_owned(Arc::clone(&seats), 4)?;
///
/// let couple = party.split(2).unwrap();
/// assert_eq!((party.count(), couple.count(), seats.available()), (2, 2, 0));
/// party.merge(couple).unwrap();
/// drop(party);
/// assert_eq!(seats.available(), 4);
/// # Ok::<_, aplomb::sync::TryAcquireError>(())
/// ```
#[must_use = "the permits go back as soon as this is dropped"]
pub struct Permit<B: Deref<Target: Lender>> {
    lender: B,
    n: u32,
}

impl<B: Deref<Target: Lender>> Permit<B> {
    pub(crate) const fn new(lender: B, n: u32) -> Self {
        Self { lender, n }
    }

    /// What they are of.
    pub(crate) const fn lender(&self) -> &B {
        &self.lender
    }

    /// How many permits these are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.n
    }

    /// Parts with so many of them, which go back on their own; `None` if these are fewer.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static BUFFERS: Semaphore = Semaphore::new(8);
    ///
    /// let mut all = BUFFERS.try_acquire(8)?;
    /// let some = all.split(3);
    /// drop(some);
    /// assert_eq!((all.count(), BUFFERS.available()), (5, 3));
    /// assert!(all.split(6).is_none());
    /// # Ok::<_, aplomb::sync::TryAcquireError>(())
    /// ```
    #[must_use = "the permits go back as soon as this is dropped"]
    pub fn split(&mut self, n: u32) -> Option<Self>
    where
        B: Clone,
    {
        let rest = self.n.checked_sub(n)?;
        let lender = self.lender.clone();
        self.n = rest;
        Some(Self { lender, n })
    }

    /// Takes `other` in: from now on these and those go back together.
    ///
    /// # Errors
    ///
    /// [`MergeError`], with `other` in it, if that is of another semaphore.
    pub fn merge(&mut self, mut other: Self) -> Result<(), MergeError<B>> {
        if !ptr::eq(self.lender.semaphore(), other.lender.semaphore()) {
            return Err(MergeError(other));
        }
        // A semaphore lends no more than it can count.
        self.n = self.n.saturating_add(take(&mut other.n));
        Ok(())
    }

    /// Gives none of them back, ever: there are so many fewer from now on.
    ///
    /// Whoever waits for more than are left is told so when it is its turn, instead of waiting for what nobody gives back; of a bulkhead, that there are no places. (tokio lets them wait: somebody may add permits.)
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::sync::Semaphore;
    /// use aplomb_sim::Sim;
    ///
    /// let seats = Semaphore::<Sim>::new(4);
    /// seats.try_acquire(1)?.forget(); // it is broken
    /// assert_eq!((seats.permits(), seats.available()), (3, 3));
    /// # Ok::<_, aplomb::sync::TryAcquireError>(())
    /// ```
    pub fn forget(mut self) {
        let n = take(&mut self.n);
        self.lender.semaphore().change(|state| state.forget(n));
    }
}

impl<B: Deref<Target: Lender>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            self.lender.semaphore().give_back(self.n);
        }
    }
}

impl<B: Deref<Target: Lender>> fmt::Debug for Permit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.n).finish_non_exhaustive()
    }
}
