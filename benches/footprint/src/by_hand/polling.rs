//! Asking until the answer is there; not until when, and not by a backoff.

use embassy_time::Timer;

use crate::{Fault, operation};

/// Asks thirty times, 20 ms apart.
///
/// # Errors
///
/// The operation's own, or that it was never done.
pub async fn polled() -> Result<u32, Fault> {
    for _ in 1..30 {
        let value = operation().await?;
        if value != 0 {
            return Ok(value);
        }
        Timer::after_millis(20).await;
    }
    match operation().await {
        Ok(0) => Err(Fault),
        last => last,
    }
}
