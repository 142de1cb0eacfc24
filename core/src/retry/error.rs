use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::attempts::Stop;
use crate::config::ConfigError;
use crate::timeout::TimeoutError;

/// Why a retried call has no value. It carries the last error, as it was.
///
/// # Examples
///
/// ```
/// use aplomb::retry::{RetryError, StopReason};
/// use aplomb_sim::prelude::*;
///
/// let refused = aplomb_sim::block_on(async { retry(|| async { Err::<(), _>("refused") }).max_attempts(3).await }).unwrap_err();
/// assert_eq!(refused.to_string(), "gave up after 3 attempts: refused");
/// assert_eq!((refused.attempts(), refused.reason()), (3, StopReason::Exhausted));
/// assert_eq!(refused.into_inner(), Some("refused"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RetryError<E> {
    /// The operation's error is not one to be retried.
    Refused {
        /// How many attempts were made.
        attempts: u32,
        /// The error.
        error: E,
    },
    /// As many attempts were made as were allowed, and the last one failed too.
    Exhausted {
        /// How many attempts were made.
        attempts: u32,
        /// How the last one ended.
        last: TimeoutError<E>,
    },
    /// The retry budget is empty: too much fails already.
    Budget {
        /// How many attempts were made.
        attempts: u32,
        /// How the last one ended.
        last: TimeoutError<E>,
    },
    /// The deadline has passed, or would have before the next attempt.
    Deadline {
        /// How many attempts were made.
        attempts: u32,
        /// How the last one ended that did end; none if the deadline cut off the first.
        last: Option<TimeoutError<E>>,
    },
    /// The policy makes no sense. Nothing was started.
    Config(ConfigError),
}

/// Why there is no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StopReason {
    /// The outcome is not one to be retried.
    Refused,
    /// There were as many as are allowed.
    Exhausted,
    /// The retry budget is empty.
    Budget,
    /// The deadline comes first.
    Deadline,
    /// The policy makes no sense.
    Config,
}

impl From<Stop> for StopReason {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Exhausted => Self::Exhausted,
            Stop::Deadline => Self::Deadline,
            Stop::Budget => Self::Budget,
        }
    }
}

impl<E> RetryError<E> {
    pub(super) fn stopped(stop: Stop, attempts: u32, last: TimeoutError<E>) -> Self {
        match stop {
            Stop::Exhausted => Self::Exhausted { attempts, last },
            Stop::Deadline => Self::Deadline { attempts, last: Some(last) },
            Stop::Budget => Self::Budget { attempts, last },
        }
    }

    /// How many attempts were made.
    pub const fn attempts(&self) -> u32 {
        match self {
            Self::Refused { attempts, .. }
            | Self::Exhausted { attempts, .. }
            | Self::Budget { attempts, .. }
            | Self::Deadline { attempts, .. } => *attempts,
            Self::Config(_) => 0,
        }
    }

    /// Why there was no further attempt.
    pub const fn reason(&self) -> StopReason {
        match self {
            Self::Refused { .. } => StopReason::Refused,
            Self::Exhausted { .. } => StopReason::Exhausted,
            Self::Budget { .. } => StopReason::Budget,
            Self::Deadline { .. } => StopReason::Deadline,
            Self::Config(_) => StopReason::Config,
        }
    }

    /// Whether time ran out: the deadline's, or the last attempt's own.
    pub const fn is_timeout(&self) -> bool {
        match self {
            Self::Deadline { .. } => true,
            Self::Exhausted { last, .. } | Self::Budget { last, .. } => last.is_timeout(),
            Self::Refused { .. } | Self::Config(_) => false,
        }
    }

    /// Whether an attempt was not made that would have been allowed, for the sake of the service: the budget was empty.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Budget { .. })
    }

    /// How long to wait before it is worth another try, where that is known: the operation's own [error](RetryError::inner) may know.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's last error; none if the last attempt timed out.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::Exhausted { last, .. } | Self::Budget { last, .. } | Self::Deadline { last: Some(last), .. } => last.inner(),
            Self::Deadline { last: None, .. } | Self::Config(_) => None,
        }
    }

    /// The operation's last error; none if the last attempt timed out.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::Exhausted { last, .. } | Self::Budget { last, .. } | Self::Deadline { last: Some(last), .. } => {
                last.into_inner()
            }
            Self::Deadline { last: None, .. } | Self::Config(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, .. } => error.fmt(f),
            Self::Exhausted { attempts, last } => write!(f, "gave up after {attempts} attempts: {last}"),
            Self::Budget { attempts, last } => write!(f, "retry budget empty after {attempts} attempts: {last}"),
            Self::Deadline { attempts, last: Some(last) } => write!(f, "deadline after {attempts} attempts: {last}"),
            Self::Deadline { last: None, .. } => f.write_str("deadline passed during the first attempt"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    /// That of the last error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
