use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a hedged call has no value. It carries the last error, as it was.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
///
/// let refused = aplomb_sim::block_on(async { HEDGE.run(|| async { Err::<(), _>("refused") }).await }).unwrap_err();
/// assert_eq!(refused.to_string(), "all of 2 starts failed: refused");
/// assert_eq!((refused.attempts(), refused.into_inner()), (2, Some("refused")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HedgeError<E> {
    /// All that were started have failed.
    Failed {
        /// How many that were.
        attempts: u32,
        /// The error of the one that failed last.
        error: E,
    },
    /// One has ended with an error that ends the call: it is [fatal](crate::Hedge::fatal_if), or its judge takes it for an answer. The others were dropped.
    Fatal {
        /// How many were started.
        attempts: u32,
        /// The error.
        error: E,
    },
    /// The configuration makes no sense. Nothing was started.
    Config(ConfigError),
}

impl<E> HedgeError<E> {
    /// How many were started.
    pub const fn attempts(&self) -> u32 {
        match self {
            Self::Failed { attempts, .. } | Self::Fatal { attempts, .. } => *attempts,
            Self::Config(_) => 0,
        }
    }

    /// Whether it was refused, which is not what a hedge does.
    pub const fn is_rejected(&self) -> bool {
        false
    }

    /// Whether time ran out, which ends no hedge.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: the operation's own [error](HedgeError::inner) may know.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The operation's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed { error, .. } | Self::Fatal { error, .. } => Some(error),
            Self::Config(_) => None,
        }
    }

    /// The operation's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed { error, .. } | Self::Fatal { error, .. } => Some(error),
            Self::Config(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for HedgeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { attempts: 1, error } | Self::Fatal { error, .. } => error.fmt(f),
            Self::Failed { attempts, error } => write!(f, "all of {attempts} starts failed: {error}"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for HedgeError<E> {
    /// That of the operation's error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
