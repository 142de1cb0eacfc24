//! A bulkhead of two places, and four for those who wait: embassy's semaphore. Nobody is told how it stands.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore};

use crate::{Fault, operation};

static BUS: FairSemaphore<CriticalSectionRawMutex, 4> = FairSemaphore::new(2);

/// Runs it in its turn.
///
/// # Errors
///
/// The operation's own, or that too many wait already.
pub async fn held() -> Result<u32, Fault> {
    let _permit = BUS.acquire(1).await.map_err(|_| Fault)?;
    operation().await
}
