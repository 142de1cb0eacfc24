use core::fmt;

use crate::budget::Spent;
use crate::platform::Platform;
use crate::sync::Shared;

/// What all callers of a service may spend on retries, together.
///
/// Each retry takes `retry_cost` tokens out of the bucket, each call that succeeds puts `success_refund` back. While most calls succeed, there is plenty for those that don't; when
/// the service is down, the bucket is soon empty, and what failed once is reported instead of multiplied. Without it, three retries keep a service down for ever that was out for five
/// seconds, backoff and jitter or not.
///
/// 500 tokens, 5 a retry and 1 a success (the defaults of the two), are those of the standard mode of the AWS SDKs; in the long run a retry is granted for every fifth success. With [`reserve`](RetryBudget::reserve) at half of the capacity it stops retrying there,
/// as gRPC's retry throttling does (gRFC A6).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// // At most a hundred retries at once, and one for every ten successes.
/// static BUDGET: RetryBudget = RetryBudget::new(1_000).retry_cost(10).success_refund(1);
/// static RETRY: Retry = Retry::standard(&BUDGET);
///
/// let answer = aplomb_sim::block_on(RETRY.run(|| async { Ok::<_, &str>(42) }));
/// assert_eq!(answer, Ok(42));
/// assert_eq!(BUDGET.available(), 1_000);
/// ```
pub struct RetryBudget<P: Platform> {
    spent: Shared<P::RawMutex, Spent>,
    capacity: u32,
    retry_cost: u32,
    success_refund: u32,
    reserve: u32,
}

impl<P: Platform> RetryBudget<P> {
    /// A full budget of so many tokens. With none, or with fewer than a retry costs, nothing is ever retried.
    #[must_use]
    pub const fn new(capacity: u32) -> Self {
        Self { spent: Shared::new(Spent::NOTHING), capacity, retry_cost: 5, success_refund: 1, reserve: 0 }
    }

    /// What a retry costs. Default: 5.
    #[must_use]
    pub const fn retry_cost(mut self, tokens: u32) -> Self {
        self.retry_cost = tokens;
        self
    }

    /// What a call that succeeds puts back, at its first attempt or a later one. Default: 1.
    #[must_use]
    pub const fn success_refund(mut self, tokens: u32) -> Self {
        self.success_refund = tokens;
        self
    }

    /// What no retry may touch: one is made only while its cost is there above this. Default: 0.
    #[must_use]
    pub const fn reserve(mut self, tokens: u32) -> Self {
        self.reserve = tokens;
        self
    }

    /// How many tokens there are.
    pub fn available(&self) -> u32 {
        self.spent.with(|spent| spent.left(self.capacity))
    }

    /// Takes what a retry costs, if it is there. For code that retries by other means than [`Retry`](super::Retry).
    #[must_use]
    pub fn withdraw(&self) -> Option<Charge<'_, P>> {
        // What is reserved is no part of the bucket that is taken from.
        let capacity = self.capacity.saturating_sub(self.reserve);
        self.spent.with(|spent| spent.withdraw(self.retry_cost, capacity)).then(|| Charge { budget: self })
    }

    /// Puts back what a success is worth.
    pub fn deposit(&self) {
        self.put_back(self.success_refund);
    }

    /// Puts back what a retry costs.
    pub(super) fn give_back(&self) {
        self.put_back(self.retry_cost);
    }

    // Kept out of line: it would weigh on calls that have no budget.
    #[inline(never)]
    fn put_back(&self, refund: u32) {
        self.spent.with(|spent| spent.put_back(refund));
    }
}

impl<P: Platform> fmt::Debug for RetryBudget<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("available", &self.available())
            .field("capacity", &self.capacity)
            .field("retry_cost", &self.retry_cost)
            .field("success_refund", &self.success_refund)
            .field("reserve", &self.reserve)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform> defmt::Format for RetryBudget<P> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "RetryBudget {{ available: {}, capacity: {}, retry_cost: {}, success_refund: {}, reserve: {}, .. }}",
            self.available(),
            self.capacity,
            self.retry_cost,
            self.success_refund,
            self.reserve
        );
    }
}

/// What one retry costs, taken out of a [`RetryBudget`]. It goes back if this is dropped before the retry starts.
#[must_use = "the tokens go back as soon as this is dropped"]
pub struct Charge<'b, P: Platform> {
    budget: &'b RetryBudget<P>,
}

impl<P: Platform> Charge<'_, P> {
    /// The retry has started: the tokens are spent.
    pub fn spend(self) {
        core::mem::forget(self);
    }
}

impl<P: Platform> Drop for Charge<'_, P> {
    fn drop(&mut self) {
        self.budget.give_back();
    }
}

impl<P: Platform> fmt::Debug for Charge<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("tokens", &self.budget.retry_cost).finish()
    }
}
