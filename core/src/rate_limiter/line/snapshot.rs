use super::Desk;
use crate::rate_limiter::algorithm::Algorithm;
use crate::storage::Storage;

/// How a limiter stands.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(10)).max_concurrent(1);
/// let call = limiter.try_acquire(3).unwrap();
/// let now = limiter.snapshot();
/// assert_eq!((now.available, now.waiting, now.running), (7, 0, Some(1)));
/// # drop(call);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// Permits that there are for a newcomer by the rule: none, while others wait. Whether another call may run beside those that do, it does not say.
    pub available: u32,
    /// Callers that wait; reservations do not count.
    pub waiting: u32,
    /// Calls that run, where [`max_concurrent`](crate::RateLimiter::max_concurrent) is set.
    pub running: Option<u32>,
}

impl<A: Algorithm, S: Storage> Desk<'_, A, S> {
    /// Permits that are left to a newcomer by those in the queue: none, unless they are reservations.
    fn left(&self) -> u32 {
        if self.crowd.callers > 0 {
            return 0;
        }
        let mut taken = self.taken.clone();
        for ask in self.waiters.slab.iter(&self.crowd.queue) {
            let _at = self.reserved(&mut taken, ask);
        }
        self.algorithm.available(&taken, self.now)
    }

    pub(in crate::rate_limiter) fn snapshot(&self) -> Snapshot {
        let available = if self.crowd.queue.is_empty() { self.algorithm.available(self.taken, self.now) } else { self.left() };
        Snapshot { available, waiting: self.crowd.callers, running: self.limits.counts_calls().then_some(self.crowd.running) }
    }
}
