use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a call through an adaptive limit has no value.
///
/// # Examples
///
/// ```
/// use aplomb::LimitError;
/// use core::time::Duration;
///
/// let full: LimitError<std::io::Error> = LimitError::QueueFull { waiting: 100 };
/// assert_eq!(full.to_string(), "queue full: 100 are waiting");
/// assert!(full.is_rejected() && !full.is_timeout());
///
/// let late: LimitError<std::io::Error> = LimitError::TimedOut { after: Duration::from_millis(500) };
/// assert_eq!(late.to_string(), "not within the limit for 500ms");
/// assert!(late.is_rejected() && late.is_timeout());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LimitError<E = Infallible> {
    /// The limit is reached, and all waiting places are taken too.
    QueueFull {
        /// How many wait; where it is the storage that is full, how many have a place in it: one whose turn has come keeps its place until its task has its turn.
        waiting: u32,
    },
    /// It has waited as long as it may. Nothing was started.
    TimedOut {
        /// How long.
        after: Duration,
    },
    /// The limit is reached, and it was not to wait.
    Busy,
    /// The limit is closed.
    Closed,
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> LimitError<E> {
    /// Whether it never started, for the sake of those who run: the limit was reached, or nobody is let in any more.
    pub const fn is_rejected(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Config(_))
    }

    /// Whether it has waited as long as it may.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// How long to wait before it is worth another try, where that is known: not here, where there is room as soon as an operation has ended.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::TimedOut { .. } | Self::Busy | Self::Closed | Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::QueueFull { .. } | Self::TimedOut { .. } | Self::Busy | Self::Closed | Self::Config(_) => None,
        }
    }

    /// The operation's own error, or why it has not run.
    pub(crate) fn split(self) -> Result<E, LimitError> {
        Err(match self {
            Self::Failed(error) => return Ok(error),
            Self::QueueFull { waiting } => LimitError::QueueFull { waiting },
            Self::TimedOut { after } => LimitError::TimedOut { after },
            Self::Busy => LimitError::Busy,
            Self::Closed => LimitError::Closed,
            Self::Config(error) => LimitError::Config(error),
        })
    }
}

impl LimitError {
    /// The same, of an operation that has not even started.
    #[must_use]
    pub fn of_operation<E>(self) -> LimitError<E> {
        match self {
            Self::QueueFull { waiting } => LimitError::QueueFull { waiting },
            Self::TimedOut { after } => LimitError::TimedOut { after },
            Self::Busy => LimitError::Busy,
            Self::Closed => LimitError::Closed,
            Self::Config(error) => LimitError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for LimitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::TimedOut { after } => write!(f, "not within the limit for {after:?}"),
            Self::Busy => f.write_str("the limit is reached"),
            Self::Closed => f.write_str("closed"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for LimitError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
