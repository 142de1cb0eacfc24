use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a call that shares its run with others has no value: of a [`SingleFlight`](crate::SingleFlight), a cache, a memoized function.
///
/// # Examples
///
/// ```
/// use aplomb::FlightError;
///
/// let full: FlightError<std::io::Error> = FlightError::Full { capacity: 64 };
/// assert_eq!(full.to_string(), "full: of 64 places for keys, none is free for this one");
/// assert!(full.is_rejected());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlightError<E = Infallible> {
    /// Operations for as many keys as may be are under way; of several shards, as many as may be in the one that has this key.
    Full {
        /// How many keys there is room for in all.
        capacity: usize,
    },
    /// Another caller's operation is under way, and as many wait for others' as may.
    QueueFull {
        /// How many wait; where it is the storage that is full, how many have a place in it: one whose turn has come keeps its place until its task has its turn.
        waiting: u32,
    },
    /// The deadline has passed. An operation of this caller's that was under way is dropped.
    Deadline,
    /// The operation failed, this caller's or the one that it shared.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> FlightError<E> {
    /// Whether it was refused, since it was one too many.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::QueueFull { .. })
    }

    /// Whether its deadline has passed. An operation that has a timeout of its own says so within.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Deadline)
    }

    /// How long to wait before it is worth another try, where that is known: not here, where room comes with the end of any operation.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Full { .. } | Self::QueueFull { .. } | Self::Deadline | Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Full { .. } | Self::QueueFull { .. } | Self::Deadline | Self::Config(_) => None,
        }
    }
}

impl FlightError {
    /// The same, of an operation that has not even started.
    pub(crate) fn of_operation<E>(self) -> FlightError<E> {
        match self {
            Self::Full { capacity } => FlightError::Full { capacity },
            Self::QueueFull { waiting } => FlightError::QueueFull { waiting },
            Self::Deadline => FlightError::Deadline,
            Self::Config(error) => FlightError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for FlightError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => write!(f, "full: of {capacity} places for keys, none is free for this one"),
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::Deadline => f.write_str("the deadline has passed"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for FlightError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
