use core::fmt;
use core::ops::Deref;

use super::algorithm::Algorithm;
use super::error::RateLimitError;
use super::event::Event;
use super::limiter::RateLimiter;
use super::line::Crowd;
use super::lines::{Lines, SpotOf, wake};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::{Clock, Instant};

/// Permits that have been taken. They are spent, unless they are [given back](Permit::give_back) unused; where [`max_concurrent`](super::RateLimiter::max_concurrent) is set, this is also a place among the calls that run, which is free again when this is dropped.
///
/// `B` points to the limiter that they are of: it is a reference, or an `Arc`, `Rc` or the like, whose permits are *owned* and go wherever that goes.
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
pub struct Permit<B: Deref<Target: Lines>> {
    lines: B,
    spot: SpotOf<B>,
    permits: u32,
    /// When they were taken, by the line's own time.
    taken: Instant,
}

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> RateLimiter<P, A, S, O> {
    /// As [`try_acquire`](RateLimiter::try_acquire), of a limiter that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](RateLimiter::try_acquire).
    #[inline]
    pub fn try_acquire_owned<B: Deref<Target = Self>>(this: B, n: u32) -> Result<Permit<B>, RateLimitError> {
        Self::take(this, n)
    }
}

impl<B: Deref<Target: Lines>> Permit<B> {
    pub(super) const fn new(lines: B, spot: SpotOf<B>, permits: u32, taken: Instant) -> Self {
        Self { lines, spot, permits, taken }
    }

    /// The limiter that they are of.
    pub(super) const fn lines(&self) -> &B {
        &self.lines
    }

    /// How many they are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.permits
    }

    pub(super) const fn taken(&self) -> Instant {
        self.taken
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

impl<B: Deref<Target: Lines<Spot = ()>>> Permit<B> {
    /// Gives them back, for a call that is not made after all. Of a [`KeyedRateLimiter`](super::KeyedRateLimiter), see [there](super::KeyedRateLimiter::give_back).
    ///
    /// As much comes back as nobody can rest on by now: of a window, all of them while it lasts; of a bucket, less what has dripped in since they were taken, for which it might have been full. So permits are spent that were held until as many others came, or until [another rule](super::RateLimiter::set_rate) came, which does not know at what pace; those that were taken at the very instant of the change, before or after it, too. It takes constant time, but by a [`SlidingWindow`](super::SlidingWindow), which goes through what was taken later.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static MAILS: RateLimiter = checked!(RateLimiter::new(Rate::per_day(1)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let permit = MAILS.acquire(1).await.unwrap();
    ///     aplomb_sim::sleep(secs(5)).await; // nobody answers
    ///     permit.give_back();
    ///     assert!(MAILS.try_acquire(1).is_ok());
    /// });
    /// ```
    pub fn give_back(self) {
        let lines = &*self.lines;
        wake(lines.with((), lines.clock().now(), |desk| desk.take_back(self.permits, self.taken)).flatten());
    }
}

impl<B: Deref<Target: Lines>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if self.lines.counts_calls() {
            self.end_call();
        }
    }
}

impl<B: Deref<Target: Lines>> fmt::Debug for Permit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.permits).finish_non_exhaustive()
    }
}
