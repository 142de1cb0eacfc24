/// What counts as a failure.
///
/// It is asked when an operation has ended, outside the lock. [`AnyError`] is the default; [`failure_if`](super::CircuitBreaker::failure_if) takes a closure; a breaker that is a constant, whose closures have no name
/// to write down, takes a type of its own by [`judged_by`](super::CircuitBreaker::judged_by).
///
/// # Examples
///
/// ```
/// use aplomb::circuit_breaker::{Judge, Verdict};
/// use aplomb_sim::prelude::*;
///
/// enum HttpError { Status(u16), Reset }
/// struct Response { status: u16 }
///
/// struct ByStatus;
///
/// impl Judge<Response, HttpError> for ByStatus {
///     fn judge(&self, outcome: Result<&Response, &HttpError>) -> Verdict {
///         match outcome {
///             Ok(Response { status: 500.. }) | Err(HttpError::Status(500..) | HttpError::Reset) => Verdict::Failure,
///             Ok(Response { status: 429 }) => Verdict::Ignored, // says nothing about its health
///             _ => Verdict::Success, // a 404 too
///         }
///     }
/// }
///
/// static API: CircuitBreaker<Consecutive, Constant, ByStatus> = CircuitBreaker::consecutive(5).judged_by(ByStatus);
/// ```
pub trait Judge<T, E> {
    /// What an outcome counts as.
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict;
}

/// What the end of a call counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// The service did what it is for; perhaps with an error that is the caller's own.
    Success,
    /// It did not.
    Failure,
    /// Nothing, as if the call had not been made.
    Ignored,
}

/// Every error is a failure, and every value a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AnyError;

impl<T, E> Judge<T, E> for AnyError {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_err() { Verdict::Failure } else { Verdict::Success }
    }
}

/// Made by [`CircuitBreaker::failure_if`](super::CircuitBreaker::failure_if).
#[derive(Debug, Clone, Copy)]
pub struct FailureIf<F> {
    pub(super) predicate: F,
}

impl<T, E, F: Fn(&E) -> bool> Judge<T, E> for FailureIf<F> {
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if (self.predicate)(error) => Verdict::Failure,
            _ => Verdict::Success,
        }
    }
}
