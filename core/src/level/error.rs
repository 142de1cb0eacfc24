use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;

/// Why a [`Button`](super::Button) tells no gesture.
///
/// # Examples
///
/// ```
/// use aplomb::level::GestureError;
///
/// let error = GestureError::Pin("expander does not answer");
/// assert_eq!(error.to_string(), "pin: \"expander does not answer\"");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GestureError<E> {
    /// The pin's own error.
    Pin(E),
    /// The settings of the gestures make no sense. The pin was not read.
    Config(ConfigError),
}

impl<E> GestureError<E> {
    /// Whether it was refused, which is not what a button does.
    pub const fn is_rejected(&self) -> bool {
        false
    }

    /// Whether time ran out, which is how gestures end, and no error.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: the pin's own [error](GestureError::inner) may know.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The pin's own error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Pin(error) => Some(error),
            Self::Config(_) => None,
        }
    }

    /// The pin's own error.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Pin(error) => Some(error),
            Self::Config(_) => None,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for GestureError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // All that the errors of `embedded-hal` promise is to be `Debug`.
            Self::Pin(error) => write!(f, "pin: {error:?}"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> Error for GestureError<E> {}
