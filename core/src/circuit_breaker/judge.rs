use crate::judge::Judge;

/// What the end of a call counts as, for a breaker. [`AnyError`] is the default [`Judge`]; [`failure_if`](super::CircuitBreaker::failure_if) takes a closure over errors, [`judged_by`](super::CircuitBreaker::judged_by) whatever judges.
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

impl<T, E> Judge<T, E, Verdict> for AnyError {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_err() { Verdict::Failure } else { Verdict::Success }
    }
}

/// Made by [`CircuitBreaker::failure_if`](super::CircuitBreaker::failure_if).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FailureIf<F> {
    pub(super) predicate: F,
}

impl<T, E, F: Fn(&E) -> bool> Judge<T, E, Verdict> for FailureIf<F> {
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if (self.predicate)(error) => Verdict::Failure,
            _ => Verdict::Success,
        }
    }
}
