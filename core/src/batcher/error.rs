use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a call through a batcher has no value.
///
/// # Examples
///
/// ```
/// use aplomb::BatchError;
///
/// let full: BatchError<std::io::Error> = BatchError::QueueFull { waiting: 100 };
/// assert_eq!(full.to_string(), "queue full: 100 are waiting");
/// assert!(full.is_rejected());
///
/// let unclear: BatchError<std::io::Error> = BatchError::WrongLength { items: 3, results: 2 };
/// assert_eq!(unclear.to_string(), "2 results for 3 items");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BatchError<E = Infallible> {
    /// As many wait for a start as may, or there is no place left in the storage.
    QueueFull {
        /// How many wait; where it is the storage that is full, how many have a place in it, with those whose batch is under way.
        waiting: u32,
    },
    /// The batch has ended, with more results or fewer than it has items: which is whose, cannot be told.
    WrongLength {
        /// How many items it has.
        items: u32,
        /// How many results.
        results: usize,
    },
    /// The batch was given up after it had started, by another caller: its operation has panicked, or it was dropped, and the item [may not be started again](crate::Batcher::call_once). What has become of the item is not known.
    Abandoned,
    /// It was in a batch that failed, or failed alone.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> BatchError<E> {
    /// Whether it never started, because of those who wait.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::QueueFull { .. })
    }

    /// Whether it has waited for as long as it may: never, here. A batch starts in time, and takes as long as it takes; [`timeout`](crate::timeout) limits that.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where there is room as soon as a batch has started.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::WrongLength { .. } | Self::Abandoned | Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::WrongLength { .. } | Self::Abandoned | Self::Config(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::WrongLength { items, results } => write!(f, "{results} results for {items} items"),
            Self::Abandoned => f.write_str("the batch was given up by the caller that led it"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for BatchError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
