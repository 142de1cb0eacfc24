use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a limited call has no value, or got no permits.
///
/// # Examples
///
/// ```
/// use aplomb::rate_limiter::RateLimitError;
/// use aplomb::time::ms;
///
/// let error: RateLimitError<std::io::Error> = RateLimitError::Limited { retry_after: Some(ms(250)) };
/// assert_eq!(error.to_string(), "rate limited, permits in 250ms");
/// assert!(error.is_rejected());
/// assert_eq!(error.retry_after(), Some(ms(250)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RateLimitError<E = Infallible> {
    /// The permits are not there now, and this caller does not wait.
    Limited {
        /// When they will be, if nobody comes before; while others wait, at the earliest, since by a window it depends on how those fit in. `None` if the rule can't tell, or that depends on a call that runs.
        retry_after: Option<Duration>,
    },
    /// The permits are not there before the deadline.
    Deadline {
        /// When they will be at the earliest, if none of those who wait leaves; `None` if the rule can't tell, or that depends on a call that runs.
        retry_after: Option<Duration>,
    },
    /// More than there can ever be at once.
    TooManyPermits {
        /// Permits asked for.
        requested: u32,
        /// Permits that there can be.
        most: u32,
    },
    /// All permits are taken, and at this rate none ever comes back.
    Exhausted,
    /// All waiting places are taken.
    QueueFull {
        /// How many are taken. In place, whoever has reserved has one until it is used, and whoever waits until it is polled when its turn has come.
        waiting: u32,
        /// When the permits will be there at the earliest, if none of those who wait leaves; `None` if the rule can't tell, or that depends on a call that runs.
        retry_after: Option<Duration>,
    },
    /// There is no room for another key: as many are there as may be, and each is in use. Of a table in shards, that is so in the key's shard; others may have room.
    TableFull {
        /// For how many keys there is room in all.
        capacity: usize,
        /// When the first of them may be out of use, if none is used again; `None` if that depends on a call that runs.
        retry_after: Option<Duration>,
    },
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> RateLimitError<E> {
    /// Whether it never started, by the rules.
    pub const fn is_rejected(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Config(_))
    }

    /// Whether time ran out while it waited.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// How long to wait before it is worth another try, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after }
            | Self::Deadline { retry_after }
            | Self::QueueFull { retry_after, .. }
            | Self::TableFull { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The operation's own error, or why it has not run.
    pub(crate) fn split(self) -> Result<E, RateLimitError> {
        Err(match self {
            Self::Failed(error) => return Ok(error),
            Self::Limited { retry_after } => RateLimitError::Limited { retry_after },
            Self::Deadline { retry_after } => RateLimitError::Deadline { retry_after },
            Self::TooManyPermits { requested, most } => RateLimitError::TooManyPermits { requested, most },
            Self::Exhausted => RateLimitError::Exhausted,
            Self::QueueFull { waiting, retry_after } => RateLimitError::QueueFull { waiting, retry_after },
            Self::TableFull { capacity, retry_after } => RateLimitError::TableFull { capacity, retry_after },
            Self::Config(error) => RateLimitError::Config(error),
        })
    }
}

impl RateLimitError {
    /// The same, of an operation that has not even started: for code that acquires permits by hand and fails as [`run`](super::RateLimiter::run) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn fetch(limiter: &RateLimiter) -> Result<u32, RateLimitError<std::io::Error>> {
    ///     let _permit = limiter.acquire(1).await.map_err(RateLimitError::of_operation)?;
    ///     Ok(7)
    /// }
    ///
    /// let limiter = RateLimiter::new(Rate::per_second(1));
    /// assert_eq!(aplomb_sim::block_on(fetch(&limiter)).unwrap(), 7);
    /// ```
    #[must_use]
    pub fn of_operation<E>(self) -> RateLimitError<E> {
        match self {
            Self::Limited { retry_after } => RateLimitError::Limited { retry_after },
            Self::Deadline { retry_after } => RateLimitError::Deadline { retry_after },
            Self::TooManyPermits { requested, most } => RateLimitError::TooManyPermits { requested, most },
            Self::Exhausted => RateLimitError::Exhausted,
            Self::QueueFull { waiting, retry_after } => RateLimitError::QueueFull { waiting, retry_after },
            Self::TableFull { capacity, retry_after } => RateLimitError::TableFull { capacity, retry_after },
            Self::Config(error) => RateLimitError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for RateLimitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited { retry_after: Some(after) } => write!(f, "rate limited, permits in {after:?}"),
            Self::Limited { retry_after: None } => f.write_str("rate limited, nobody can tell for how long"),
            Self::Deadline { retry_after: Some(after) } => write!(f, "rate limited beyond the deadline, permits in {after:?}"),
            Self::Deadline { retry_after: None } => f.write_str("rate limited beyond the deadline"),
            Self::TooManyPermits { requested, most } => {
                write!(f, "too many permits: {requested} requested, there are at most {most}")
            }
            Self::Exhausted => f.write_str("no permits are left, and none come back"),
            Self::QueueFull { waiting, .. } => write!(f, "queue full: {waiting} are waiting"),
            Self::TableFull { capacity, .. } => write!(f, "table full: of {capacity} places for keys, none is free for this one"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for RateLimitError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
