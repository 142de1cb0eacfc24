use core::fmt;
use core::time::Duration;

use super::error::StopReason;

/// What a retry decided; handed to [`notify`](super::Retry::notify) and to observers.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'e, E> {
    /// An attempt has failed, and there will be another.
    Retrying {
        /// The number of the attempt that failed; the first is 1.
        attempt: u32,
        /// How long the pause is.
        delay: Duration,
        /// What was wrong.
        cause: Cause<'e, E>,
    },
    /// The call has succeeded.
    Succeeded {
        /// How many attempts that took.
        attempts: u32,
    },
    /// There is no further attempt: the call has failed, or ends with a value that was to be retried.
    Stopped {
        /// How many attempts were made.
        attempts: u32,
        /// Why there is no further one.
        reason: StopReason,
    },
}

/// What was wrong with an attempt.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause<'e, E> {
    /// The operation's error.
    Error(&'e E),
    /// It took too long.
    TimedOut,
    /// A layer within has not let it through; only in a [pipeline](crate::pipeline).
    Rejected,
    /// It ended with a value that is to be retried.
    Value,
}

impl<E> Event<'_, E> {
    /// The same, with another cause in place of an error.
    pub(crate) fn map_cause<'c, C>(&'c self, map: impl FnOnce(&'c E) -> Cause<'c, C>) -> Event<'c, C> {
        match *self {
            Event::Retrying { attempt, delay, cause } => {
                let cause = match cause {
                    Cause::Error(error) => map(error),
                    Cause::TimedOut => Cause::TimedOut,
                    Cause::Rejected => Cause::Rejected,
                    Cause::Value => Cause::Value,
                };
                Event::Retrying { attempt, delay, cause }
            }
            Event::Succeeded { attempts } => Event::Succeeded { attempts },
            Event::Stopped { attempts, reason } => Event::Stopped { attempts, reason },
        }
    }
}

impl<E> Clone for Cause<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Cause<'_, E> {}

impl<E: fmt::Display> fmt::Display for Cause<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the attempt timed out"),
            Self::Rejected => f.write_str("the attempt was rejected"),
            Self::Value => f.write_str("the value is to be retried"),
        }
    }
}

/// An attempt, for an operation that wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Attempt {
    /// Its number; the first is 1.
    pub number: u32,
    /// How long the call has lasted.
    pub elapsed: Duration,
}

impl Attempt {
    /// The one of that number, so long after the call began. For tests of an operation that wants to know: a retry makes its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::retry::Attempt;
    /// use core::time::Duration;
    ///
    /// fn path(attempt: Attempt) -> String { format!("/users?attempt={}", attempt.number) }
    ///
    /// assert_eq!(path(Attempt::new(2, Duration::from_millis(120))), "/users?attempt=2");
    /// ```
    #[must_use]
    pub const fn new(number: u32, elapsed: Duration) -> Self {
        Self { number, elapsed }
    }
}
