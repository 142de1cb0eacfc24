use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a job has no value.
///
/// # Examples
///
/// ```
/// use aplomb::PoolError;
///
/// let error: PoolError<std::io::Error> = PoolError::QueueFull { waiting: 100 };
/// assert_eq!(error.to_string(), "queue full: 100 are waiting");
/// assert!(error.is_rejected());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PoolError<E = Infallible> {
    /// The pool takes no more jobs. The job was not started.
    Closed,
    /// No place is free, and there is no room to wait for one. The job was not started.
    QueueFull {
        /// How many wait; where it is the storage that is full, how many have a place in it: one whose turn has come keeps its place until its task has its turn.
        waiting: u32,
    },
    /// It was not to wait, and no place is free, or nothing starts, or others wait. The job was not started.
    Busy,
    /// It waited, and was told to do so no longer; or the executor on which it was spawned has dropped it.
    Cancelled,
    /// It panicked, on the executor on which it was spawned.
    Panicked,
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> PoolError<E> {
    /// Whether the pool turned it away: it was closed, or full.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Closed | Self::QueueFull { .. } | Self::Busy)
    }

    /// Whether the pool takes no more jobs: trying again will not help.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether time ran out, which is not what a pool does to a job.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where a place is free as soon as a job has ended.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The job's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Closed | Self::QueueFull { .. } | Self::Busy | Self::Cancelled | Self::Panicked | Self::Config(_) => None,
        }
    }

    /// The job's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Closed | Self::QueueFull { .. } | Self::Busy | Self::Cancelled | Self::Panicked | Self::Config(_) => None,
        }
    }
}

impl PoolError {
    /// The same, of a job that has not even started.
    pub(super) fn of_job<E>(self) -> PoolError<E> {
        match self {
            Self::Closed => PoolError::Closed,
            Self::QueueFull { waiting } => PoolError::QueueFull { waiting },
            Self::Busy => PoolError::Busy,
            Self::Cancelled => PoolError::Cancelled,
            Self::Panicked => PoolError::Panicked,
            Self::Config(error) => PoolError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for PoolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("pool closed"),
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::Busy => f.write_str("no place is free"),
            Self::Cancelled => f.write_str("cancelled before its end"),
            Self::Panicked => f.write_str("panicked"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for PoolError<E> {
    /// That of the job's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}

/// A job that was not added, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rejected<J> {
    /// The job, for whoever wants to add it again.
    pub job: J,
    /// [`Closed`](PoolError::Closed), [`QueueFull`](PoolError::QueueFull) or [`Config`](PoolError::Config).
    pub reason: PoolError,
}

impl<J> Rejected<J> {
    /// Whether the set turned it away: it was closed, or full.
    pub const fn is_rejected(&self) -> bool {
        self.reason.is_rejected()
    }

    /// Whether time ran out, which is not what a set does to a job.
    pub const fn is_timeout(&self) -> bool {
        self.reason.is_timeout()
    }

    /// How long to wait before it is worth another try, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.reason.retry_after()
    }
}

impl<J> fmt::Debug for Rejected<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<J> fmt::Display for Rejected<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<J> Error for Rejected<J> {}

#[cfg(feature = "defmt")]
impl<J> defmt::Format for Rejected<J> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Rejected {{ reason: {} }}", self.reason);
    }
}
