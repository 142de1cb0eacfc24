//! Calls with one key that share an operation, four at most, one key at a time. If the caller that runs it is dropped, the others wait for ever.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::watch::Watch;

use crate::{Fault, operation};

static KEY: Mutex<Cell<Option<u8>>> = Mutex::new(Cell::new(None));
static RESULT: Watch<CriticalSectionRawMutex, Result<u32, Fault>, 3> = Watch::new();

/// Runs it, or waits for who does.
///
/// # Errors
///
/// The operation's own, or that too many wait already.
pub async fn shared(key: u8) -> Result<u32, Fault> {
    let other = critical_section::with(|cs| {
        let running = KEY.borrow(cs);
        let other = running.get();
        running.set(other.or(Some(key)));
        other
    });
    if other == Some(key) {
        return RESULT.receiver().ok_or(Fault)?.changed().await;
    }
    let result = operation().await;
    if other.is_none() {
        critical_section::with(|cs| KEY.borrow(cs).set(None));
        RESULT.sender().send(result);
    }
    result
}
