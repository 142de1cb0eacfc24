//! A circuit breaker, by consecutive failures: one probe at a time, and no epochs.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::{Duration, Instant};

use crate::Fault;

#[derive(Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

static STATE: Mutex<Cell<State>> = Mutex::new(Cell::new(State::Closed { failures: 0 }));

fn change(next: impl FnOnce(State) -> Option<State>) -> bool {
    critical_section::with(|cs| {
        let state = STATE.borrow(cs);
        next(state.get()).map(|next| state.set(next)).is_some()
    })
}

/// Five failures in a row open it for a minute.
///
/// # Errors
///
/// The operation's own, or that it is open.
pub async fn broken(operation: impl AsyncFnOnce() -> Result<u32, Fault>) -> Result<u32, Fault> {
    let admitted = change(|state| match state {
        State::Closed { .. } => Some(state),
        State::Open { until } => (Instant::now() >= until).then_some(State::HalfOpen),
        State::HalfOpen => None,
    });
    if !admitted {
        return Err(Fault);
    }
    let outcome = operation().await;
    change(|state| match (state, &outcome) {
        (State::Open { .. }, _) => None,
        (_, Ok(_)) => Some(State::Closed { failures: 0 }),
        (State::Closed { failures }, Err(_)) if failures < 4 => Some(State::Closed { failures: failures + 1 }),
        _ => Some(State::Open { until: Instant::now() + Duration::from_secs(60) }),
    });
    outcome
}
