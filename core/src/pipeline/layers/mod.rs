//! The patterns, each as a layer.

mod adaptive_limit;
mod bulkhead;
mod circuit_breaker;
mod fallback;
mod hedge;
mod rate_limiter;
mod retry;
mod timeout;
mod watched;

pub use circuit_breaker::CircuitOf;
pub use fallback::FallbackLayer;
pub use rate_limiter::LineOf;
pub use retry::{RetryRejected, Within};
pub use timeout::TimeoutLayer;

use super::error::{Cause, PipelineError};
use crate::judge::Judge;

/// What a judge, who has what the operation itself ended with, says of an outcome within a pipeline: of a call that took too long `late`, and of what a layer within has not let through `rejected`. Where that one has not said so before the time was over, it comes to the same.
#[inline]
fn verdict<T, E, V, J: Judge<T, E, V>>(
    judge: &J,
    outcome: Result<&T, &PipelineError<E>>,
    has_begun: bool,
    late: V,
    rejected: V,
) -> V {
    match outcome {
        Ok(value) => judge.judge(Ok(value)),
        Err(error) => match error.cause() {
            Cause::Failed(error) => judge.judge(Err(error)),
            Cause::TimedOut { .. } if has_begun => late,
            _ => rejected,
        },
    }
}
