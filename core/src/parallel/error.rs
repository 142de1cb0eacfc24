use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why items that went through in parallel came to no result: one of them failed, or nothing was started.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// let odd = |n: u32| async move { if n % 2 == 1 { Ok(n) } else { Err("even") } };
/// let error = aplomb_sim::block_on(async { parallel([1, 3, 4, 5], 2, odd).await }).unwrap_err();
/// assert_eq!(error, ParallelError::Failed { index: 2, error: "even" });
/// assert_eq!(error.to_string(), "item 2: even");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParallelError<E = Infallible> {
    /// The operation failed for one of the items.
    Failed {
        /// Which item it was; the first is 0.
        index: usize,
        /// The operation's own error.
        error: E,
    },
    /// There are more items than there is room for results. It cannot happen on the heap.
    Full {
        /// For how many there is room.
        capacity: usize,
    },
    /// The limit makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> ParallelError<E> {
    /// Which item failed, if one did; the first is 0.
    pub const fn index(&self) -> Option<usize> {
        match self {
            Self::Failed { index, .. } => Some(*index),
            Self::Full { .. } | Self::Config(_) => None,
        }
    }

    /// Whether there were more items than room for results.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether time ran out, which is not what happens here.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: the operation's own [error](ParallelError::inner) may know.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error, if it was that.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Full { .. } | Self::Config(_) => None,
        }
    }

    /// The operation's own error, if it was that.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Full { .. } | Self::Config(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ParallelError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { index, error } => write!(f, "item {index}: {error}"),
            Self::Full { capacity } => write!(f, "full: there is room for {capacity} results, and there are more items"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for ParallelError<E> {
    /// That of the operation's error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
