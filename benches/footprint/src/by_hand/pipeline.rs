//! A timeout around retries around a circuit breaker around a rate limit, each as it is by hand alone. The error tells nothing of which one it was.

use embassy_time::{Duration, with_timeout};

use super::circuit_breaker::broken;
use super::rate_limiter::acquire;
use super::retry::retried;
use crate::{Fault, operation};

/// Goes through all of them.
///
/// # Errors
///
/// The operation's own, or one of theirs.
pub async fn piped() -> Result<u32, Fault> {
    let attempt = async || {
        broken(async || {
            acquire().await;
            operation().await
        })
        .await
    };
    with_timeout(Duration::from_secs(10), retried(attempt)).await.unwrap_or(Err(Fault))
}
