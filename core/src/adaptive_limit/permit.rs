use core::fmt;
use core::ops::Deref;

use super::judge::Verdict;
use super::machine::End;
use crate::judge::Judge;
use crate::sync::semaphore::Lender;
use crate::time::Instant;

/// What a [`Permit`] answers to: an adaptive limit.
pub trait Settle: Lender {
    /// What says what a call counts as.
    type Judge;

    /// What says what a call counts as.
    fn judge(&self) -> &Self::Judge;

    /// The present instant.
    fn now(&self) -> Instant;

    /// A call that began then has ended so. Its place is free.
    fn settle(&self, began: Instant, end: End);
}

/// Leave to make one call, which is told how that ended. Made by [`AdaptiveLimit::acquire`](super::AdaptiveLimit::acquire) and its likes.
///
/// The call is measured from when there is a permit, or from when it [begins](Permit::begin), to when its end is told. One that is dropped without a word counts as nothing, and makes room all the same.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::Aimd;
/// use aplomb_sim::prelude::*;
///
/// static BUS: AdaptiveLimit<Aimd> =
///     checked!(AdaptiveLimit::new().algorithm(Aimd::new(ms(10))).initial_limit(2).window(ms(0)).min_calls(1).overload_tolerance(percent(0)));
///
/// fn read_register() -> Result<u8, &'static str> { Ok(7) }
///
/// let (first, second) = (BUS.try_acquire()?, BUS.try_acquire()?);
/// first.record(&read_register());
/// second.overload();
/// assert_eq!(BUS.limit(), 2, "one more, and a tenth less");
/// # Ok::<_, LimitError>(())
/// ```
#[must_use = "a permit that is dropped counts as nothing"]
pub struct Permit<B: Deref<Target: Settle>> {
    limit: B,
    began: Instant,
    end: End,
}

impl<B: Deref<Target: Settle>> Permit<B> {
    /// The call begins now.
    #[inline]
    pub(super) fn new(limit: B) -> Self {
        let began = limit.now();
        Self { limit, began, end: End::Ignored }
    }

    pub(super) const fn limit(&self) -> &B {
        &self.limit
    }

    /// The call begins now. For a permit that was there before its call: what it has been kept for counts as nobody's latency.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::Aimd;
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit<Aimd> =
    ///     checked!(AdaptiveLimit::new().algorithm(Aimd::new(ms(10))).initial_limit(2).window(ms(0)).min_calls(1));
    ///
    /// # aplomb_sim::block_on(async {
    /// let mut permit = API.acquire().await?;
    /// aplomb_sim::sleep(secs(1)).await; // nobody calls yet
    /// permit.begin();
    /// permit.success();
    /// assert_eq!(API.limit(), 3, "it was a quick one");
    /// # Ok::<_, LimitError>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn begin(&mut self) {
        self.began = self.limit.now();
    }

    /// The call has done its work, and is measured.
    #[inline]
    pub fn success(mut self) {
        self.end = End::Success(self.limit.now());
    }

    /// The call was too late, or refused: the service is asked too much of.
    #[inline]
    pub fn overload(mut self) {
        self.end = End::Overload(self.limit.now());
    }

    /// The call has ended so, which counts as the limit's [`Judge`] says.
    #[inline]
    pub fn record<T, E>(mut self, outcome: &Result<T, E>)
    where
        <B::Target as Settle>::Judge: Judge<T, E, Verdict>,
    {
        self.note(|judge| judge.judge(outcome.as_ref()));
    }

    /// As [`record`](Permit::record), but the place is kept for the time being.
    #[inline]
    pub(super) fn note(&mut self, verdict: impl FnOnce(&<B::Target as Settle>::Judge) -> Verdict) {
        let ended = self.limit.now();
        self.end = match verdict(self.limit.judge()) {
            Verdict::Success => End::Success(ended),
            Verdict::Overload => End::Overload(ended),
            Verdict::Ignored => End::Ignored,
        };
    }
}

impl<B: Deref<Target: Settle>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        self.limit.settle(self.began, self.end);
    }
}

impl<B: Deref<Target: Settle>> fmt::Debug for Permit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("began", &self.began).finish_non_exhaustive()
    }
}
