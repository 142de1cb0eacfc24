//! Retries with a timeout for each attempt, exponential backoff and jitter, in 32 bits of milliseconds.

use embassy_time::{Duration, Instant, Timer, with_timeout};
use fastrand::Rng;

use crate::Fault;

/// Four attempts.
///
/// # Errors
///
/// That of the last one.
pub async fn retried(mut operation: impl AsyncFnMut() -> Result<u32, Fault>) -> Result<u32, Fault> {
    let mut rng = Rng::with_seed(Instant::now().as_ticks());
    let mut delay = 100_u32;
    for _ in 1..4 {
        if let Ok(Ok(value)) = with_timeout(Duration::from_millis(200), operation()).await {
            return Ok(value);
        }
        Timer::after_millis(u64::from(rng.u32(0..=delay))).await;
        delay = (2 * delay).min(20_000);
    }
    with_timeout(Duration::from_millis(200), operation()).await.unwrap_or(Err(Fault))
}
