use core::error::Error;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;

use super::counting::Lender;
use super::permit::Permit;

/// Why [`Semaphore::acquire`](super::Semaphore::acquire) has no permits.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use aplomb::sync::AcquireError;
///
/// let seats: Semaphore = Semaphore::new(4);
/// let refused = aplomb_sim::block_on(async { seats.acquire(5).await }).unwrap_err();
/// assert_eq!(refused, AcquireError::TooMany { requested: 5, permits: 4 });
/// assert_eq!(refused.to_string(), "too many permits: 5 requested, there are 4");
/// assert!(refused.is_rejected());
/// ```
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
        /// How many wait; where it is the storage that is full, how many have a place in it: one whose turn has come keeps its place until its task has its turn.
        waiting: u32,
    },
    /// The semaphore is closed.
    Closed,
}

impl AcquireError {
    /// Whether it was turned away, which is all that can go wrong here.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        true
    }

    /// Whether time ran out, which is not what a semaphore looks at.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where permits are free as soon as somebody drops theirs.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }
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

impl TryAcquireError {
    /// Whether it was turned away, which is all that can go wrong here.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        true
    }

    /// Whether time ran out, which is not what a semaphore looks at.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where permits are free as soon as somebody drops theirs.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }
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

#[cfg(feature = "defmt")]
impl<B: Deref<Target: Lender>> defmt::Format for MergeError<B> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "MergeError");
    }
}

impl<B: Deref<Target: Lender>> fmt::Display for MergeError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permits of another semaphore")
    }
}

impl<B: Deref<Target: Lender>> Error for MergeError<B> {}
