use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;
use core::time::Duration;

use super::delay::{After, Delay, Percentile};
use super::event::{Event, Snapshot};
use super::judge::{FatalIf, NoneFatal};
use crate::budget::Spent;
use crate::children::{PinnedStorage, Places};
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::ratio::{Ratio, percent};
use crate::storage::Inline;
use crate::sync::Shared;
use crate::time::duration;

/// Each has a bit in a call.
pub(super) const MOST_HEDGES: usize = u32::BITS as usize;

/// Starts an operation once more when it is late, and takes what succeeds first. The module [`hedge`](crate::hedge) tells what it promises.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_hedges`](Hedge::max_hedges) | 1 |
/// | [`budget`](Hedge::budget), [`burst`](Hedge::burst) | 10 % of the calls, and 10 before there were so many |
/// | [`fatal_if`](Hedge::fatal_if), [`judged_by`](Hedge::judged_by) | no error is fatal |
/// | [`observed_by`](Hedge::observed_by) | nobody is told |
/// | at a percentile: [`initial_delay`](Hedge::initial_delay) | none before there are samples enough |
/// | [`min_samples`](Hedge::min_samples) | 100 |
/// | [`min_delay`](Hedge::min_delay), [`max_delay`](Hedge::max_delay) | 1 ms, no ceiling |
///
/// `D` is when a start is late: [`After`] a fixed time, or at a [`Percentile`]. In `S` lie the hedges of a call, while the first start lies in its future: [`Inline<N>`](crate::storage::Inline) has room for `N` of them, `Heap` makes an allocation for each that starts.
/// `J` says what is a success and which errors are fatal, and `O` is told of its [events](Event).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
///
/// async fn fetch(replica: u32) -> Result<u32, std::io::Error> {
///     aplomb_sim::sleep(if replica == 1 { secs(2) } else { ms(20) }).await;
///     Ok(replica)
/// }
///
/// aplomb_sim::block_on(async {
///     let replica = HEDGE.run_numbered(|start| fetch(start)).await;
///     assert_eq!(replica.unwrap(), 2, "the first one was late");
///     assert_eq!(aplomb_sim::now().as_nanos(), 70_000_000);
/// });
/// ```
pub struct Hedge<P: Platform, D: Delay = After, S = Inline<1>, J = NoneFatal, O = Silent> {
    pub(super) terms: Terms<D>,
    shared: Shared<P::RawMutex, Inner<D::Seen>>,
    pub(super) clock: P::Clock,
    pub(super) judge: J,
    pub(super) observer: O,
    storage: PhantomData<fn() -> S>,
}

/// A hedge, whatever its delay, its judge and its observer are. It is implemented for [`Hedge`] only.
pub trait Hedging {
    /// Where it runs.
    type Platform: Platform;
    /// Where the hedges of a call lie.
    type Storage: PinnedStorage;

    /// So many hedges never came to what they were to ask: what they cost goes back.
    fn pay_back(&self, hedges: u32);
}

impl<P: Platform, D: Delay, S: PinnedStorage, J, O> Hedging for Hedge<P, D, S, J, O> {
    type Platform = P;
    type Storage = S;

    fn pay_back(&self, hedges: u32) {
        let cost = self.terms.cost().saturating_mul(hedges);
        self.shared.with(|inner| inner.spent.put_back(cost));
    }
}

/// What it was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<D> {
    delay: D,
    pub(super) max_hedges: u32,
    budget: Ratio,
    burst: u32,
}

impl<D> Terms<D> {
    /// The size of the bucket: what a hedge costs, as often as there may be a burst. What does not fit has been refused.
    const fn capacity(&self) -> u32 {
        self.burst.saturating_mul(self.cost())
    }

    /// A call puts in the share's numerator, a hedge takes out its denominator.
    const fn cost(&self) -> u32 {
        self.budget.parts().1
    }

    const fn refund(&self) -> u32 {
        self.budget.parts().0
    }
}

struct Inner<Seen> {
    spent: Spent,
    seen: Seen,
    calls: u64,
    hedges: u64,
    won: u64,
    denied: u64,
}

impl<P: Platform<Clock: Ambient>> Hedge<P> {
    /// Another start when one has taken so long. With zero, all start at once; with [`Duration::MAX`], none before another has failed.
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, After::new(delay))
    }
}

impl<P: Platform<Clock: Ambient>> Hedge<P, Percentile> {
    /// Another start when one takes longer than that share of the calls took that were seen last; of 95 hundredths, it is every twentieth at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::hedge::Percentile;
    /// use aplomb_sim::prelude::*;
    ///
    /// static SEARCH: Hedge<Percentile> = checked!(Hedge::percentile(percent(95)).initial_delay(ms(100)).max_delay(secs(1)));
    ///
    /// # async fn search(_: &str) -> Result<u32, std::io::Error> { aplomb_sim::sleep(ms(8)).await; Ok(7) }
    /// aplomb_sim::block_on(async {
    ///     for _ in 0..100 {
    ///         SEARCH.run(|| search("crates")).await?;
    ///     }
    ///     let delay = SEARCH.snapshot().delay;
    ///     assert!(ms(8) < delay && delay < ms(9), "{delay:?}");
    ///     Ok::<_, HedgeError<std::io::Error>>(())
    /// })?;
    /// # Ok::<_, HedgeError<std::io::Error>>(())
    /// ```
    #[must_use]
    pub const fn percentile(share: Ratio) -> Self {
        Self::with_clock(Ambient::CLOCK, Percentile::new(share))
    }
}

impl<P: Platform, D: Delay, S> Hedge<P, D, S> {
    /// As [`after`](Hedge::after) and [`percentile`](Hedge::percentile), on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, delay: D) -> Self {
        let terms = Terms { delay, max_hedges: 1, budget: percent(10), burst: 10 };
        Self::made(clock, terms, NoneFatal, Silent)
    }
}

impl<P: Platform, D: Delay, S, J, O> Hedge<P, D, S, J, O> {
    const fn made(clock: P::Clock, terms: Terms<D>, judge: J, observer: O) -> Self {
        let inner = Inner { spent: Spent::NOTHING, seen: D::NOTHING, calls: 0, hedges: 0, won: 0, denied: 0 };
        Self { terms, shared: Shared::new(inner), clock, judge, observer, storage: PhantomData }
    }

    /// How often a call may be started beside the first time, at least once, and at most as often as there are places in `S`, or 32 times. Default: 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::hedge::After;
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge<After, Inline<3>> = checked!(Hedge::after(ms(50)).storage().max_hedges(3));
    /// ```
    #[must_use]
    pub const fn max_hedges(mut self, hedges: u32) -> Self {
        self.terms.max_hedges = hedges;
        self
    }

    /// How many hedges there may be for so many calls, above zero. Default: 10 %.
    ///
    /// In the long run there are no more, whether they start because another is late or because it has failed. All callers share it, so that a service that is slow altogether is not given twice the work.
    #[must_use]
    pub const fn budget(mut self, share: Ratio) -> Self {
        self.terms.budget = share;
        self
    }

    /// How many hedges there may be at once beyond the share, at least 1: at first, and after a while in which few were needed; times the [budget](Hedge::budget)'s denominator, less than 2^32. Default: 10.
    #[must_use]
    pub const fn burst(mut self, hedges: u32) -> Self {
        self.terms.burst = hedges;
        self
    }

    /// How it stands: for a page that shows it, not for decisions.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
    ///
    /// # aplomb_sim::block_on(async {
    /// let _ = HEDGE.run(|| async { Ok::<_, std::io::Error>(7) }).await;
    /// let now = HEDGE.snapshot();
    /// assert_eq!((now.calls, now.hedges, now.budget), (1, 0, 10));
    /// # });
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let Terms { delay, .. } = self.terms;
        let (capacity, cost) = (self.terms.capacity(), self.terms.cost());
        self.shared.with(|inner| Snapshot {
            calls: inner.calls,
            hedges: inner.hedges,
            won: inner.won,
            denied: inner.denied,
            delay: duration(delay.delay(&inner.seen)),
            budget: inner.spent.left(capacity).checked_div(cost).unwrap_or(0),
        })
    }

    /// A call has been started, and may now be late: nanoseconds after which it is. If it was as good as begun, it has succeeded already.
    #[inline]
    pub(super) fn count(&self, succeeded: bool) -> u64 {
        let (delay, refund) = (self.terms.delay, self.terms.refund());
        self.shared.with(|inner| {
            inner.calls = inner.calls.saturating_add(1);
            inner.spent.put_back(refund);
            if D::MEASURES && succeeded {
                delay.record(&mut inner.seen, 0);
            }
            delay.delay(&inner.seen)
        })
    }

    /// Whether another may start: it is paid for then.
    pub(super) fn pay(&self) -> bool {
        let (capacity, cost) = (self.terms.capacity(), self.terms.cost());
        self.shared.with(|inner| {
            let paid = inner.spent.withdraw(cost, capacity);
            let count = if paid { &mut inner.hedges } else { &mut inner.denied };
            *count = count.saturating_add(1);
            paid
        })
    }

    /// A call has succeeded: by a hedge, or not; so many nanoseconds after it began, if that says anything.
    pub(super) fn succeeded(&self, by_hedge: bool, took: Option<u64>) {
        let delay = self.terms.delay;
        if !by_hedge && took.is_none() {
            return;
        }
        self.shared.with(|inner| {
            inner.won = inner.won.saturating_add(u64::from(by_hedge));
            if let Some(nanos) = took {
                delay.record(&mut inner.seen, nanos);
            }
        });
    }
}

impl<P: Platform, D: Delay, S: PinnedStorage, J, O> Hedge<P, D, S, J, O> {
    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused: Result<Hedge, ConfigError> = Hedge::after(ms(50)).max_hedges(2).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "max_hedges is 2, must be from 1 to 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.wrong().map_or(Ok(self), Err)
    }

    /// What is wrong with it.
    #[inline]
    pub(super) fn wrong(&self) -> Option<ConfigError> {
        wrong::<D, S>(&self.terms).or_else(|| self.terms.delay.config_error())
    }
}

const fn wrong<D, S: PinnedStorage>(terms: &Terms<D>) -> Option<ConfigError> {
    let places = <S::Places<u8> as Places<u8>>::MOST;
    let most = if places < MOST_HEDGES { places } else { MOST_HEDGES };
    if terms.max_hedges == 0 || terms.max_hedges as usize > most {
        return Some(ConfigError::MaxHedges { value: terms.max_hedges, most });
    }
    if terms.budget.is_zero() || !terms.budget.is_number() {
        return Some(ConfigError::HedgeBudget { value: terms.budget });
    }
    // Who is right is spared the division.
    if let Some(1..) = terms.burst.checked_mul(terms.cost()) {
        return None;
    }
    match u32::MAX.checked_div(terms.cost()) {
        Some(most) => Some(ConfigError::HedgeBurst { value: terms.burst, most }),
        None => None,
    }
}

macro_rules! config_error {
    ($delay:ty) => {
        impl<P: Platform, S: PinnedStorage, J, O> Hedge<P, $delay, S, J, O> {
            /// What is wrong with it, if anything is: [`check`](Hedge::check), for code that is evaluated at compile time.
            #[must_use]
            pub const fn config_error(self) -> Option<ConfigError> {
                let terms = self.terms;
                // A `const fn` drops nothing.
                forget(self);
                match wrong::<_, S>(&terms) {
                    Some(error) => Some(error),
                    None => terms.delay.wrong(),
                }
            }
        }
    };
}

config_error!(After);
config_error!(Percentile);

/// Of a percentile.
impl<P: Platform, S, J, O> Hedge<P, Percentile, S, J, O> {
    /// Waits so long before there are samples enough. Default: [`Duration::MAX`], no hedge before another start has failed.
    #[must_use]
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.terms.delay = self.terms.delay.initial_delay(delay);
        self
    }

    /// How many samples are enough, from 1 to 1,024. Default: 100, of which five are beyond the 95th percentile.
    #[must_use]
    pub const fn min_samples(mut self, samples: u32) -> Self {
        self.terms.delay = self.terms.delay.min_samples(samples);
        self
    }

    /// Waits at least so long, where most calls are ready at once. Default: 1 ms, which is what timers can do.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.terms.delay = self.terms.delay.min_delay(delay);
        self
    }

    /// Waits no longer than that, at least [`min_delay`](Hedge::min_delay). Default: without limit.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.terms.delay = self.terms.delay.max_delay(delay);
        self
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, D: Delay, S, J: Copy, O: Copy> Hedge<P, D, S, J, O> {
    /// Keeps the starts beside the first in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them. Default: in place, one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::hedge::After;
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge<After, Inline<3>> = checked!(Hedge::after(ms(50)).storage().max_hedges(3));
    /// ```
    #[must_use]
    pub const fn storage<T: PinnedStorage>(self) -> Hedge<P, D, T, J, O> {
        let Self { terms, clock, judge, observer, .. } = self;
        // A `const fn` drops nothing.
        forget(self);
        Hedge::made(clock, terms, judge, observer)
    }

    /// Errors of which `predicate` is true end a call at once: the other starts would have them too. Default: none is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::hedge::{After, FatalIf};
    /// use aplomb_sim::prelude::*;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct HttpError(u16);
    ///
    /// static HEDGE: Hedge<After, Inline<1>, FatalIf<fn(&HttpError) -> bool>> =
    ///     checked!(Hedge::after(ms(50)).fatal_if((|error| error.0 < 500) as fn(&HttpError) -> bool));
    ///
    /// let missing = aplomb_sim::block_on(async { HEDGE.run(|| async { Err::<(), _>(HttpError(404)) }).await });
    /// assert_eq!(missing, Err(HedgeError::Fatal { attempts: 1, error: HttpError(404) }));
    /// ```
    #[must_use]
    pub const fn fatal_if<F>(self, predicate: F) -> Hedge<P, D, S, FatalIf<F>, O> {
        self.judged_by(FatalIf { predicate })
    }

    /// Says by a [`Judge`](crate::Judge) of one's own what is a success, values included, and which errors are fatal.
    #[must_use]
    pub const fn judged_by<J2>(self, judge: J2) -> Hedge<P, D, S, J2, O> {
        let Self { terms, clock, observer, .. } = self;
        // A `const fn` drops nothing.
        forget(self);
        Hedge::made(clock, terms, judge, observer)
    }

    /// Tells `observer` of hedges that start, those that win, and those for which the budget is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::hedge::{After, Cause, Event};
    /// use aplomb_sim::prelude::*;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let hedge: Hedge<After, Inline<1>, _, _> = Hedge::after(ms(50)).observed_by(|event: &Event| seen.borrow_mut().push(*event));
    /// aplomb_sim::block_on(async {
    ///     let work = |start| async move { if start == 1 { std::future::pending().await } else { Ok::<_, std::io::Error>(()) } };
    ///     hedge.run_numbered(work).await
    /// })?;
    /// assert_eq!(*seen.borrow(), [Event::Hedged { start: 2, cause: Cause::Late }, Event::Won { start: 2 }]);
    /// # Ok::<_, HedgeError<std::io::Error>>(())
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> Hedge<P, D, S, J, V> {
        let Self { terms, clock, judge, .. } = self;
        // A `const fn` drops nothing.
        forget(self);
        Hedge::made(clock, terms, judge, observer)
    }
}

impl<P: Platform, D: Delay, S, J, O> fmt::Debug for Hedge<P, D, S, J, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("now", &self.snapshot()).field("max_hedges", &self.terms.max_hedges).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, D: Delay, S, J, O> defmt::Format for Hedge<P, D, S, J, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Hedge {{ now: {}, max_hedges: {}, .. }}", self.snapshot(), self.terms.max_hedges);
    }
}
