use core::fmt;
use core::future::Future;
use core::mem::forget;

use super::acquire::Acquire;
use super::algorithm::{Algorithm, FixedWindow, SlidingCounter, SlidingWindow, TokenBucket};
use super::error::RateLimitError;
use super::line::{Ask, Crowd, Desk, Limits, Snapshot, lateness};
use super::lines::{Find, Lines, wake};
use super::outside::Outside;
use super::permit::Permit;
use super::rate::Rate;
use super::reservation::Reservation;
use super::run::Run;
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;
use crate::sync::Shared;
use crate::sync::wait_list::Slab;
use crate::time::{Clock, Instant, Steady};

/// So many permits in so much time, and a queue of those who wait for theirs, first come first served. The module [`rate_limiter`](crate::rate_limiter) tells what it promises.
///
/// `A` is the rule by which permits are given, a [`TokenBucket`] unless said otherwise; waiters are kept in `S`.
///
/// | setting | default |
/// | --- | --- |
/// | burst ([`with_burst`](RateLimiter::with_burst)) | as many as in one `per` |
/// | [`max_concurrent`](RateLimiter::max_concurrent) | any number |
/// | [`max_waiting`](RateLimiter::max_waiting) | as many as `S` has room for |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static GITHUB: RateLimiter = checked!(RateLimiter::new(Rate::per_minute(100)).max_concurrent(5));
///
/// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
///
/// aplomb_sim::block_on(async {
///     let user = GITHUB.run(|| fetch_user(7)).await?;
///     assert_eq!(user, "user 7");
///     Ok::<_, RateLimitError<std::io::Error>>(())
/// }).unwrap();
/// ```
pub struct RateLimiter<P: Platform, A: Algorithm = TokenBucket, S: Storage = <P as Platform>::Storage> {
    clock: P::Clock,
    limits: Limits,
    /// The rule, unless it has been changed.
    algorithm: A,
    outside: Outside<P::Word>,
    /// What is wrong with the configuration, as far as it is known at compile time.
    error: Option<ConfigError>,
    state: Shared<P::RawMutex, State<A, S>>,
}

// In this order, what each call looks at lies together: where many call at once, that is what they wait for.
#[repr(C)]
struct State<A: Algorithm, S: Storage> {
    steady: Steady,
    taken: A::State,
    crowd: Crowd<S::Link>,
    /// The rule, if it has been changed.
    changed: Option<A>,
    slab: Slab<Ask, S>,
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P> {
    /// A full [`TokenBucket`], which fills at this rate, and holds as many permits as come in one `per`.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        let bucket = TokenBucket::new(rate);
        Self::made(Ambient::CLOCK, bucket, bucket.config_error())
    }

    /// A full [`TokenBucket`], which fills at this rate, and holds `burst` permits: so many may be taken at once after a while without any.
    #[must_use]
    pub const fn with_burst(rate: Rate, burst: u32) -> Self {
        let bucket = TokenBucket::new(rate).burst(burst);
        Self::made(Ambient::CLOCK, bucket, bucket.config_error())
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, FixedWindow> {
    /// So many permits in each window, by [`FixedWindow`].
    #[must_use]
    pub const fn fixed_window(rate: Rate) -> Self {
        let rule = FixedWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, SlidingWindow<<P as Platform>::Storage>> {
    /// So many permits in any stretch of time, exactly, by [`SlidingWindow`].
    #[must_use]
    pub const fn sliding_window(rate: Rate) -> Self {
        let rule = SlidingWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, SlidingCounter> {
    /// So many permits in any stretch of time, nearly, by [`SlidingCounter`].
    #[must_use]
    pub const fn sliding_counter(rate: Rate) -> Self {
        let rule = SlidingCounter::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform, A: Algorithm, S: Storage> RateLimiter<P, A, S> {
    /// By any rule, one of one's own included, on a clock that is held in hand. What is wrong with the rule is told by the first call.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, algorithm: A) -> Self {
        Self::made(clock, algorithm, None)
    }

    const fn made(clock: P::Clock, algorithm: A, error: Option<ConfigError>) -> Self {
        let state = State { steady: Steady::new(), taken: A::START, crowd: Crowd::NONE, changed: None, slab: Slab::new() };
        Self { clock, limits: Limits::NONE, algorithm, outside: Outside::NOTHING, error, state: Shared::new(state) }
    }

    /// How many calls run at once, whatever the rate. At least 1. Default: any number.
    ///
    /// A call that runs holds a [`Permit`]; each counts as one, however many permits it took.
    #[must_use]
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.limits.max_concurrent = calls;
        self
    }

    /// How many callers may wait; the next one ends at once, with [`RateLimitError::QueueFull`]. Zero is legal: nobody waits then. Default: as many as the storage has room for.
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.limits.max_waiting = callers;
        self
    }

    /// What is wrong with it, if anything is: [`check`](RateLimiter::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = match self.error {
            Some(error) => Some(error),
            None => self.limits.config_error(),
        };
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        error
    }

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
    /// let refused = RateLimiter::new(Rate::per_second(0)).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "permits is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        let error = self.algorithm.config_error().or(self.limits.config_error());
        error.map_or(Ok(self), Err)
    }
}

impl<P: Platform, A: Algorithm, S: Storage> RateLimiter<P, A, S> {
    /// Runs the operation as soon as there is a permit for it.
    ///
    /// # Errors
    ///
    /// [`RateLimitError`] says why there is none; or has the operation's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static MAILS: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(2), 1));
    ///
    /// async fn send(to: &str) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// aplomb_sim::block_on(async {
    ///     for to in ["ann", "bob", "cleo"] {
    ///         MAILS.run(|| send(to)).await.unwrap();
    ///     }
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 1_000_000_000);
    /// });
    /// ```
    pub fn run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, (), F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run_n(1, operation)
    }

    /// As [`run`](RateLimiter::run), with an operation that costs `n` permits.
    pub fn run_n<F, Fut, T, E>(&self, n: u32, operation: F) -> Run<&Self, (), F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self.acquire(n), operation)
    }

    /// Waits until there are `n` permits, and takes them.
    ///
    /// Callers are served in the order of their first poll; a large request is not overtaken by small ones behind it.
    ///
    /// # Errors
    ///
    /// At once: [`RateLimitError::TooManyPermits`] if there can't be so many, [`RateLimitError::QueueFull`] if all waiting places are taken, [`RateLimitError::Config`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let bytes: RateLimiter = RateLimiter::new(Rate::per_second(1_000_000));
    /// aplomb_sim::block_on(async {
    ///     let packet = [0; 1_000];
    ///     for _ in 0..1_500 {
    ///         bytes.acquire(1_000).await.unwrap();
    ///         // send it
    /// #       let _ = packet;
    ///     }
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 500_000_000);
    /// });
    /// ```
    pub const fn acquire(&self, n: u32) -> Acquire<&Self, ()> {
        Acquire::new(self, (), n, Instant::MAX)
    }

    /// As [`acquire`](RateLimiter::acquire), and waits no longer than until `deadline`. What can't be there by then is refused at once, as far as the rule can tell.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Deadline`], and those of [`acquire`](RateLimiter::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(1));
    /// aplomb_sim::block_on(async {
    ///     limiter.acquire(1).await.unwrap();
    ///     let refused = limiter.acquire_by(1, deadline(ms(500))).await;
    ///     assert!(refused.unwrap_err().is_timeout());
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 0, "it did not even wait");
    /// });
    /// ```
    pub const fn acquire_by(&self, n: u32, deadline: Deadline) -> Acquire<&Self, ()> {
        Acquire::new(self, (), n, deadline.instant())
    }

    /// Takes `n` permits, if they are there and nobody waits.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Limited`] says when it is worth another try; and those of [`acquire`](RateLimiter::acquire), but for a full queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(4));
    /// assert!(limiter.try_acquire(4).is_ok());
    /// let refused = limiter.try_acquire(1).unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(ms(250)));
    /// ```
    #[inline]
    pub fn try_acquire(&self, n: u32) -> Result<Permit<&Self>, RateLimitError> {
        Self::try_acquire_owned(self, n)
    }

    /// Takes `n` permits in advance, behind all who wait (whom it goes through), and says from when on they may be used. [`max_concurrent`](RateLimiter::max_concurrent) does not concern it: if those before it are held up by calls that run,
    /// it keeps the instant that was told, and may then come in one burst with theirs.
    ///
    /// Given back, a reservation makes way for those who come later as far as the rule remembers: a bucket's until later ones rest on it, and by windows only that of the newest window or instant. Nobody comes before the instant up to which was reserved.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](RateLimiter::acquire). Nothing is taken then.
    pub fn reserve(&self, n: u32) -> Result<Reservation<'_, Self>, RateLimitError> {
        let reserved = self.serve(self.clock.now(), |desk| desk.reserve(n).map(|made| (desk.steady.on_clock(made.at), made)));
        reserved.map(|(at, made)| Reservation::new(self, (), n, at, made))
    }

    /// Changes the rule from now on. The permits that are there stay there, as far as there can be so many; who waits, waits by the new rule; reservations keep their instants.
    ///
    /// The whole rule is changed, but for what the new one leaves open: with a [`Rate`] alone, or a [`TokenBucket`] of it, a burst that was set stays what it is (as with `SetLimit` of Go's `x/time/rate`), and one that never was is as many permits as come in one `per`. For
    /// another, give a bucket with its [`burst`](TokenBucket::burst).
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if the new rule makes no sense. Nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(10));
    /// limiter.try_acquire(6).unwrap();
    /// limiter.set_rate(Rate::per_second(100))?;
    /// assert_eq!(limiter.snapshot().available, 4);
    /// # Ok::<_, ConfigError>(())
    /// ```
    pub fn set_rate(&self, rule: impl Into<A>) -> Result<(), ConfigError> {
        let (rule, read) = (rule.into(), self.clock.now());
        let (changed, _unused) = self.state.with(|state| {
            let rule = rule.in_place_of(state.changed.as_ref().unwrap_or(&self.algorithm));
            if let Some(error) = rule.config_error() {
                return (Err(error), Some(rule));
            }
            let now = state.steady.advance(read, &self.clock);
            self.outside.bring_in(&self.algorithm, &mut state.taken);
            rule.take_over(&mut state.taken, state.changed.as_ref().unwrap_or(&self.algorithm), now);
            let replaced = state.changed.replace(rule);
            (Ok(self.desk(state, now).reconsider()), replaced)
        });
        changed.map(wake)
    }

    /// How it stands: for a page that shows it, not for decisions.
    pub fn snapshot(&self) -> Snapshot {
        self.serve(self.clock.now(), |desk| desk.snapshot())
    }

    #[inline]
    pub(super) fn take(&self, n: u32) -> Result<(), RateLimitError> {
        let read = self.clock.now();
        match self.outside.try_take(&self.algorithm, read, n) {
            Some(Ok(())) => Ok(()),
            Some(Err(at)) => Err(RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(read)) }),
            None => self.take_under_lock(read, n),
        }
    }

    // Kept out of line, so that the short way is short.
    #[inline(never)]
    fn take_under_lock(&self, read: Instant, n: u32) -> Result<(), RateLimitError> {
        self.serve(read, |desk| desk.take(n))
            .map_err(|denied| denied.until().unwrap_or_else(|| self.serve(read, |desk| desk.explain(n, &denied))))
    }

    fn serve<R>(&self, read: Instant, act: impl FnOnce(&mut Desk<'_, A, S>) -> R) -> R {
        self.state.with(|state| {
            let now = state.steady.advance(read, &self.clock);
            self.outside.bring_in(&self.algorithm, &mut state.taken);
            let result = act(&mut self.desk(state, now));
            let only_the_rule_decides = state.crowd.queue.is_empty() && !self.limits.counts_calls();
            if only_the_rule_decides && state.changed.is_none() && state.steady.is_the_clocks() {
                self.outside.set_out(&self.algorithm, &state.taken);
            }
            result
        })
    }

    fn desk<'s>(&'s self, state: &'s mut State<A, S>, now: Instant) -> Desk<'s, A, S> {
        Desk {
            algorithm: state.changed.as_ref().unwrap_or(&self.algorithm),
            limits: self.limits,
            taken: &mut state.taken,
            crowd: &mut state.crowd,
            slab: &mut state.slab,
            steady: state.steady,
            now,
            lateness: const { lateness(<P::Clock as Clock>::RESOLUTION) },
        }
    }
}

impl<P: Platform, A: Algorithm, S: Storage> Lines for RateLimiter<P, A, S> {
    type Platform = P;
    type Algorithm = A;
    type Storage = S;
    type Spot = ();

    fn clock(&self) -> &P::Clock {
        &self.clock
    }

    #[inline]
    fn counts_calls(&self) -> bool {
        self.limits.counts_calls()
    }

    #[inline]
    fn with<R>(&self, (): (), read: Instant, act: impl FnOnce(&mut Desk<'_, A, S>) -> R) -> Option<R> {
        Some(self.serve(read, act))
    }

    fn with_crowd<R>(&self, (): (), act: impl FnOnce(&mut Crowd<S::Link>) -> R) -> Option<R> {
        Some(self.state.with(|state| act(&mut state.crowd)))
    }
}

impl<P: Platform, A: Algorithm, S: Storage> Find<RateLimiter<P, A, S>> for () {
    #[inline]
    fn find<R>(
        self,
        lines: &RateLimiter<P, A, S>,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Result<((), R), RateLimitError> {
        Ok(((), lines.serve(read, act)))
    }

    #[inline]
    fn try_take(self, lines: &RateLimiter<P, A, S>, read: Instant, permits: u32) -> Option<()> {
        lines.outside.try_take(&lines.algorithm, read, permits)?.ok()
    }
}

impl<P: Platform, A: Algorithm, S: Storage> fmt::Debug for RateLimiter<P, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.limits).field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}
