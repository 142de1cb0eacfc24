use core::fmt;

use super::line::Crowd;
use super::lines::{Lines, wake};
use crate::time::Clock;

/// Permits that have been taken. They are spent; where [`max_concurrent`](super::RateLimiter::max_concurrent) is set, this is also a place among the calls that run, which is free again when this is dropped.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static API: RateLimiter = checked!(RateLimiter::new(Rate::per_second(100)).max_concurrent(1));
///
/// aplomb_sim::block_on(async {
///     let permit = API.acquire(1).await.unwrap();
///     assert!(API.try_acquire(1).is_err(), "one at once");
///     drop(permit);
///     assert!(API.try_acquire(1).is_ok());
/// });
/// ```
pub struct Permit<'l, L: Lines> {
    lines: &'l L,
    spot: L::Spot,
    permits: u32,
}

impl<'l, L: Lines> Permit<'l, L> {
    pub(super) const fn new(lines: &'l L, spot: L::Spot, permits: u32) -> Self {
        Self { lines, spot, permits }
    }

    /// How many they are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.permits
    }

    #[inline(never)]
    fn end_call(&self) {
        let waits = self.lines.with_crowd(self.spot, Crowd::end_call);
        if waits == Some(true) {
            #[allow(clippy::redundant_closure_for_method_calls, reason = "the method is not general enough in its lifetimes")]
            wake(self.lines.with(self.spot, self.lines.clock().now(), |desk| desk.reconsider()).flatten());
        }
    }
}

impl<L: Lines> Drop for Permit<'_, L> {
    #[inline]
    fn drop(&mut self) {
        if self.lines.counts_calls() {
            self.end_call();
        }
    }
}

impl<L: Lines> fmt::Debug for Permit<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.permits).finish()
    }
}
