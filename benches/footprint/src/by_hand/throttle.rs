//! Calls that start never closer than an interval, the first at once, and of those that wait the newest; the others learn it when their time is over.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::{Duration, Instant, Timer};

use crate::{Fault, operation};

#[derive(Clone, Copy)]
struct State {
    newest: u32,
    next: Instant,
}

static STATE: Mutex<Cell<State>> = Mutex::new(Cell::new(State { newest: 0, next: Instant::from_ticks(0) }));

/// Starts 50 ms after the last start.
///
/// # Errors
///
/// The operation's own, or that a newer call has taken its place.
pub async fn throttled() -> Result<u32, Fault> {
    let own = critical_section::with(|cs| {
        let state = STATE.borrow(cs);
        let State { newest, next } = state.get();
        let own = State { newest: newest.wrapping_add(1), next };
        state.set(own);
        own
    });
    Timer::at(own.next).await;
    let is_newest = critical_section::with(|cs| {
        let state = STATE.borrow(cs);
        let State { newest, .. } = state.get();
        let is_newest = newest == own.newest;
        if is_newest {
            state.set(State { newest, next: Instant::now() + Duration::from_millis(50) });
        }
        is_newest
    });
    if is_newest { operation().await } else { Err(Fault) }
}
