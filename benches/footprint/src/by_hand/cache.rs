//! Eight values, each good for a minute, of which the oldest makes room. Whoever misses fetches, however many do at once.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_time::{Duration, Instant};
use heapless::LinearMap;

use crate::{Fault, operation};

static READINGS: Mutex<RefCell<LinearMap<u8, (u32, Instant), 8>>> = Mutex::new(RefCell::new(LinearMap::new()));

/// What is kept, or is fetched.
///
/// # Errors
///
/// The operation's own.
pub async fn cached(key: u8) -> Result<u32, Fault> {
    let found = critical_section::with(|cs| READINGS.borrow_ref(cs).get(&key).copied());
    if let Some((value, ends)) = found
        && Instant::now() < ends
    {
        return Ok(value);
    }
    let value = operation().await?;
    let ends = Instant::now() + Duration::from_secs(60);
    critical_section::with(|cs| {
        let mut readings = READINGS.borrow_ref_mut(cs);
        if readings.is_full()
            && !readings.contains_key(&key)
            && let Some(oldest) = readings.iter().min_by_key(|(_, (_, ends))| *ends).map(|(key, _)| *key)
        {
            readings.remove(&oldest);
        }
        let _ = readings.insert(key, (value, ends));
    });
    Ok(value)
}
