/// What the end of a call says of the service.
///
/// It is asked when an operation has ended, outside the lock. [`IgnoreErrors`] is the default; [`overload_if`](super::AdaptiveLimit::overload_if) takes a closure; a limit that is a constant, whose closures have no name to write down, takes a type of
/// its own by [`judged_by`](super::AdaptiveLimit::judged_by).
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::{Gradient, Judge, Verdict};
/// use aplomb_sim::prelude::*;
///
/// struct Response { status: u16 }
///
/// #[derive(Clone, Copy)]
/// struct ByStatus;
///
/// impl<E> Judge<Response, TimeoutError<E>> for ByStatus {
///     fn judge(&self, outcome: Result<&Response, &TimeoutError<E>>) -> Verdict {
///         match outcome {
///             Ok(Response { status: 429 | 503 }) | Err(TimeoutError::TimedOut { .. }) => Verdict::Overload,
///             Ok(Response { status: 500.. }) | Err(_) => Verdict::Ignored, // it broke off, at whatever point
///             Ok(_) => Verdict::Success,
///         }
///     }
/// }
///
/// static API: AdaptiveLimit<Gradient, ByStatus> = checked!(AdaptiveLimit::new().judged_by(ByStatus));
/// ```
pub trait Judge<T, E> {
    /// What an outcome counts as.
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict;
}

/// What the end of a call counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// It took as long as the work takes, and is measured.
    Success,
    /// The service was asked too much of: it was too late, or refused. How long that took is not measured: a refusal is quick, and a timeout tells only how long somebody waited.
    Overload,
    /// Nothing, as if the call had not been made.
    Ignored,
}

/// A value is measured, and an error is none of the limit's business: nobody knows how far the work had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IgnoreErrors;

impl<T, E> Judge<T, E> for IgnoreErrors {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_ok() { Verdict::Success } else { Verdict::Ignored }
    }
}

/// Made by [`AdaptiveLimit::overload_if`](super::AdaptiveLimit::overload_if).
#[derive(Debug, Clone, Copy)]
pub struct OverloadIf<F> {
    pub(super) predicate: F,
}

impl<T, E, F: Fn(&E) -> bool> Judge<T, E> for OverloadIf<F> {
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(error) if (self.predicate)(error) => Verdict::Overload,
            Err(_) => Verdict::Ignored,
        }
    }
}
