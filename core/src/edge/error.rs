use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a debounced or throttled call has no value.
///
/// # Examples
///
/// ```
/// use aplomb::edge::EdgeError;
///
/// let error: EdgeError<std::io::Error> = EdgeError::Superseded;
/// assert_eq!(error.to_string(), "superseded by a newer call");
/// assert!(error.is_rejected() && error.is_superseded());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EdgeError<E = Infallible> {
    /// A newer call has taken its place; or, where only leading edges start, an earlier one had.
    Superseded,
    /// It was cancelled before it started.
    Cancelled,
    /// All waiting places are taken.
    Full {
        /// How many wait; where it is the storage that is full, how many have a place in it, with those whose operation runs.
        waiting: u32,
    },
    /// It started, and failed.
    Failed(E),
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> EdgeError<E> {
    /// Whether a newer call took the place of this one.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, Self::Superseded)
    }

    /// Whether it never started, by the rules: it was superseded, cancelled, or one too many.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Superseded | Self::Cancelled | Self::Full { .. })
    }

    /// Whether time ran out, which is not what a debounce or a throttle does to a call.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where the next call may come at any time.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Superseded | Self::Cancelled | Self::Full { .. } | Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Superseded | Self::Cancelled | Self::Full { .. } | Self::Config(_) => None,
        }
    }
}

impl EdgeError {
    /// The same, of an operation that has not even started.
    pub(super) fn of_operation<E>(self) -> EdgeError<E> {
        match self {
            Self::Superseded => EdgeError::Superseded,
            Self::Cancelled => EdgeError::Cancelled,
            Self::Full { waiting } => EdgeError::Full { waiting },
            Self::Config(error) => EdgeError::Config(error),
            Self::Failed(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for EdgeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superseded => f.write_str("superseded by a newer call"),
            Self::Cancelled => f.write_str("cancelled before it started"),
            Self::Full { waiting } => write!(f, "queue full: {waiting} are waiting"),
            Self::Failed(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for EdgeError<E> {
    /// That of the operation's error, whose text is this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}

/// Why nothing can be driven here.
///
/// # Examples
///
/// ```
/// use aplomb::edge::DriveError;
/// use aplomb_sim::prelude::*;
/// use futures_lite::future::or;
///
/// aplomb_sim::block_on(async {
///     let knob: Debounce<Trigger<u32>> = Debounce::triggered(ms(20));
///     let refused = or(knob.next(), knob.next()).await.unwrap_err();
///     assert_eq!(refused, DriveError::Busy);
///     assert!(refused.is_rejected());
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DriveError {
    /// Another task waits for the values already: each value has one taker.
    Busy,
    /// The configuration makes no sense.
    Config(ConfigError),
}

impl DriveError {
    /// Whether another task was in the way.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Busy)
    }

    /// Whether time ran out, which it does not here.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: not here, where the other task drives as long as it likes.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl fmt::Display for DriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another task drives this already"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl Error for DriveError {}
