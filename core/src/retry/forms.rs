//! The forms of a call: what a policy is given an operation by.

use core::future::{Future, IntoFuture};
use core::time::Duration;

use super::call::{Between, Call, Nothing, Numbered, Plain, Start};
use super::error::RetryError;
use super::event::{Attempt, Cause, Event};
use super::future::Run;
use super::lent::{self, Captured, Lend, Repetition, With};
use super::policy::{Policy, Retry};
use super::rules::{Notify, RetryAfter, RetryIf, RetryIfValue, Rules};
use super::session::{DeadlinePassed, Session, Step};
use crate::attempts::Terms;
use crate::backoff::Backoff;
use crate::config::ConfigError;
use crate::fused::Fused;
use crate::observe::Observer;
use crate::operation::{Lending, Operation};
use crate::platform::Platform;

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
    pub fn run<'p, F, Fut, T, E>(&'p self, operation: F) -> Run<&'p Policy<'b, P, B>, R, Plain<F>, Nothing>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        R: Rules<T, E> + Clone,
    {
        let call = Call { operation: Plain(operation), between: Nothing };
        Run::new(&self.policy, self.rules.clone(), call)
    }

    /// As [`run`](Retry::run), with an operation that borrows a context mutably for each attempt. It works under `tokio::spawn` too, with an error type that has no
    /// lifetime in it; of `&'static str` the compiler cannot see there that it is always the same.
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
        self.run_with_between(context, operation, async |_: &mut C| {})
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
    /// let answer = RETRY.run_with_between(&mut bus, async |bus| bus.read().await, async |bus| bus.reset().await);
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
        K: for<'a> Lending<&'a mut C, ()>,
        R: Rules<T, E> + Clone,
    {
        Fused::new(self.run_lent(With { context, operation, between }, Repetition::Allowed))
    }

    /// As [`run_with_between`](Retry::run_with_between), for an operation of which only its caller knows whether it can be repeated.
    pub(crate) fn run_lent<L, T, E>(&self, lend: L, repetition: Repetition) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        L: Lend<T, E>,
        R: Rules<T, E> + Clone,
    {
        lent::run(self.session(), lend, repetition)
    }

    /// Whether the settings make sense, the backoff's too.
    pub(crate) fn check_settings(&self) -> Result<(), ConfigError> {
        self.policy.check()
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
        Fused::new(self.run_lent(Captured(operation), Repetition::Allowed))
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
            match session.settle(Some(operation()), true) {
                Step::Success(value) => return Ok(value),
                Step::Failure(error) => return Err(error),
                Step::Pause(pause) if pause.is_none() => {}
                Step::Pause(pause) => sleep(pause.delay()),
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

    /// As [`call`](Retry::call), with an [`Operation`] that is no closure: the call's future has a name then.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::Operation;
    /// use aplomb_sim::prelude::*;
    /// use core::{pin::Pin, task::{Context, Poll}};
    ///
    /// /// Answers when it has been asked often enough.
    /// struct Reluctant { refusals: u32 }
    ///
    /// impl Operation for Reluctant {
    ///     type Output = Result<u32, &'static str>;
    ///     type Run = ();
    ///
    ///     fn start(&mut self) {}
    ///
    ///     fn poll_run(&mut self, _run: Pin<&mut ()>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
    ///         Poll::Ready(match self.refusals.checked_sub(1) {
    ///             None => Ok(42),
    ///             Some(left) => { self.refusals = left; Err("not yet") }
    ///         })
    ///     }
    ///
    ///     fn may_repeat(&self) -> bool { true }
    /// }
    ///
    /// static RETRY: Retry = Retry::new();
    ///
    /// let answer = aplomb_sim::block_on(async { RETRY.call_operation(Reluctant { refusals: 2 }).await });
    /// assert_eq!(answer, Ok(42));
    /// ```
    pub fn call_operation<O, T, E>(self, operation: O) -> Retry<'b, P, B, R, Call<Plain<O>>>
    where
        O: Operation<Output = Result<T, E>>,
    {
        self.with_call(Call { operation: Plain(operation), between: Nothing })
    }

    fn with_call<O>(self, call: O) -> Retry<'b, P, B, R, O> {
        Retry { policy: self.policy, rules: self.rules, call }
    }

    fn session<E>(&self) -> Session<&Policy<'b, P, B>, R, E>
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
        F: FnMut(Result<&T, &E>) -> Option<Duration>,
    {
        self.map_rules(|rules| RetryAfter { rules, delay })
    }

    /// Tells `observer` what is decided: each retry before its pause, and the end.
    #[must_use]
    pub fn notify<F: FnMut(&Event<'_, E>)>(self, observer: F) -> Retry<'b, P, B, Notify<R, F>, Call<S, K>> {
        self.map_rules(|rules| Notify { rules, observer })
    }

    /// As [`notify`](Retry::notify), with an observer that is no closure.
    #[must_use]
    pub fn observed_by<V>(self, observer: V) -> Retry<'b, P, B, Notify<R, V>, Call<S, K>>
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
    type IntoFuture = Run<Policy<'b, P, B>, R, S, K>;

    fn into_future(self) -> Self::IntoFuture {
        Run::new(self.policy, self.rules, self.call)
    }
}

impl<'b, P: Platform, B, R, O> Retry<'b, P, B, R, O> {
    fn map_rules<R2>(self, map: impl FnOnce(R) -> R2) -> Retry<'b, P, B, R2, O> {
        Retry { policy: self.policy, rules: map(self.rules), call: self.call }
    }
}
