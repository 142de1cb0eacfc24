use core::error::Error;
use core::fmt;
use core::ops::Deref;

use super::counting::Lender;
use super::permit::Permit;

/// Why [`Semaphore::acquire`](super::Semaphore::acquire) has no permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AcquireError {
    /// More than there are.
    TooMany {
        /// Permits asked for.
        requested: u32,
        /// Permits of the semaphore.
        permits: u32,
    },
    /// All waiting places are taken.
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// The semaphore is closed.
    Closed,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { requested, permits } => write!(f, "too many permits: {requested} requested, there are {permits}"),
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl Error for AcquireError {}

/// Why there were no permits to be had at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TryAcquireError {
    /// More than there are.
    TooMany {
        /// Permits asked for.
        requested: u32,
        /// Permits of the semaphore.
        permits: u32,
    },
    /// They were not free.
    NoPermits {
        /// Permits asked for.
        requested: u32,
        /// Permits that were to be had: none, while others wait.
        free: u32,
    },
    /// The semaphore is closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { requested, permits } => write!(f, "too many permits: {requested} requested, there are {permits}"),
            Self::NoPermits { requested, free } => write!(f, "no permits: {requested} requested, {free} free"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl Error for TryAcquireError {}

/// Permits of different semaphores can't be [merged](Permit::merge). It holds those that were to be taken in.
pub struct MergeError<B: Deref<Target: Lender>>(pub Permit<B>);

impl<B: Deref<Target: Lender>> fmt::Debug for MergeError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MergeError").field(&self.0).finish()
    }
}

impl<B: Deref<Target: Lender>> fmt::Display for MergeError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permits of another semaphore")
    }
}

impl<B: Deref<Target: Lender>> Error for MergeError<B> {}
