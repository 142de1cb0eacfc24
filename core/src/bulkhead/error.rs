use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a call through a bulkhead has no value.
///
/// # Examples
///
/// ```
/// use aplomb::BulkheadError;
/// use core::time::Duration;
///
/// let full: BulkheadError<std::io::Error> = BulkheadError::QueueFull { waiting: 100 };
/// assert_eq!(full.to_string(), "queue full: 100 are waiting");
/// assert!(full.is_rejected() && !full.is_timeout());
///
/// let late: BulkheadError<std::io::Error> = BulkheadError::TimedOut { after: Duration::from_millis(500) };
/// assert_eq!(late.to_string(), "no place became free within 500ms");
/// assert!(late.is_rejected() && late.is_timeout());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BulkheadError<E = Infallible> {
    /// All places are taken, and all waiting places too.
    QueueFull {
        /// How many wait; where it is the storage that is full, how many have a place in it: one whose turn has come keeps its place until its task has its turn.
        waiting: u32,
    },
    /// It has waited as long as it may. Nothing was started.
    TimedOut {
        /// How long.
        after: Duration,
    },
    /// No place is free, and it was not to wait.
    Busy,
    /// There are no places: all of them were [forgotten](crate::sync::Permit::forget). There are again when [so many are set](crate::Bulkhead::set_max_concurrent).
    NoPlaces,
    /// The bulkhead is closed.
    Closed,
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> BulkheadError<E> {
    /// Whether it never started, for the sake of those who run: there was no place, or not in time, or none is given any more.
    pub const fn is_rejected(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Config(_))
    }

    /// Whether it has waited as long as it may.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// How long to wait before it is worth another try, where that is known: not here, where a place is free as soon as an operation has ended.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::TimedOut { .. } | Self::Busy | Self::NoPlaces | Self::Closed | Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::TimedOut { .. } | Self::Busy | Self::NoPlaces | Self::Closed | Self::Config(_) => None,
        }
    }

    /// The operation's own error, or why it has not run.
    pub(crate) fn split(self) -> Result<E, BulkheadError> {
        Err(match self {
            Self::Failed(error) => return Ok(error),
            Self::QueueFull { waiting } => BulkheadError::QueueFull { waiting },
            Self::TimedOut { after } => BulkheadError::TimedOut { after },
            Self::Busy => BulkheadError::Busy,
            Self::NoPlaces => BulkheadError::NoPlaces,
            Self::Closed => BulkheadError::Closed,
            Self::Config(error) => BulkheadError::Config(error),
        })
    }
}

impl BulkheadError {
    /// The same, of an operation that has not even started: for code that acquires places by hand and fails as [`run`](crate::Bulkhead::run) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn query(database: &Bulkhead) -> Result<u32, BulkheadError<std::io::Error>> {
    ///     let _place = database.acquire().await.map_err(BulkheadError::of_operation)?;
    ///     Ok(7)
    /// }
    ///
    /// assert_eq!(aplomb_sim::block_on(query(&Bulkhead::new(1))).unwrap(), 7);
    /// ```
    #[must_use]
    pub fn of_operation<E>(self) -> BulkheadError<E> {
        match self {
            Self::QueueFull { waiting } => BulkheadError::QueueFull { waiting },
            Self::TimedOut { after } => BulkheadError::TimedOut { after },
            Self::Busy => BulkheadError::Busy,
            Self::NoPlaces => BulkheadError::NoPlaces,
            Self::Closed => BulkheadError::Closed,
            Self::Config(error) => BulkheadError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for BulkheadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::TimedOut { after } => write!(f, "no place became free within {after:?}"),
            Self::Busy => f.write_str("no place is free"),
            Self::NoPlaces => f.write_str("no places are left"),
            Self::Closed => f.write_str("closed"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for BulkheadError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
