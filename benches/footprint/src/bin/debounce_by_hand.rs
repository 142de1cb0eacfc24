//! Calls of which only the newest starts; the others learn it when their time is over.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_time::Timer;
use footprint::{Fault, firmware, operation};

static NEWEST: AtomicU32 = AtomicU32::new(0);

async fn debounced() -> Result<u32, Fault> {
    let own = critical_section::with(|_| {
        let own = NEWEST.load(Ordering::Relaxed).wrapping_add(1);
        NEWEST.store(own, Ordering::Relaxed);
        own
    });
    Timer::after_millis(50).await;
    if NEWEST.load(Ordering::Relaxed) == own { operation().await } else { Err(Fault) }
}

firmware!(debounced().await.is_ok());
