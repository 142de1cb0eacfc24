//! A rate limit, whose callers may overtake each other.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::{Duration, Instant, Timer};

const BURST: Duration = Duration::from_millis(900);
const INTERVAL: Duration = Duration::from_millis(100);

/// When the bucket is full again.
static FULL_AT: Mutex<Cell<Instant>> = Mutex::new(Cell::new(Instant::from_ticks(0)));

/// Waits until the bucket has one: ten a second, ten at once.
pub async fn acquire() {
    let start = critical_section::with(|cs| {
        let full_at = FULL_AT.borrow(cs);
        let now = Instant::now();
        let from = full_at.get().max(now);
        full_at.set(from + INTERVAL);
        from.checked_sub(BURST).map_or(now, |start| start.max(now))
    });
    Timer::at(start).await;
}
