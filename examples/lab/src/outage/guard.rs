use std::time::Duration;

use aplomb_tokio::prelude::{Exponential, Jitter, ms};
use aplomb_tokio::{RetryError, TimeoutError};
use hyper::body::Bytes;

use crate::http::HttpError;

/// How long an attempt may take.
pub(super) const ATTEMPT_TIMEOUT: Duration = ms(250);
/// The attempts of a call, the first included.
pub(super) const MAX_ATTEMPTS: u32 = 6;
/// The first pause, before jitter.
pub(super) const FIRST_PAUSE: Duration = ms(50);
/// The pauses between attempts.
pub(super) const BACKOFF: Exponential = Exponential::from(FIRST_PAUSE).max(ms(800)).jitter(Jitter::Full);
/// The retries that all callers of a round may make together, as long as nothing succeeds.
pub(super) const BUDGET: u32 = 200;
/// The successes that pay for one more retry.
pub(super) const RETRY_COST: u32 = 5;

/// What is worth another attempt: errors of the service and of the connection, and attempts that took too long.
pub(super) fn is_transient(error: &TimeoutError<HttpError>) -> bool {
    error.inner().is_none_or(HttpError::is_transient)
}

/// The pause that the service asks for.
pub(super) fn retry_after(outcome: &Result<Bytes, TimeoutError<HttpError>>) -> Option<Duration> {
    outcome.as_ref().err().and_then(|error| error.inner()).and_then(HttpError::retry_after)
}

/// Whether calls are guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One request, which waits for its answer however long it takes.
    Bare,
    /// Timeout and retry around it.
    Guarded,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Guarded => "guarded",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) succeeded: bool,
    pub(super) attempts: u32,
    /// There would have been a further attempt, but for the budget.
    pub(super) refused: bool,
}

impl Outcome {
    pub(super) fn bare<T, E>(result: &Result<T, E>) -> Self {
        Self { succeeded: result.is_ok(), attempts: 1, refused: false }
    }

    pub(super) fn guarded<T, E>(attempts: u32, result: &Result<T, RetryError<E>>) -> Self {
        Self { succeeded: result.is_ok(), attempts, refused: result.as_ref().is_err_and(RetryError::is_rejected) }
    }
}
