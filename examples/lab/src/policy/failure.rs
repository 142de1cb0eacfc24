use aplomb::Judge;
use aplomb::adaptive_limit::LimitError;
use aplomb::bulkhead::BulkheadError;
use aplomb::circuit_breaker::{self, BreakerError};
use aplomb::hedge::HedgeError;
use aplomb::rate_limiter::RateLimitError;
use aplomb::retry::RetryError;
use aplomb::timeout::TimeoutError;

/// Why a call has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service has answered with an error.
    Unavailable,
    /// It has not answered in time.
    TimedOut,
    /// One of the caller's own patterns has not let it through.
    Rejected,
}

impl Failure {
    /// Whether it says anything about the service, and so is worth another try.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "predicates are lent errors")]
    pub(crate) fn is_of_service(&self) -> bool {
        !matches!(self, Self::Rejected)
    }
}

/// What breakers count: what the service does, and not what a pattern within has rejected. So it is in a pipeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfService;

impl Judge<(), Failure, circuit_breaker::Verdict> for OfService {
    fn judge(&self, outcome: Result<&(), &Failure>) -> circuit_breaker::Verdict {
        match outcome {
            Ok(()) => circuit_breaker::Verdict::Success,
            Err(Failure::Unavailable | Failure::TimedOut) => circuit_breaker::Verdict::Failure,
            Err(Failure::Rejected) => circuit_breaker::Verdict::Ignored,
        }
    }
}

impl From<TimeoutError<Self>> for Failure {
    fn from(error: TimeoutError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::TimedOut)
    }
}

impl From<RetryError<Self>> for Failure {
    fn from(error: RetryError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::TimedOut)
    }
}

impl From<HedgeError<Self>> for Failure {
    fn from(error: HedgeError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::Rejected)
    }
}

impl From<LimitError<Self>> for Failure {
    fn from(error: LimitError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::Rejected)
    }
}

impl From<BreakerError<Self>> for Failure {
    fn from(error: BreakerError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::Rejected)
    }
}

impl From<BulkheadError<Self>> for Failure {
    fn from(error: BulkheadError<Self>) -> Self {
        error.into_inner().unwrap_or(Self::Rejected)
    }
}

impl From<RateLimitError> for Failure {
    fn from(_: RateLimitError) -> Self {
        Self::Rejected
    }
}
