use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::machine::Rejected;
use crate::config::ConfigError;
use crate::time::duration;

/// Why a call through a breaker has no value.
///
/// # Examples
///
/// ```
/// use aplomb::BreakerError;
/// use core::time::Duration;
///
/// let open: BreakerError<std::io::Error> = BreakerError::Open { retry_after: Some(Duration::from_millis(12_500)) };
/// assert_eq!(open.to_string(), "rejected: circuit open, next probe in 12.5s");
/// assert!(open.is_rejected());
/// assert_eq!(open.retry_after(), Some(Duration::from_millis(12_500)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BreakerError<E = Infallible> {
    /// The breaker is open.
    Open {
        /// When it lets a probe through; `None` if somebody has to say so.
        retry_after: Option<Duration>,
    },
    /// The breaker is half-open, and as many probes run as may.
    HalfOpen {
        /// After how long it is worth another try at the latest: it closes or opens as soon as its probes have ended. Until their time is over, or for as long as it opens if they fail, whichever is less; `None` if [their time](super::CircuitBreaker::half_open_for) has no end.
        retry_after: Option<Duration>,
    },
    /// There is no room for another key: as many are there as may be, and each is in use. Of a table in shards, that is so in the key's shard; others may have room.
    TableFull {
        /// For how many keys there is room in all.
        capacity: usize,
        /// When the first of them may be tried again, and is forgotten for another; `None` if that depends on a call that runs, or somebody has to say so.
        retry_after: Option<Duration>,
    },
    /// As many wait for a [change](super::CircuitBreaker::changed) as there is room for.
    QueueFull {
        /// How many; one that has been woken keeps its place until its task has its turn.
        waiting: u32,
    },
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> BreakerError<E> {
    /// Whether it never started, by the rules.
    pub const fn is_rejected(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Config(_))
    }

    /// Whether time ran out; with a breaker, it never does.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Open { retry_after } | Self::HalfOpen { retry_after } | Self::TableFull { retry_after, .. } => *retry_after,
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
    pub(crate) fn split(self) -> Result<E, BreakerError> {
        Err(match self {
            Self::Failed(error) => return Ok(error),
            Self::Open { retry_after } => BreakerError::Open { retry_after },
            Self::HalfOpen { retry_after } => BreakerError::HalfOpen { retry_after },
            Self::TableFull { capacity, retry_after } => BreakerError::TableFull { capacity, retry_after },
            Self::QueueFull { waiting } => BreakerError::QueueFull { waiting },
            Self::Config(error) => BreakerError::Config(error),
        })
    }
}

impl BreakerError {
    /// The same, of an operation that has not even started: for code that takes permits by hand and fails as [`run`](super::CircuitBreaker::run) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// fn ping(breaker: &CircuitBreaker) -> Result<u32, BreakerError<std::io::Error>> {
    ///     let permit = breaker.permit().map_err(BreakerError::of_operation)?;
    ///     let outcome = Ok(7);
    ///     permit.record(&outcome);
    ///     outcome.map_err(BreakerError::Failed)
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     assert_eq!(ping(&CircuitBreaker::consecutive(3)).unwrap(), 7);
    /// });
    /// ```
    #[must_use]
    pub fn of_operation<E>(self) -> BreakerError<E> {
        match self {
            Self::Open { retry_after } => BreakerError::Open { retry_after },
            Self::HalfOpen { retry_after } => BreakerError::HalfOpen { retry_after },
            Self::TableFull { capacity, retry_after } => BreakerError::TableFull { capacity, retry_after },
            Self::QueueFull { waiting } => BreakerError::QueueFull { waiting },
            Self::Config(error) => BreakerError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl From<Rejected> for BreakerError {
    #[inline]
    fn from(rejected: Rejected) -> Self {
        let known = |left| (left != u64::MAX).then(|| duration(left));
        match rejected {
            Rejected::Open { left } => Self::Open { retry_after: known(left) },
            Rejected::HalfOpen { left } => Self::HalfOpen { retry_after: known(left) },
        }
    }
}

impl<E: fmt::Display> fmt::Display for BreakerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { retry_after: Some(after) } => write!(f, "rejected: circuit open, next probe in {after:?}"),
            Self::Open { retry_after: None } => f.write_str("rejected: circuit open"),
            Self::HalfOpen { retry_after: Some(after) } => {
                write!(f, "rejected: circuit half-open, as many probes run as may, try again in {after:?}")
            }
            Self::HalfOpen { retry_after: None } => f.write_str("rejected: circuit half-open, as many probes run as may"),
            Self::TableFull { capacity, .. } => write!(f, "table full: of {capacity} places for keys, none is free for this one"),
            Self::QueueFull { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for BreakerError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
