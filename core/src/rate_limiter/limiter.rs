use core::fmt;
use core::future::Future;
use core::ops::Deref;

use super::acquire::Acquire;
use super::algorithm::{Algorithm, TokenBucket};
use super::error::RateLimitError;
use super::event::Event;
use super::line::{Crowd, Desk, Limits, Snapshot, Waiters, lateness};
use super::lines::{Find, Lines};
use super::outside::Outside;
use super::permit::Permit;
use super::reservation::Reservation;
use super::run::Run;
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::observe::{SharedObserver, Silent};
use crate::panicking::wake_all;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::Shared;
use crate::time::{Clock, Instant, Steady};

/// So many permits in so much time, and a queue of those who wait for theirs, first come first served. The module [`rate_limiter`](crate::rate_limiter) tells what it promises.
///
/// `A` is the rule by which permits are given, a [`TokenBucket`] unless said otherwise; waiters are kept in `S`. `O` is who is told of its [events](Event).
///
/// | setting | default |
/// | --- | --- |
/// | burst ([`with_burst`](RateLimiter::with_burst)) | as many as in one `per` |
/// | [`max_concurrent`](RateLimiter::max_concurrent) | any number |
/// | [`max_waiting`](RateLimiter::max_waiting) | as many as `S` has room for; on the heap, set it |
/// | [`observed_by`](RateLimiter::observed_by) | nobody is told |
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
pub struct RateLimiter<P: Platform, A: Algorithm = TokenBucket, S: Storage = <P as Platform>::Storage, O = Silent> {
    pub(super) clock: P::Clock,
    pub(super) limits: Limits,
    /// The rule, unless it has been changed.
    pub(super) algorithm: A,
    outside: Outside<P::Word>,
    /// What is wrong with the configuration, as far as it is known at compile time.
    pub(super) error: Option<ConfigError>,
    state: Shared<P::RawMutex, State<A, S>>,
    pub(super) observer: O,
}

// In this order, what each call looks at lies together: where many call at once, that is what they wait for.
#[repr(C)]
struct State<A: Algorithm, S: Storage> {
    steady: Steady,
    taken: A::State,
    crowd: Crowd<S::Link>,
    /// The rule, if it has been changed.
    changed: Option<A>,
    /// What was taken before is not given back: it was by another rule.
    returnable_from: Instant,
    waiters: Waiters<A, S>,
}

impl<P: Platform, A: Algorithm, S: Storage, O> RateLimiter<P, A, S, O> {
    pub(super) const fn made(clock: P::Clock, algorithm: A, limits: Limits, error: Option<ConfigError>, observer: O) -> Self {
        let (steady, returnable_from) = (Steady::new(), Instant::ORIGIN);
        let state = State { steady, taken: A::START, crowd: Crowd::NONE, changed: None, returnable_from, waiters: Waiters::NONE };
        Self { clock, limits, algorithm, outside: Outside::NOTHING, error, state: Shared::new(state), observer }
    }
}

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> RateLimiter<P, A, S, O> {
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
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static UPLOADS: RateLimiter = checked!(RateLimiter::new(Rate::per_second(1_000_000)));
    ///
    /// async fn upload(file: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let file = [0; 4_096];
    /// UPLOADS.run_n(4_096, || upload(&file)).await.unwrap();
    /// # assert_eq!(UPLOADS.snapshot().available, 995_904); });
    /// ```
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

    /// Takes `n` permits in advance, behind all who wait, and says from when on they may be used. [`max_concurrent`](RateLimiter::max_concurrent) does not concern it: if those before it are held up by calls that run, or come late,
    /// it keeps the instant that was told, and may then come in one burst with theirs. If some before it leave, it keeps its instant too, as in Go's `x/time/rate`: for those behind it, its permits are taken at that instant, and what a bucket would hold by then beyond its burst is lost to them.
    ///
    /// Given back, a reservation makes way for those who come later as far as the rule remembers: one that nobody came after was never taken (by a window, if there was a place in the queue for it); else a bucket's until later ones rest on it, or one that comes later than it could; and by windows only that of the newest window or instant. Once the [rule has changed](RateLimiter::set_rate), what was taken by the one before stays taken.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](RateLimiter::acquire). Nothing is taken then.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    /// # aplomb_sim::block_on(async {
    /// limiter.reserve(1).unwrap().await;
    /// let next = limiter.reserve(1).unwrap();
    /// println!("it may go in {:?}", next.delay());
    /// # assert_eq!(next.delay(), ms(100)); });
    /// ```
    pub fn reserve(&self, n: u32) -> Result<Reservation<&Self>, RateLimitError> {
        Self::reserve_owned(self, n)
    }

    /// Changes the rule from now on. A bucket keeps the permits that are there, as far as it can hold so many. A window keeps what was taken in it, so that the new rule's other permits are there at once: after 10 of 10, and then 100 a second, a [`TokenBucket`] has none, and a window 90.
    ///
    /// Who waits, waits by the new rule. Whoever waits for more than there can be by it ends with [`TooManyPermits`](RateLimitError::TooManyPermits), though yet another rule comes before it is polled. Reservations keep their instants.
    ///
    /// The whole rule is changed, but for what the new one leaves open: with a [`Rate`](super::Rate) alone, or a [`TokenBucket`] of it, a burst that was set stays what it is (as with `SetLimit` of Go's `x/time/rate`), and one that never was is as many permits as come in one `per`. For
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
    /// assert_eq!(limiter.snapshot().available, 4, "and 100 more in a second");
    ///
    /// let limiter = RateLimiter::fixed_window(Rate::per_second(10));
    /// limiter.try_acquire(6).unwrap();
    /// limiter.set_rate(Rate::per_second(100))?;
    /// assert_eq!(limiter.snapshot().available, 94);
    /// # Ok::<_, ConfigError>(())
    /// ```
    pub fn set_rate(&self, rule: impl Into<A>) -> Result<(), ConfigError> {
        let (rule, read) = (rule.into(), self.clock.now());
        let (changed, _unused) = self.state.with(|state| {
            let rule = rule.in_place_of(state.changed.as_ref().unwrap_or(&self.algorithm));
            if let Some(error) = rule.config_error() {
                return (Err(error), Some(rule));
            }
            let now = self.bring_in(state, read);
            rule.take_over(&mut state.taken, state.changed.as_ref().unwrap_or(&self.algorithm), now);
            let most = rule.most();
            let replaced = state.changed.replace(rule);
            state.returnable_from = now.saturating_add_nanos(1);
            state.waiters.refit(&mut state.crowd, most);
            (Ok(self.desk(state, now).reconsider()), replaced)
        });
        let mut first = changed?;
        wake_all(&mut || first.take().or_else(|| self.state.with(|state| state.waiters.next_refused())));
        Ok(())
    }

    /// How it stands: for a page that shows it, not for decisions.
    pub fn snapshot(&self) -> Snapshot {
        self.serve(self.clock.now(), |desk| desk.snapshot())
    }

    /// Takes permits, past the lock or under it.
    #[inline]
    pub(super) fn take<B: Deref<Target = Self>>(this: B, n: u32) -> Result<Permit<B>, RateLimitError> {
        let read = this.clock.now();
        // What is answered past the lock is made of its parts here, and not handed on through memory.
        match this.outside.try_take(&this.algorithm, read, n) {
            Some(Ok(())) => Ok(Permit::new(this, (), n, read)),
            Some(Err(at)) => Err(this.limited(at, read)),
            None => Self::take_slowly(this, read, n),
        }
    }

    // Kept out of line, so that the short way is short.
    #[inline(never)]
    fn take_slowly<B: Deref<Target = Self>>(this: B, read: Instant, n: u32) -> Result<Permit<B>, RateLimitError> {
        let taken = match this.outside.try_take_packed(&this.algorithm, read, n) {
            Some(Ok(())) => Ok(read),
            Some(Err(at)) => return Err(this.limited(at, read)),
            None => this.serve(read, |desk| desk.take(n)),
        };
        match taken {
            Ok(taken) => Ok(Permit::new(this, (), n, taken)),
            Err(denied) => {
                let error = denied.until().unwrap_or_else(|| this.serve(read, |desk| desk.explain(n, &denied)));
                Err(this.rejected(error))
            }
        }
    }

    #[inline]
    fn limited(&self, at: Instant, now: Instant) -> RateLimitError {
        self.rejected(RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(now)) })
    }

    #[inline]
    pub(super) fn rejected(&self, reason: RateLimitError) -> RateLimitError {
        self.observer.observe(&Event::Rejected { reason });
        reason
    }

    pub(super) fn serve<R>(&self, read: Instant, act: impl FnOnce(&mut Desk<'_, A, S>) -> R) -> R {
        self.state.with(|state| {
            let now = self.bring_in(state, read);
            let result = act(&mut self.desk(state, now));
            let only_the_rule_decides = state.crowd.queue.is_empty() && self.limits.leave_it_to_the_rule::<S>();
            if only_the_rule_decides && state.changed.is_none() && state.steady.is_the_clocks() {
                self.outside.set_out(&self.algorithm, &state.taken, now);
            }
            result
        })
    }

    /// All that has been taken is under the lock from now on; and the present.
    #[inline]
    fn bring_in(&self, state: &mut State<A, S>, read: Instant) -> Instant {
        self.outside.bring_in(&self.algorithm, &mut state.taken, &mut state.steady);
        state.steady.advance(read, &self.clock)
    }

    fn desk<'s>(&'s self, state: &'s mut State<A, S>, now: Instant) -> Desk<'s, A, S> {
        Desk {
            algorithm: state.changed.as_ref().unwrap_or(&self.algorithm),
            limits: self.limits,
            taken: &mut state.taken,
            crowd: &mut state.crowd,
            waiters: &mut state.waiters,
            steady: state.steady,
            now,
            returnable_from: state.returnable_from,
            lateness: const { lateness(<P::Clock as Clock>::RESOLUTION) },
        }
    }
}

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> Lines for RateLimiter<P, A, S, O> {
    type Platform = P;
    type Algorithm = A;
    type Storage = S;
    type Observer = O;
    type Spot = ();

    fn observer(&self) -> &O {
        &self.observer
    }

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

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> Find<RateLimiter<P, A, S, O>> for () {
    #[inline]
    fn find<R>(
        &self,
        lines: &RateLimiter<P, A, S, O>,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Result<((), R), RateLimitError> {
        Ok(((), lines.serve(read, act)))
    }

    #[allow(clippy::inline_always, reason = "a call of it costs as much as it does")]
    #[inline(always)]
    fn try_take(&self, lines: &RateLimiter<P, A, S, O>, read: Instant, permits: u32) -> Option<((), Instant)> {
        lines.outside.try_take(&lines.algorithm, read, permits)?.ok().map(|()| ((), read))
    }

    fn try_take_packed(&self, lines: &RateLimiter<P, A, S, O>, read: Instant, permits: u32) -> Option<((), Instant)> {
        lines.outside.try_take_packed(&lines.algorithm, read, permits)?.ok().map(|()| ((), read))
    }
}

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> fmt::Debug for RateLimiter<P, A, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.limits).field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> defmt::Format for RateLimiter<P, A, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "RateLimiter {{ limits: {}, snapshot: {}, .. }}", self.limits, self.snapshot());
    }
}
