//! A device that is reset between two attempts; not after a call that was dropped, or whose last attempt failed.

use embassy_time::{Duration, Instant, Timer, with_timeout};
use fastrand::Rng;

use crate::{Device, Fault};

/// Four attempts.
///
/// # Errors
///
/// That of the last one.
pub async fn guarded(device: &mut Device) -> Result<u32, Fault> {
    let mut rng = Rng::with_seed(Instant::now().as_ticks());
    let mut delay = 100_u32;
    for _ in 1..4 {
        if let Ok(Ok(value)) = with_timeout(Duration::from_millis(200), device.transfer()).await {
            return Ok(value);
        }
        Timer::after_millis(u64::from(rng.u32(0..=delay))).await;
        delay = (2 * delay).min(20_000);
        device.reset().await;
    }
    with_timeout(Duration::from_millis(200), device.transfer()).await.unwrap_or(Err(Fault))
}
