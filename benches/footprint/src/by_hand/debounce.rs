//! Calls of which only the newest starts; the others learn it when their time is over.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_time::Timer;

use crate::{Fault, operation};

static NEWEST: AtomicU32 = AtomicU32::new(0);

/// Starts when 50 ms have passed without another call.
///
/// # Errors
///
/// The operation's own, or that a newer call has taken its place.
pub async fn debounced() -> Result<u32, Fault> {
    let own = critical_section::with(|_| {
        let own = NEWEST.load(Ordering::Relaxed).wrapping_add(1);
        NEWEST.store(own, Ordering::Relaxed);
        own
    });
    Timer::after_millis(50).await;
    if NEWEST.load(Ordering::Relaxed) == own { operation().await } else { Err(Fault) }
}
