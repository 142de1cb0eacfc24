//! An operation that is started once more when it is late. What ends first counts, with an error too; there is no budget.

use core::pin::pin;

use embassy_futures::select::{Either, select};
use embassy_time::Timer;

use crate::{Fault, operation};

/// Starts it once more after 50 ms.
///
/// # Errors
///
/// That of the one that ended first.
pub async fn hedged() -> Result<u32, Fault> {
    let mut first = pin!(operation());
    match select(first.as_mut(), Timer::after_millis(50)).await {
        Either::First(result) => result,
        Either::Second(()) => match select(first, operation()).await {
            Either::First(result) | Either::Second(result) => result,
        },
    }
}
