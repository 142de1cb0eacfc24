use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why polling came to no value. It carries the last value or error, as it was.
///
/// # Examples
///
/// ```
/// use aplomb::polling::PollError;
/// use aplomb_sim::prelude::*;
///
/// let never = poll_until(|| async { Ok::<_, std::io::Error>("queued") }, |state| *state == "done").max_attempts(3);
/// let error = aplomb_sim::block_on(async { never.await }).unwrap_err();
/// assert_eq!(error.to_string(), "not there after 3 attempts");
/// assert_eq!(error.last_value(), Some(&"queued"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PollError<T, E> {
    /// An error that is not tolerated.
    Failed {
        /// How many attempts were made.
        attempts: u32,
        /// The error.
        error: E,
    },
    /// As many attempts were made as were allowed.
    Exhausted {
        /// How many attempts were made.
        attempts: u32,
        /// What the last one ended with.
        last: Result<T, E>,
    },
    /// The deadline has passed, or would have before the next attempt.
    Deadline {
        /// How many attempts were made.
        attempts: u32,
        /// What the last one ended with that did end; none if there is none.
        last: Option<Result<T, E>>,
    },
    /// The settings make no sense. Nothing was started.
    Config(ConfigError),
}

impl<T, E> PollError<T, E> {
    /// How many attempts were made.
    pub const fn attempts(&self) -> u32 {
        match self {
            Self::Failed { attempts, .. } | Self::Exhausted { attempts, .. } | Self::Deadline { attempts, .. } => *attempts,
            Self::Config(_) => 0,
        }
    }

    /// Whether time ran out.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// Whether an attempt was refused, which is not what polling does.
    pub const fn is_rejected(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where the next attempt would have been made.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The error of the last attempt, if it ended with one.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed { error, .. }
            | Self::Exhausted { last: Err(error), .. }
            | Self::Deadline { last: Some(Err(error)), .. } => Some(error),
            Self::Exhausted { .. } | Self::Deadline { .. } | Self::Config(_) => None,
        }
    }

    /// The value of the last attempt, if it ended with one.
    pub const fn last_value(&self) -> Option<&T> {
        match self {
            Self::Exhausted { last: Ok(value), .. } | Self::Deadline { last: Some(Ok(value)), .. } => Some(value),
            Self::Failed { .. } | Self::Exhausted { .. } | Self::Deadline { .. } | Self::Config(_) => None,
        }
    }

    /// What the last attempt ended with, if there was one.
    pub fn into_last(self) -> Option<Result<T, E>> {
        match self {
            Self::Failed { error, .. } => Some(Err(error)),
            Self::Exhausted { last, .. } => Some(last),
            Self::Deadline { last, .. } => last,
            Self::Config(_) => None,
        }
    }
}

impl<T, E: fmt::Display> fmt::Display for PollError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { error, .. } => return error.fmt(f),
            Self::Exhausted { attempts, .. } => write!(f, "not there after {attempts} attempts")?,
            Self::Deadline { attempts, .. } => write!(f, "deadline after {attempts} attempts")?,
            Self::Config(error) => return error.fmt(f),
        }
        match self.inner() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl<T: fmt::Debug, E: Error + 'static> Error for PollError<T, E> {
    /// That of the last error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
