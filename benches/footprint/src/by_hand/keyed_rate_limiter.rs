//! A rate limit for each of eight keys. When there are as many, the one makes room that is full again soonest.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_time::{Duration, Instant};
use heapless::LinearMap;

const BURST: Duration = Duration::from_millis(900);
const INTERVAL: Duration = Duration::from_millis(100);

/// When each bucket is full again.
static FULL_AT: Mutex<RefCell<LinearMap<u8, Instant, 8>>> = Mutex::new(RefCell::new(LinearMap::new()));

/// Whether the key has one left.
#[must_use]
pub fn has_one(key: u8) -> bool {
    let now = Instant::now();
    critical_section::with(|cs| {
        let mut full_at = FULL_AT.borrow_ref_mut(cs);
        let from = full_at.get(&key).map_or(now, |at| now.max(*at));
        if from > now + BURST {
            return false;
        }
        if full_at.is_full()
            && !full_at.contains_key(&key)
            && let Some(soonest) = full_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key)
        {
            full_at.remove(&soonest);
        }
        let _ = full_at.insert(key, from + INTERVAL);
        true
    })
}
