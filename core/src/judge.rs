/// Says what the outcome of an operation counts as, in the terms of the pattern that asks: `V` is the `Verdict` of [`circuit_breaker`](crate::circuit_breaker::Verdict), [`adaptive_limit`](crate::adaptive_limit::Verdict) or [`hedge`](crate::hedge::Verdict).
///
/// It is asked when an operation has ended, outside every lock. Every `Fn(Result<&T, &E>) -> V` is a judge. A pattern that is a constant, whose closures have no name to write down, takes a function, or a type of its own, which may judge for several patterns.
///
/// # Examples
///
/// ```
/// use aplomb::{Judge, circuit_breaker, hedge};
/// use aplomb_sim::prelude::*;
///
/// enum HttpError { Status(u16), Reset }
/// struct Response { status: u16 }
///
/// #[derive(Clone, Copy)]
/// struct ByStatus;
///
/// impl Judge<Response, HttpError, circuit_breaker::Verdict> for ByStatus {
///     fn judge(&self, outcome: Result<&Response, &HttpError>) -> circuit_breaker::Verdict {
///         use circuit_breaker::Verdict;
///         match outcome {
///             Ok(Response { status: 500.. }) | Err(HttpError::Status(500..) | HttpError::Reset) => Verdict::Failure,
///             Ok(Response { status: 429 }) => Verdict::Ignored, // says nothing about its health
///             _ => Verdict::Success, // a 404 too
///         }
///     }
/// }
///
/// impl Judge<Response, HttpError, hedge::Verdict> for ByStatus {
///     fn judge(&self, outcome: Result<&Response, &HttpError>) -> hedge::Verdict {
///         use hedge::Verdict;
///         match outcome {
///             Ok(Response { status: 500.. }) | Err(HttpError::Reset) => Verdict::Failure, // another start may do better
///             Ok(_) => Verdict::Success,
///             Err(HttpError::Status(_)) => Verdict::Fatal, // any other replica would say the same
///         }
///     }
/// }
///
/// static API: CircuitBreaker<Consecutive, Constant, ByStatus> = CircuitBreaker::consecutive(5).judged_by(ByStatus);
/// static HEDGE: Hedge<After, Inline<1>, ByStatus> = checked!(Hedge::after(ms(50)).judged_by(ByStatus));
/// ```
pub trait Judge<T, E, V> {
    /// What an outcome counts as.
    fn judge(&self, outcome: Result<&T, &E>) -> V;
}

impl<T, E, V, F: Fn(Result<&T, &E>) -> V> Judge<T, E, V> for F {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> V {
        self(outcome)
    }
}
