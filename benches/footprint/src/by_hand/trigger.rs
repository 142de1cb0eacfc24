//! Values of which only the newest is worked on, triggered from anywhere, for one task.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, with_timeout};

/// What has been triggered.
pub static SAVE: Signal<CriticalSectionRawMutex, u32> = Signal::new();

/// The newest value, when 50 ms have passed without another.
pub async fn next() -> u32 {
    let mut value = SAVE.wait().await;
    while let Ok(newer) = with_timeout(Duration::from_millis(50), SAVE.wait()).await {
        value = newer;
    }
    value
}
