use core::fmt;
use core::future::{Future, IntoFuture};
use core::time::Duration;

use super::budget::RetryBudget;
use super::call::{Between, Call, Nothing, Numbered, Plain, Start};
use super::error::RetryError;
use super::event::{Attempt, Cause, Event};
use super::future::Run;
use super::lent::{self, LendingBetween};
use super::machine::{Limits, Terms};
use super::rules::{Notify, RetryAfter, RetryAll, RetryIf, RetryIfValue, Rules};
use super::session::{DeadlinePassed, Session, Step};
use crate::backoff::{Backoff, Exponential, Jitter, Schedule};
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::observe::Observer;
use crate::operation::Lending;
use crate::platform::{Ambient, Platform};
use crate::time::nanos;
use crate::timeout::TimeoutError;

/// A policy of retrying, and, once it has been given an operation, a call.
///
/// As a policy it is plain data: `const`, `Copy`, and referred to by any number of calls. [`run`](Retry::run) and its sisters make a call of it; [`call`](Retry::call), and the adapters' `retry(op)`, make a call that can be
/// told more before it is awaited.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_attempts`](Retry::max_attempts) | 3, the first included |
/// | [`backoff`](Retry::backoff) | exponential from 100 ms to 20 s, full jitter |
/// | [`retry_if`](Retry::retry_if), [`retry_if_value`](Retry::retry_if_value) | every error, no value |
/// | [`retry_after`](Retry::retry_after), [`retry_after_max`](Retry::retry_after_max) | nobody asks; no ceiling |
/// | [`attempt_timeout`](Retry::attempt_timeout), [`deadline`](Retry::deadline) | none |
/// | [`budget`](Retry::budget) | none, but see [`standard`](Retry::standard) |
/// | [`reset_after`](Retry::reset_after) | never |
/// | [`seed`](Retry::seed) | drawn by the platform |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(4).attempt_timeout(secs(2)));
///
/// aplomb_sim::block_on(async {
///     let mut failures = 2;
///     let answer = RETRY
///         .run(|| {
///             let outcome = if failures == 0 { Ok(42) } else { Err("refused") };
///             failures -= 1;
///             async move { outcome }
///         })
///         .await;
///     assert_eq!(answer, Ok(42));
/// });
/// ```
pub struct Retry<'b, P: Platform, B = Exponential, R = RetryAll, O = ()> {
    policy: Policy<'b, P, B>,
    rules: R,
    call: O,
}

/// What a [`Retry`] has besides its rules: all that its calls share. A call made from a `static` only refers to it.
pub struct Policy<'b, P: Platform, B> {
    pub(super) clock: P::Clock,
    pub(super) terms: Terms<B>,
    pub(super) seed: Option<u64>,
    pub(super) budget: Option<&'b RetryBudget<P>>,
}

/// A policy, held or referred to.
pub trait AsPolicy<'b> {
    /// Its platform.
    type Platform: Platform;

    /// Its backoff.
    type Backoff: Backoff;

    /// The policy.
    fn policy(&self) -> &Policy<'b, Self::Platform, Self::Backoff>;
}

impl<'b, P: Platform, B: Backoff> AsPolicy<'b> for Policy<'b, P, B> {
    type Platform = P;
    type Backoff = B;

    #[inline]
    fn policy(&self) -> &Self {
        self
    }
}

impl<'b, P: Platform, B: Backoff> AsPolicy<'b> for &Policy<'b, P, B> {
    type Platform = P;
    type Backoff = B;

    #[inline]
    fn policy(&self) -> &Policy<'b, P, B> {
        self
    }
}

const DEFAULT_BACKOFF: Exponential =
    Exponential::from(Duration::from_millis(100)).max(Duration::from_secs(20)).jitter(Jitter::Full);

const RECONNECT_BACKOFF: Exponential =
    Exponential::from(Duration::from_millis(500)).max(Duration::from_mins(1)).jitter(Jitter::Equal);

impl<'b, P: Platform<Clock: Ambient>> Retry<'b, P> {
    /// The policy with all defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(Ambient::CLOCK)
    }

    /// The policy for calls to a service: all defaults, and a budget that its callers share, so that retries cannot multiply an outage.
    #[must_use]
    pub const fn standard(budget: &'b RetryBudget<P>) -> Self {
        Self::new().budget(budget)
    }

    /// The policy for a connection that is to be up: retries for ever, from every half second to every minute, with equal jitter, and begins anew after a
    /// connection that held for a minute.
    #[must_use]
    pub const fn reconnect() -> Self {
        Self::new().with_backoff(RECONNECT_BACKOFF).forever().reset_after(Duration::from_mins(1))
    }
}

impl<P: Platform> Retry<'_, P> {
    const fn with_backoff(mut self, backoff: Exponential) -> Self {
        self.policy.terms.backoff = backoff;
        self
    }

    /// The policy with all defaults, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock) -> Self {
        Self {
            policy: Policy { clock, terms: Terms { limits: Limits::new(3), backoff: DEFAULT_BACKOFF }, seed: None, budget: None },
            rules: RetryAll,
            call: (),
        }
    }
}

/// Settings.
impl<'b, P: Platform, B, R, O> Retry<'b, P, B, R, O> {
    /// Makes at most so many attempts, the first included. Default: 3.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.terms.limits.max_attempts = attempts;
        self
    }

    /// Makes as many attempts as it takes.
    #[must_use]
    pub const fn forever(self) -> Self {
        self.max_attempts(u32::MAX)
    }

    /// Drops an attempt after that time, counted from the first poll that left it pending; it has failed then, and is retried. Default: never.
    #[must_use]
    pub const fn attempt_timeout(mut self, after: Duration) -> Self {
        self.policy.terms.limits.attempt_timeout = nanos(after);
        self
    }

    /// Ends the call at the latest so long after it began: an attempt under way is dropped then, and no pause begins that would end later. Default: never.
    #[must_use]
    pub const fn deadline(mut self, after: Duration) -> Self {
        self.policy.terms.limits.deadline = nanos(after);
        self
    }

    /// Ends the call at that deadline at the latest, which came with the request; as [`deadline`](Retry::deadline) does.
    #[must_use]
    pub const fn deadline_at(mut self, deadline: Deadline) -> Self {
        self.policy.terms.limits.deadline_at = deadline.instant();
        self
    }

    /// Waits no longer than that when an outcome says itself [when to come again](Retry::retry_after). Default: no ceiling. The backoff's own `max` does not bound it.
    #[must_use]
    pub const fn retry_after_max(mut self, max: Duration) -> Self {
        self.policy.terms.limits.retry_after_max = nanos(max);
        self
    }

    /// Begins the backoff, and the count of attempts, anew when an attempt lasted so long before it failed: a connection that was up for a while is not one more
    /// failure in a row. Default: never.
    #[must_use]
    pub const fn reset_after(mut self, held: Duration) -> Self {
        self.policy.terms.limits.reset_after = nanos(held);
        self
    }

    /// Draws jitter from a generator that begins with `seed` at each call, instead of from the platform's.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.policy.seed = Some(seed);
        self
    }

    /// Pays for retries out of a budget that many callers share. Default: none.
    #[must_use]
    pub const fn budget(mut self, budget: &'b RetryBudget<P>) -> Self {
        self.policy.budget = Some(budget);
        self
    }
}

/// Settings that change the type of a policy.
impl<'b, P: Platform<Clock: Copy>, B: Copy, R: Copy> Retry<'b, P, B, R> {
    /// Waits between attempts as `backoff` says.
    #[must_use]
    pub const fn backoff<B2: Backoff>(self, backoff: B2) -> Retry<'b, P, B2, R> {
        let Policy { clock, terms, seed, budget } = self.policy;
        let policy = Policy { clock, terms: Terms { limits: terms.limits, backoff }, seed, budget };
        Retry { policy, rules: self.rules, call: () }
    }

    /// Decides by rules of your own what is retried, and when.
    #[must_use]
    pub const fn rules<R2>(self, rules: R2) -> Retry<'b, P, B, R2> {
        Retry { policy: self.policy, rules, call: () }
    }
}

impl<P: Platform, G: Copy, R, O> Retry<'_, P, Schedule<G>, R, O> {
    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that doesn't.
    pub const fn check(self) -> Result<Self, ConfigError>
    where
        Self: Copy,
    {
        if self.policy.terms.limits.max_attempts == 0 {
            return Err(ConfigError::MaxAttempts { value: 0 });
        }
        match self.policy.terms.backoff.error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

/// From a policy to a call.
impl<'b, P: Platform, B: Backoff, R> Retry<'b, P, B, R> {
    /// Calls the operation, and calls it again as the policy says.
    ///
    /// # Errors
    ///
    /// [`RetryError`] has the last error, the number of attempts, and why there was no further one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static RETRY: Retry = Retry::new();
    ///
    /// async fn fetch(path: &str) -> Result<usize, &'static str> { Ok(path.len()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let path = String::from("/users");
    /// let length = RETRY.run(|| fetch(&path)).await?;
    /// # assert_eq!(length, 6);
    /// # Ok::<_, aplomb::retry::RetryError<&str>>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn run<'p, F, Fut, T, E>(&'p self, operation: F) -> Run<'b, &'p Policy<'b, P, B>, R, Plain<F>, Nothing>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        R: Rules<T, E> + Clone,
    {
        let call = Call { operation: Plain(operation), between: Nothing };
        Run::new(&self.policy, self.rules.clone(), call)
    }

    /// As [`run`](Retry::run), with an operation that borrows a context mutably for each attempt. It works under `tokio::spawn` too.
    ///
    /// # Cancel safety
    ///
    /// As of [`Run`].
    ///
    /// # Errors
    ///
    /// As of [`run`](Retry::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// #[derive(Default)]
    /// struct Modem { sent: u32 }
    ///
    /// impl Modem {
    ///     async fn send(&mut self, _frame: &[u8]) -> Result<(), &'static str> {
    ///         self.sent += 1;
    ///         if self.sent < 3 { Err("no carrier") } else { Ok(()) }
    ///     }
    /// }
    ///
    /// static RETRY: Retry = Retry::new();
    ///
    /// aplomb_sim::block_on(async {
    ///     let mut modem = Modem::default();
    ///     RETRY.run_with(&mut modem, async |modem| modem.send(b"hello").await).await.unwrap();
    ///     assert_eq!(modem.sent, 3);
    /// });
    /// ```
    pub fn run_with<C, F, T, E>(&self, context: &mut C, operation: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        C: ?Sized,
        F: for<'a> Lending<&'a mut C, Result<T, E>>,
        R: Rules<T, E> + Clone,
    {
        lent::run(self.session(), context, operation, async |_: &mut C, _: Cause<'_, E>| {})
    }

    /// As [`run_with`](Retry::run_with), with a step between two attempts: after the pause, before the next one. It resets the bus, or connects anew.
    ///
    /// # Cancel safety
    ///
    /// As of [`Run`].
    ///
    /// # Errors
    ///
    /// As of [`run`](Retry::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// struct Bus { stuck: bool }
    ///
    /// impl Bus {
    ///     async fn read(&mut self) -> Result<u8, &'static str> { if self.stuck { Err("no answer") } else { Ok(7) } }
    ///     async fn reset(&mut self) { self.stuck = false; }
    /// }
    ///
    /// static RETRY: Retry = Retry::new().attempt_timeout(ms(50));
    ///
    /// let mut bus = Bus { stuck: true };
    /// let answer = RETRY.run_with_between(&mut bus, async |bus| bus.read().await, async |bus, _| bus.reset().await);
    /// assert_eq!(aplomb_sim::block_on(answer), Ok(7));
    /// ```
    pub fn run_with_between<C, F, K, T, E>(
        &self,
        context: &mut C,
        operation: F,
        between: K,
    ) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        C: ?Sized,
        F: for<'a> Lending<&'a mut C, Result<T, E>>,
        K: for<'a> LendingBetween<&'a mut C, Cause<'a, E>>,
        R: Rules<T, E> + Clone,
    {
        lent::run(self.session(), context, operation, between)
    }

    /// As [`run`](Retry::run), with an asynchronous closure that lends from what it has captured. For local executors; under `tokio::spawn`, where the compiler
    /// cannot see yet that such a future is `Send`, [`run_with`](Retry::run_with) does the same.
    ///
    /// # Cancel safety
    ///
    /// As of [`Run`].
    ///
    /// # Errors
    ///
    /// As of [`run`](Retry::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn transfer(frame: &mut [u8]) -> Result<u8, &'static str> {
    ///     frame[0] += 1;
    ///     if frame[0] < 2 { Err("nack") } else { Ok(frame[0]) }
    /// }
    ///
    /// static RETRY: Retry = Retry::new();
    ///
    /// let mut frame = [0; 8];
    /// let answer = aplomb_sim::block_on(RETRY.run_mut(async || transfer(&mut frame).await));
    /// assert_eq!(answer, Ok(2));
    /// ```
    pub fn run_mut<F, T, E>(&self, operation: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        F: AsyncFnMut() -> Result<T, E>,
        R: Rules<T, E> + Clone,
    {
        let mut operation = operation;
        async move { self.run_with(&mut operation, async |operation: &mut F| operation().await).await }
    }

    /// As [`run`](Retry::run), for code without futures. `sleep` blocks for the pause: `std::thread::sleep`, or a HAL's delay.
    ///
    /// An attempt cannot be cut off, so that [`attempt_timeout`](Retry::attempt_timeout) has no effect, and [`deadline`](Retry::deadline) only ends the call between two attempts.
    ///
    /// # Errors
    ///
    /// As of [`run`](Retry::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static RETRY: Retry<Constant> = Retry::new().backoff(Constant::every(ms(10)));
    ///
    /// let mut slept = secs(0);
    /// let refused = RETRY.run_blocking(|| Err::<(), _>("busy"), |pause| slept += pause);
    /// assert_eq!(refused.unwrap_err().attempts(), 3);
    /// assert_eq!(slept, ms(20));
    /// ```
    pub fn run_blocking<T, E>(
        &self,
        mut operation: impl FnMut() -> Result<T, E>,
        mut sleep: impl FnMut(Duration),
    ) -> Result<T, RetryError<E>>
    where
        R: Rules<T, E> + Clone,
    {
        let mut session = self.session();
        session.check().map_err(RetryError::Config)?;
        loop {
            session.start();
            session.note_start();
            let outcome = operation().map_err(TimeoutError::Failed);
            match session.settle(outcome) {
                Step::End(result) => return result,
                Step::Pause(pause) if pause.delay.is_zero() => {}
                Step::Pause(pause) => sleep(pause.delay),
            }
            if let Err(DeadlinePassed) = session.check_deadline() {
                return Err(session.past_deadline::<T>());
            }
        }
    }

    /// A call that can be told more before it is awaited.
    pub fn call<F, Fut, T, E>(self, operation: F) -> Retry<'b, P, B, R, Call<Plain<F>>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.with_call(Call { operation: Plain(operation), between: Nothing })
    }

    /// As [`call`](Retry::call), with an operation that is told which [`Attempt`] it is: its number, and the time since the call began. It costs a reading of the clock per attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static RETRY: Retry = Retry::new();
    ///
    /// let number = aplomb_sim::block_on(async {
    ///     RETRY.call_numbered(|attempt| async move { if attempt.number < 3 { Err("not yet") } else { Ok(attempt.number) } }).await
    /// });
    /// assert_eq!(number, Ok(3));
    /// ```
    pub fn call_numbered<F, Fut, T, E>(self, operation: F) -> Retry<'b, P, B, R, Call<Numbered<F>>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.with_call(Call { operation: Numbered(operation), between: Nothing })
    }

    fn with_call<O>(self, call: O) -> Retry<'b, P, B, R, O> {
        Retry { policy: self.policy, rules: self.rules, call }
    }

    fn session<E>(&self) -> Session<'b, &Policy<'b, P, B>, R, E>
    where
        R: Clone,
    {
        Session::new(&self.policy, self.rules.clone())
    }
}

/// What only a call can be told, since its operation says what values and errors are.
impl<'b, P, B, R, S, K, T, E> Retry<'b, P, B, R, Call<S, K>>
where
    P: Platform,
    S: Start<Output = Result<T, E>>,
{
    /// Waits between attempts as `backoff` says.
    #[must_use]
    pub fn backoff<B2: Backoff>(self, backoff: B2) -> Retry<'b, P, B2, R, Call<S, K>> {
        let Policy { clock, terms, seed, budget } = self.policy;
        let policy = Policy { clock, terms: Terms { limits: terms.limits, backoff }, seed, budget };
        Retry { policy, rules: self.rules, call: self.call }
    }

    /// Retries errors of which `predicate` is true, and hands on all others as they are. Default: all are retried.
    #[must_use]
    pub fn retry_if<F: FnMut(&E) -> bool>(self, predicate: F) -> Retry<'b, P, B, RetryIf<R, F>, Call<S, K>> {
        self.map_rules(|rules| RetryIf { rules, predicate })
    }

    /// Retries values of which `predicate` is true, a response that says "busy" for example. If it comes to no better, the last one is the call's value (as in Polly and Failsafe).
    #[must_use]
    pub fn retry_if_value<F: FnMut(&T) -> bool>(self, predicate: F) -> Retry<'b, P, B, RetryIfValue<R, F>, Call<S, K>> {
        self.map_rules(|rules| RetryIfValue { rules, predicate })
    }

    /// Waits as long as the outcome itself asks for: the `Retry-After` of a response, or of an error. It wins over the backoff.
    #[must_use]
    pub fn retry_after<F>(self, delay: F) -> Retry<'b, P, B, RetryAfter<R, F>, Call<S, K>>
    where
        F: FnMut(&Result<T, E>) -> Option<Duration>,
    {
        self.map_rules(|rules| RetryAfter { rules, delay })
    }

    /// Tells `observer` what is decided: each retry before its pause, and the end.
    #[must_use]
    pub fn notify<V>(self, observer: V) -> Retry<'b, P, B, Notify<R, V>, Call<S, K>>
    where
        V: for<'e> Observer<Event<'e, E>>,
    {
        self.map_rules(|rules| Notify { rules, observer })
    }

    /// Runs `between` after each pause, before the next attempt: to connect anew, or reset what the last attempt left behind. The deadline cuts it off.
    #[must_use]
    pub fn between<F, Fut>(self, between: F) -> Retry<'b, P, B, R, Call<S, F>>
    where
        F: FnMut(Cause<'_, E>) -> Fut,
        Fut: Future<Output = ()>,
    {
        let call = Call { operation: self.call.operation, between };
        Retry { policy: self.policy, rules: self.rules, call }
    }
}

impl<'b, P, B, R, S, K, T, E> IntoFuture for Retry<'b, P, B, R, Call<S, K>>
where
    P: Platform,
    B: Backoff,
    R: Rules<T, E>,
    S: Start<Output = Result<T, E>>,
    K: Between<E>,
{
    type Output = Result<T, RetryError<E>>;
    type IntoFuture = Run<'b, Policy<'b, P, B>, R, S, K>;

    fn into_future(self) -> Self::IntoFuture {
        Run::new(self.policy, self.rules, self.call)
    }
}

impl<'b, P: Platform, B, R, O> Retry<'b, P, B, R, O> {
    fn map_rules<R2>(self, map: impl FnOnce(R) -> R2) -> Retry<'b, P, B, R2, O> {
        Retry { policy: self.policy, rules: map(self.rules), call: self.call }
    }
}

impl<P: Platform, B: Backoff> Policy<'_, P, B> {
    /// Whether it makes sense.
    #[inline]
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.terms.limits.max_attempts == 0 {
            return Err(ConfigError::MaxAttempts { value: 0 });
        }
        self.terms.backoff.check()
    }
}

impl<P: Platform, B: Clone> Clone for Policy<'_, P, B> {
    fn clone(&self) -> Self {
        let terms = Terms { limits: self.terms.limits, backoff: self.terms.backoff.clone() };
        Self { clock: self.clock.clone(), terms, seed: self.seed, budget: self.budget }
    }
}

impl<P: Platform<Clock: Copy>, B: Copy> Copy for Policy<'_, P, B> {}

impl<P: Platform, B: fmt::Debug> fmt::Debug for Policy<'_, P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("terms", &self.terms).field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl<P: Platform, B: Clone, R: Clone, O: Clone> Clone for Retry<'_, P, B, R, O> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), rules: self.rules.clone(), call: self.call.clone() }
    }
}

impl<P: Platform<Clock: Copy>, B: Copy, R: Copy, O: Copy> Copy for Retry<'_, P, B, R, O> {}

impl<P: Platform, B: fmt::Debug, R, O> fmt::Debug for Retry<'_, P, B, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<P: Platform<Clock: Ambient>> Default for Retry<'_, P> {
    fn default() -> Self {
        Self::new()
    }
}
