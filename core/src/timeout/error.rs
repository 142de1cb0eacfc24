use core::error::Error;
use core::fmt;
use core::time::Duration;

/// Why a [`Timeout`](super::Timeout) has no value: the time was up, or the operation failed.
///
/// # Examples
///
/// ```
/// use aplomb::timeout::TimeoutError;
/// use core::time::Duration;
///
/// let error: TimeoutError<&str> = TimeoutError::TimedOut { after: Some(Duration::from_secs(5)) };
/// assert!(error.is_timeout());
/// assert_eq!(error.to_string(), "timed out after 5s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TimeoutError<E> {
    /// The time was up. The operation has been dropped.
    TimedOut {
        /// How long it was given; `None` if it was given a deadline.
        after: Option<Duration>,
    },
    /// The operation's own error.
    Failed(E),
}

impl<E> TimeoutError<E> {
    /// Whether the time was up.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// Whether it was refused, which is not what a timeout does.
    pub const fn is_rejected(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error, if it was that.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::TimedOut { .. } => None,
            Self::Failed(error) => Some(error),
        }
    }

    /// The operation's own error, if it was that.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::TimedOut { .. } => None,
            Self::Failed(error) => Some(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TimeoutError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { after: Some(after) } => write!(f, "timed out after {after:?}"),
            Self::TimedOut { after: None } => f.write_str("deadline passed"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TimeoutError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
