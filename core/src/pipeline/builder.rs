use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::time::Duration;

use super::error::PipelineError;
use super::layer::{Innermost, Layer, Stack};
use super::layers::{CircuitOf, FallbackLayer, LineOf, RetryRejected, TimeoutLayer};
use super::run::Run;
use crate::adaptive_limit::{self, AdaptiveLimit};
use crate::backoff::Backoff;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::{CircuitBreaker, KeyedCircuitBreaker, OfKey, Trip};
use crate::deadline::Deadline;
use crate::fallback::{OnlyIf, Value};
use crate::hedge::{Delay, Hedge};
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::platform::{Ambient, Platform};
use crate::rate_limiter::{self, Algorithm, Find, Lines, RateLimiter};
use crate::retry::Retry;
use crate::storage::Storage;

/// Patterns around one operation, in the order written, the outermost first.
///
/// It is plain data, `const` and `Copy`: what its calls share (a limiter, a breaker, a budget) lies elsewhere, and is referred to. So one pipeline serves any number of operations, may lie in a `static` ([`layers!`](crate::layers) spells its type), and is cheap enough to be made for a single call.
///
/// The module [`pipeline`](crate::pipeline) tells which order makes sense.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(5).open_for(secs(60)));
/// const RETRY: Retry = Retry::standard(&BUDGET);
///
/// async fn fetch_user(id: u32) -> Result<String, &'static str> { Ok(format!("user {id}")) }
///
/// let guarded = Pipeline::new().timeout(secs(10)).retry(RETRY).circuit_breaker(&BREAKER).timeout(secs(2));
/// let user = aplomb_sim::block_on(guarded.run(|| fetch_user(7)));
/// assert_eq!(user.as_deref(), Ok("user 7"));
/// ```
pub struct Pipeline<P: Platform, L = ()> {
    clock: P::Clock,
    layers: L,
}

/// A pipeline, and a layer within.
type With<P, L, N> = Pipeline<P, Stack<L, N>>;

impl<P: Platform<Clock: Ambient>> Pipeline<P> {
    /// No layer yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(Ambient::CLOCK)
    }
}

impl<P: Platform> Pipeline<P> {
    /// No layer yet, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock) -> Self {
        Self { clock, layers: () }
    }
}

/// Layers, each within those before.
impl<P: Platform<Clock: Copy>, L: Copy> Pipeline<P, L> {
    /// A layer of your own.
    #[must_use]
    pub const fn layer<N: Copy>(self, layer: N) -> With<P, L, N> {
        Pipeline { clock: self.clock, layers: Stack { outer: self.layers, inner: layer } }
    }

    /// Gives what is within so much time, from its first poll on. See [`timeout`](crate::timeout).
    #[must_use]
    pub const fn timeout(self, after: Duration) -> With<P, L, TimeoutLayer<P>> {
        let layer = TimeoutLayer::after(self.clock, after);
        self.layer(layer)
    }

    /// Gives what is within time until then.
    #[must_use]
    pub const fn timeout_at(self, deadline: Deadline) -> With<P, L, TimeoutLayer<P>> {
        let layer = TimeoutLayer::at(self.clock, deadline);
        self.layer(layer)
    }

    /// Starts what is within again when it fails, as the policy says. See [`retry`](crate::retry).
    ///
    /// The policy's rules judge the operation's own values and errors. What a timeout within has cut off is retried; what a limiter, breaker or bulkhead within has rejected is not: their answer would be the same, and they are there to spare the service. [`retry_rejected`](Pipeline::retry_rejected) retries that too.
    #[must_use]
    pub const fn retry<R: Platform<Clock: Copy>, B: Backoff + Copy, U: Copy>(
        self,
        policy: Retry<'_, R, B, U>,
    ) -> With<P, L, Retry<'_, R, B, U>> {
        self.layer(policy)
    }

    /// As [`retry`](Pipeline::retry), and what a layer within has rejected is retried too: when that layer says that it is worth it, if it does, and else as the backoff says. Mind [`retry_after_max`](Retry::retry_after_max): an open breaker may say "in a minute". One that is half-open is tried again as the backoff says: it knows no more than by when its probes have to have ended.
    #[must_use]
    pub const fn retry_rejected<R: Platform<Clock: Copy>, B: Backoff + Copy, U: Copy>(
        self,
        policy: Retry<'_, R, B, U>,
    ) -> With<P, L, RetryRejected<Retry<'_, R, B, U>>> {
        self.layer(RetryRejected::new(policy))
    }

    /// Waits for a permit. See [`rate_limiter`](crate::rate_limiter).
    #[must_use]
    pub const fn rate_limiter<R: Platform, A: Algorithm, S: Storage, V>(
        self,
        limiter: &RateLimiter<R, A, S, V>,
    ) -> With<P, L, &'_ RateLimiter<R, A, S, V>> {
        self.layer(limiter)
    }

    /// Waits for a permit, and for no longer than `max_wait`: what cannot have one by then is rejected at once, instead of waiting for nothing. ([`bulkhead`](Pipeline::bulkhead) and [`adaptive_limit`](Pipeline::adaptive_limit) have such a limit among their own settings.)
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1));
    ///
    /// aplomb_sim::block_on(async {
    ///     let guarded = Pipeline::new().rate_limiter_within(ms(500), &API);
    ///     let ask = async || Ok::<_, std::io::Error>(42);
    ///     assert_eq!(guarded.run(ask).await.ok(), Some(42));
    ///     assert!(guarded.run(ask).await.is_err_and(|error| error.is_rejected() && error.is_timeout()));
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 0);
    /// });
    /// ```
    #[must_use]
    #[allow(clippy::type_complexity, reason = "they are the parameters of a limiter")]
    pub const fn rate_limiter_within<R: Platform, A: Algorithm, S: Storage, V: SharedObserver<rate_limiter::Event>>(
        self,
        max_wait: Duration,
        limiter: &RateLimiter<R, A, S, V>,
    ) -> With<P, L, LineOf<'_, RateLimiter<R, A, S, V>, ()>> {
        self.layer(LineOf::new(limiter, ()).max_wait(max_wait))
    }

    /// Waits for a permit of that key.
    #[must_use]
    pub const fn keyed_rate_limiter<'b, K, Q>(self, limiter: &'b K, key: &'b Q) -> With<P, L, LineOf<'b, K, &'b Q>>
    where
        K: Lines,
        Q: ?Sized,
        &'b Q: Find<K>,
    {
        self.layer(LineOf::new(limiter, key))
    }

    /// As [`keyed_rate_limiter`](Pipeline::keyed_rate_limiter), and waits for no longer than `max_wait`, as [`rate_limiter_within`](Pipeline::rate_limiter_within).
    #[must_use]
    pub const fn keyed_rate_limiter_within<'b, K, Q>(
        self,
        max_wait: Duration,
        limiter: &'b K,
        key: &'b Q,
    ) -> With<P, L, LineOf<'b, K, &'b Q>>
    where
        K: Lines,
        Q: ?Sized,
        &'b Q: Find<K>,
    {
        self.layer(LineOf::new(limiter, key).max_wait(max_wait))
    }

    /// Rejects at once while the service is down. See [`circuit_breaker`](crate::circuit_breaker).
    ///
    /// The breaker's judge has the operation's own values and errors. What a timeout within has cut off is a failure; what a layer within has rejected counts as nothing.
    #[must_use]
    #[allow(clippy::type_complexity, reason = "they are the parameters of a breaker")]
    pub const fn circuit_breaker<R, T, B, J, S, V>(
        self,
        breaker: &CircuitBreaker<R, T, B, J, S, V>,
    ) -> With<P, L, &'_ CircuitBreaker<R, T, B, J, S, V>>
    where
        R: Platform,
        T: Trip,
        B: Backoff<State: Copy>,
        S: Storage,
    {
        self.layer(breaker)
    }

    /// Rejects at once while the service of that key is down.
    #[must_use]
    #[allow(clippy::type_complexity, reason = "they are the parameters of a breaker")]
    pub fn keyed_circuit_breaker<'b, Q, R, K, T, B, J, S, H, V, const SHARDS: usize>(
        self,
        breaker: &'b KeyedCircuitBreaker<R, K, T, B, J, S, H, SHARDS, V>,
        key: &'b Q,
    ) -> With<P, L, CircuitOf<OfKey<'b, KeyedCircuitBreaker<R, K, T, B, J, S, H, SHARDS, V>, Q>>>
    where
        R: Platform,
        K: Borrow<Q>,
        T: Trip + Copy,
        B: Backoff<State: Copy>,
        S: Storage,
        H: KeyHash,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        self.layer(CircuitOf::of_key(breaker, key))
    }

    /// Starts what is within once more when it is late or has failed, and takes what succeeds first. See [`hedge`](crate::hedge).
    ///
    /// The hedge's judge has the operation's own values and errors. What a timeout within has cut off has failed. When a layer within has rejected a start, no other is made, and what runs may succeed. What a hedge has cost that never came to the operation goes back, whether it was rejected or still waited within when the call ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let guarded = Pipeline::new().timeout(secs(10)).hedge(&HEDGE);
    ///     let mut starts = 0;
    ///     let answer = guarded.run(|| {
    ///         starts += 1;
    ///         let takes = if starts == 1 { secs(5) } else { ms(10) };
    ///         async move { aplomb_sim::sleep(takes).await; Ok::<_, std::io::Error>(42) }
    ///     });
    ///     assert_eq!(answer.await.ok(), Some(42));
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 60_000_000);
    /// });
    /// ```
    #[must_use]
    pub const fn hedge<R: Platform, D: Delay, S, J, V>(
        self,
        hedge: &Hedge<R, D, S, J, V>,
    ) -> With<P, L, &'_ Hedge<R, D, S, J, V>> {
        self.layer(hedge)
    }

    /// When what is within fails, runs what `alternative` makes of the error. See [`fallback`](mod@crate::fallback). What it is not for, it hands back; a configuration that makes no sense has no alternative.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(5));
    ///
    /// aplomb_sim::block_on(async {
    ///     BREAKER.force_open();
    ///     let guarded = Pipeline::new()
    ///         .fallback(|error| async move { if error.is_rejected() { Ok("as of yesterday") } else { Err(error) } })
    ///         .circuit_breaker(&BREAKER);
    ///     let news = guarded.run(|| async { Err::<_, std::io::Error>(std::io::ErrorKind::NotFound.into()) }).await;
    ///     assert_eq!(news.ok(), Some("as of yesterday"));
    /// });
    /// ```
    #[must_use]
    pub const fn fallback<A, Fut, T, E>(self, alternative: A) -> With<P, L, FallbackLayer<A>>
    where
        A: Fn(PipelineError<E>) -> Fut + Copy,
        Fut: Future<Output = Result<T, PipelineError<E>>>,
    {
        self.layer(FallbackLayer::new(alternative))
    }

    /// When what is within fails, ends with `value`; but for a configuration that makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let guarded = Pipeline::new().fallback_value(0).timeout(ms(10));
    /// let count = aplomb_sim::block_on(guarded.run(|| std::future::pending::<Result<u32, std::io::Error>>()));
    /// assert_eq!(count.ok(), Some(0));
    /// ```
    #[must_use]
    pub const fn fallback_value<T: Copy>(self, value: T) -> With<P, L, FallbackLayer<Value<T>>> {
        self.layer(FallbackLayer::new(Value(value)))
    }

    /// As [`fallback`](Pipeline::fallback), only for errors of which `predicate` is true; all others are handed on as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let guarded = Pipeline::new()
    ///     .fallback_if(PipelineError::is_timeout, |_| async { Ok("as of yesterday") })
    ///     .timeout(ms(10));
    /// let missing = || async { Err(std::io::Error::from(std::io::ErrorKind::NotFound)) };
    /// assert!(aplomb_sim::block_on(guarded.run(missing)).is_err(), "that there is none is worth knowing");
    /// ```
    #[must_use]
    pub const fn fallback_if<C, A, Fut, T, E>(self, predicate: C, alternative: A) -> With<P, L, FallbackLayer<OnlyIf<A, C>>>
    where
        C: Fn(&PipelineError<E>) -> bool + Copy,
        A: Fn(PipelineError<E>) -> Fut + Copy,
        Fut: Future<Output = Result<T, PipelineError<E>>>,
    {
        self.layer(FallbackLayer::new(alternative).fallback_if(predicate))
    }

    /// As [`fallback_value`](Pipeline::fallback_value), only for errors of which `predicate` is true.
    #[must_use]
    pub const fn fallback_value_if<C, T: Copy, E>(self, predicate: C, value: T) -> With<P, L, FallbackLayer<OnlyIf<Value<T>, C>>>
    where
        C: Fn(&PipelineError<E>) -> bool + Copy,
    {
        self.layer(FallbackLayer::new(Value(value)).fallback_if(predicate))
    }

    /// Waits for a place, of as many as the service bears. See [`adaptive_limit`](crate::adaptive_limit).
    ///
    /// The limit's judge has the operation's own values and errors. What a timeout within has cut off is a sign of overload; what a layer within has rejected counts as nothing.
    #[must_use]
    pub const fn adaptive_limit<
        R: Platform,
        A: adaptive_limit::Algorithm,
        J,
        S: Storage,
        V: SharedObserver<adaptive_limit::Event>,
    >(
        self,
        limit: &AdaptiveLimit<R, A, J, S, V>,
    ) -> With<P, L, &'_ AdaptiveLimit<R, A, J, S, V>> {
        self.layer(limit)
    }

    /// Waits for a place. See [`bulkhead`](crate::bulkhead).
    #[must_use]
    pub const fn bulkhead<R: Platform, S: Storage, V>(self, bulkhead: &Bulkhead<R, S, V>) -> With<P, L, &'_ Bulkhead<R, S, V>> {
        self.layer(bulkhead)
    }
}

impl<P: Platform, L> Pipeline<P, L> {
    /// Runs the operation within all layers. It is started as often as they say.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] tells how the last attempt ended, and which layer ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: RateLimiter = checked!(RateLimiter::new(Rate::per_second(100)));
    ///
    /// async fn fetch(path: &str) -> Result<usize, &'static str> { Ok(path.len()) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let guarded = Pipeline::new().rate_limiter(&API).timeout(secs(2));
    ///     let path = String::from("/users");
    ///     assert_eq!(guarded.run(|| fetch(&path)).await, Ok(6));
    /// });
    /// ```
    #[inline]
    pub fn run<'p, F, Fut, T, E>(&'p self, operation: F) -> Run<L::Operation>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        L: Layer<'p, Innermost<F>, Operation: Operation<Output = Result<T, PipelineError<E>>>>,
    {
        self.run_operation(operation)
    }

    /// As [`run`](Pipeline::run), with an [`Operation`] that is no closure: the call's future has a name then.
    ///
    /// # Errors
    ///
    /// As [`run`](Pipeline::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::Operation;
    /// use aplomb_sim::prelude::*;
    /// use core::{pin::Pin, task::{Context, Poll}};
    ///
    /// /// A message that is sent once only, whatever the layers say.
    /// struct Message(u32);
    ///
    /// impl Operation for Message {
    ///     type Output = Result<(), &'static str>;
    ///     type Run = ();
    ///
    ///     fn start(&mut self) { self.0 += 1; }
    ///
    ///     fn poll_run(&mut self, _run: Pin<&mut ()>, _cx: &mut Context<'_>) -> Poll<Self::Output> { Poll::Ready(Err("lost")) }
    ///
    ///     fn may_repeat(&self) -> bool { false }
    /// }
    ///
    /// let guarded = Pipeline::new().retry(Retry::new().max_attempts(3)).timeout(secs(2));
    /// let lost = aplomb_sim::block_on(guarded.run_operation(Message(0))).unwrap_err();
    /// assert_eq!(lost.attempts(), 1);
    /// ```
    #[inline]
    pub fn run_operation<'p, O, T, E>(&'p self, operation: O) -> Run<L::Operation>
    where
        O: Operation<Output = Result<T, E>>,
        L: Layer<'p, Innermost<O>, Operation: Operation<Output = Result<T, PipelineError<E>>>>,
    {
        Run::new(self.layers.wrap(0, Innermost::new(operation)))
    }
}

impl<P: Platform, L: Clone> Clone for Pipeline<P, L> {
    fn clone(&self) -> Self {
        Self { clock: self.clock.clone(), layers: self.layers.clone() }
    }
}

impl<P: Platform<Clock: Copy>, L: Copy> Copy for Pipeline<P, L> {}

impl<P: Platform<Clock: Ambient>> Default for Pipeline<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform, L: fmt::Debug> fmt::Debug for Pipeline<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("layers", &self.layers).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, L: defmt::Format> defmt::Format for Pipeline<P, L> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Pipeline {{ layers: {}, .. }}", self.layers);
    }
}
