//! Retries with exponential backoff and jitter, by backon, and embassy's timeout for each attempt.

#![no_std]
#![no_main]

use backon::{EmbassySleeper, ExponentialBuilder, Retryable};
use embassy_time::{Duration, with_timeout};
use footprint::{Fault, firmware, operation};

async fn limited() -> Result<u32, Fault> {
    with_timeout(Duration::from_millis(200), operation()).await.unwrap_or(Err(Fault))
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(core::time::Duration::from_millis(100))
        .with_max_delay(core::time::Duration::from_secs(20))
        .with_max_times(3)
        .with_jitter()
}

firmware!(limited.retry(backoff()).sleep(EmbassySleeper).await.is_ok());
