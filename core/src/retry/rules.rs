use core::time::Duration;

use super::event::Event;
use crate::observe::Observer;

/// Which outcomes are retried, which of them say when, and who is told.
///
/// [`RetryAll`] is the default: every error, no value. The methods of [`Retry`](super::Retry) that take closures wrap it; a policy that is a constant, whose closures have no name
/// to write down, implements this for a type of its own and takes it by [`rules`](super::Retry::rules).
///
/// # Examples
///
/// ```
/// use aplomb::retry::Rules;
/// use aplomb_sim::prelude::*;
///
/// enum HttpError { Status(u16), Reset }
///
/// #[derive(Clone, Copy)]
/// struct Transient;
///
/// impl<T> Rules<T, HttpError> for Transient {
///     fn retries(&mut self, outcome: Result<&T, &HttpError>) -> bool {
///         matches!(outcome, Err(HttpError::Reset | HttpError::Status(500..)))
///     }
/// }
///
/// static RETRY: Retry<Exponential, Transient> = Retry::new().rules(Transient);
/// ```
pub trait Rules<T, E> {
    /// Whether there is to be another attempt. A value that isn't retried is the call's success.
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool;

    /// When the outcome itself asks to be retried, if it does. It wins over the backoff.
    fn retry_after(&mut self, outcome: Result<&T, &E>) -> Option<Duration> {
        let _ = outcome;
        None
    }

    /// Is told what was decided.
    fn observe(&mut self, event: &Event<'_, E>) {
        let _ = event;
    }
}

/// Every error is retried, and no value.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryAll;

impl<T, E> Rules<T, E> for RetryAll {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        outcome.is_err()
    }
}

/// Made by [`Retry::retry_if`](super::Retry::retry_if).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryIf<R, F> {
    pub(super) rules: R,
    pub(super) predicate: F,
}

impl<T, E, R: Rules<T, E>, F: FnMut(&E) -> bool> Rules<T, E> for RetryIf<R, F> {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        match outcome {
            Err(error) if !(self.predicate)(error) => false,
            _ => self.rules.retries(outcome),
        }
    }

    fn retry_after(&mut self, outcome: Result<&T, &E>) -> Option<Duration> {
        self.rules.retry_after(outcome)
    }

    fn observe(&mut self, event: &Event<'_, E>) {
        self.rules.observe(event);
    }
}

/// Made by [`Retry::retry_if_value`](super::Retry::retry_if_value).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryIfValue<R, F> {
    pub(super) rules: R,
    pub(super) predicate: F,
}

impl<T, E, R: Rules<T, E>, F: FnMut(&T) -> bool> Rules<T, E> for RetryIfValue<R, F> {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        match outcome {
            Ok(value) if (self.predicate)(value) => true,
            _ => self.rules.retries(outcome),
        }
    }

    fn retry_after(&mut self, outcome: Result<&T, &E>) -> Option<Duration> {
        self.rules.retry_after(outcome)
    }

    fn observe(&mut self, event: &Event<'_, E>) {
        self.rules.observe(event);
    }
}

/// Made by [`Retry::retry_after`](super::Retry::retry_after).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryAfter<R, F> {
    pub(super) rules: R,
    pub(super) delay: F,
}

impl<T, E, R: Rules<T, E>, F: FnMut(Result<&T, &E>) -> Option<Duration>> Rules<T, E> for RetryAfter<R, F> {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        self.rules.retries(outcome)
    }

    fn retry_after(&mut self, outcome: Result<&T, &E>) -> Option<Duration> {
        (self.delay)(outcome).or_else(|| self.rules.retry_after(outcome))
    }

    fn observe(&mut self, event: &Event<'_, E>) {
        self.rules.observe(event);
    }
}

/// Made by [`Retry::notify`](super::Retry::notify).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Notify<R, O> {
    pub(super) rules: R,
    pub(super) observer: O,
}

impl<T, E, R: Rules<T, E>, O: for<'e> Observer<Event<'e, E>>> Rules<T, E> for Notify<R, O> {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        self.rules.retries(outcome)
    }

    fn retry_after(&mut self, outcome: Result<&T, &E>) -> Option<Duration> {
        self.rules.retry_after(outcome)
    }

    fn observe(&mut self, event: &Event<'_, E>) {
        self.rules.observe(event);
        self.observer.observe(event);
    }
}
