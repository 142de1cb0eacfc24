use crate::judge::Judge;
use crate::pipeline::PipelineError;
use crate::timeout::TimeoutError;

/// What the end of a call counts as, for an adaptive limit. [`IgnoreErrors`] is the default [`Judge`]; [`overload_if`](super::AdaptiveLimit::overload_if) takes a closure over errors, [`judged_by`](super::AdaptiveLimit::judged_by) whatever judges.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::{Gradient, Verdict};
/// use aplomb_sim::prelude::*;
///
/// struct Response { status: u16 }
///
/// type Late = TimeoutError<std::io::Error>;
///
/// fn by_status(outcome: Result<&Response, &Late>) -> Verdict {
///     match outcome {
///         Ok(Response { status: 429 | 503 }) | Err(TimeoutError::TimedOut { .. }) => Verdict::Overload,
///         Ok(Response { status: 500.. }) | Err(_) => Verdict::Ignored, // it broke off, at whatever point
///         Ok(_) => Verdict::Success,
///     }
/// }
///
/// type ByStatus = fn(Result<&Response, &Late>) -> Verdict;
/// static API: AdaptiveLimit<Gradient, ByStatus> = checked!(AdaptiveLimit::new().judged_by(by_status as ByStatus));
/// ```
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

impl<T, E> Judge<T, E, Verdict> for IgnoreErrors {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_ok() { Verdict::Success } else { Verdict::Ignored }
    }
}

/// A timeout is a sign of overload, a value is measured, and any other error is none of the limit's business. For a timeout around the operation, and for calls through a pipeline that may run out of time.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::{Gradient, OnTimeout};
/// use aplomb_sim::prelude::*;
///
/// static API: AdaptiveLimit<Gradient, OnTimeout> = checked!(AdaptiveLimit::new().initial_limit(10).judged_by(OnTimeout));
///
/// aplomb_sim::block_on(async {
///     let call = || API.run(|| timeout(secs(1), std::future::pending::<Result<(), std::io::Error>>()));
///     let late = futures_lite::future::zip(call(), call()).await;
///     assert!(late.0.is_err() && late.1.is_err() && API.limit() < 10, "one could be chance");
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OnTimeout;

impl<T, E> Judge<T, TimeoutError<E>, Verdict> for OnTimeout {
    #[inline]
    fn judge(&self, outcome: Result<&T, &TimeoutError<E>>) -> Verdict {
        outcome.map_or_else(|error| of_error(error.is_timeout()), |_| Verdict::Success)
    }
}

impl<T, E> Judge<T, PipelineError<E>, Verdict> for OnTimeout {
    #[inline]
    fn judge(&self, outcome: Result<&T, &PipelineError<E>>) -> Verdict {
        outcome.map_or_else(|error| of_error(error.is_timeout()), |_| Verdict::Success)
    }
}

const fn of_error(is_timeout: bool) -> Verdict {
    if is_timeout { Verdict::Overload } else { Verdict::Ignored }
}

/// Made by [`AdaptiveLimit::overload_if`](super::AdaptiveLimit::overload_if).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OverloadIf<F> {
    pub(super) predicate: F,
}

impl<T, E, F: Fn(&E) -> bool> Judge<T, E, Verdict> for OverloadIf<F> {
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(error) if (self.predicate)(error) => Verdict::Overload,
            Err(_) => Verdict::Ignored,
        }
    }
}
