use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::error::{RetryError, StopReason};
use super::event::{Attempt, Cause, Event};
use super::policy::AsPolicy;
use super::rules::Rules;
use crate::alarm::Alarm;
use crate::attempts::{AttemptLoop, Pause, Stop};
use crate::backoff::Backoff;
use crate::config::ConfigError;
use crate::platform::Platform;
use crate::time::{Clock, Instant, lateness};
use crate::timeout::TimeoutError;

/// One call under way: the machine, and the policy and rules that it is driven by. The forms of a call differ only in who polls the attempts.
pub(super) struct Session<Q: AsPolicy, R, E> {
    policy: Q,
    attempts: AttemptLoop<<Q::Backoff as Backoff>::State>,
    rules: R,
    /// Whether a retry has been paid for, and has not started.
    paid: bool,
    /// How the last attempt ended that failed, if one has, and not by its value.
    last: Option<TimeoutError<E>>,
}

/// What follows an attempt.
pub(super) enum Step<T, E> {
    Success(T),
    Failure(RetryError<E>),
    Pause(Pause),
}

/// The call ends, by [`Session::past_deadline`].
pub(super) struct DeadlinePassed;

/// An attempt that is to be retried.
enum Failure<T, E> {
    Value(T),
    Error(TimeoutError<E>),
}

type SleepOf<Q> = <ClockOf<Q> as Clock>::Sleep;
type ClockOf<Q> = <<Q as AsPolicy>::Platform as Platform>::Clock;

impl<Q: AsPolicy, R, E> Session<Q, R, E> {
    #[inline]
    pub(super) fn new(policy: Q, rules: R) -> Self {
        Self { policy, attempts: AttemptLoop::new(), rules, paid: false, last: None }
    }

    pub(super) fn clock(&self) -> &ClockOf<Q> {
        &self.policy.policy().clock
    }

    /// Whether the policy makes sense; asked before an attempt.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[inline]
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.policy.policy().check()
    }

    /// An attempt starts; if it is a retry, that is spent.
    #[inline]
    pub(super) fn start(&mut self) {
        self.paid = false;
        self.attempts.start();
    }

    /// Notes when the attempt starts, if that matters, for whoever cannot poll it.
    pub(super) fn note_start(&mut self) {
        let policy = self.policy.policy();
        self.attempts.cut_off(&policy.terms.limits, || policy.clock.now());
    }

    /// The attempt that starts, for whoever wants to know.
    pub(super) fn describe(&mut self) -> Attempt {
        let now = self.clock().now();
        Attempt::new(self.attempts.attempt(), self.attempts.elapsed(now))
    }

    /// Polls the alarm that cuts off the attempt, which is pending.
    #[inline]
    pub(super) fn poll_cut_off(&mut self, alarm: Pin<&mut Alarm<SleepOf<Q>>>, cx: &mut Context<'_>) -> Poll<()> {
        let policy = self.policy.policy();
        let at = self.attempts.cut_off(&policy.terms.limits, || policy.clock.now());
        alarm.poll_until(&policy.clock, at, cx)
    }

    /// The attempt has ended, or, without an outcome, was cut off, and is dropped: decides what follows. `may_repeat` is whether the operation can be started again, whatever the policy allows.
    #[inline]
    pub(super) fn settle<T>(&mut self, outcome: Option<Result<T, E>>, may_repeat: bool) -> Step<T, E>
    where
        R: Rules<T, E>,
    {
        match outcome {
            Some(Ok(value)) if self.rules.retries(Ok(&value)) => self.failed(Ok(value), may_repeat),
            Some(Ok(value)) => {
                if let Some(budget) = self.policy.policy().budget {
                    budget.deposit();
                }
                self.rules.observe(&Event::Succeeded { attempts: self.attempts.attempt() });
                Step::Success(value)
            }
            Some(Err(error)) if self.rules.retries(Err(&error)) => self.failed(Err(error), may_repeat),
            Some(Err(error)) => {
                let attempts = self.attempts.attempt();
                self.rules.observe(&Event::Stopped { attempts, reason: StopReason::Refused });
                Step::Failure(RetryError::Refused { attempts, error })
            }
            None => self.cut_off(may_repeat),
        }
    }

    #[cold]
    fn failed<T>(&mut self, outcome: Result<T, E>, may_repeat: bool) -> Step<T, E>
    where
        R: Rules<T, E>,
    {
        let retry_after = self.rules.retry_after(outcome.as_ref());
        let failure = match outcome {
            Ok(value) => Failure::Value(value),
            Err(error) => Failure::Error(TimeoutError::Failed(error)),
        };
        let pause = self.decide(Instant::ORIGIN, retry_after, may_repeat);
        self.retry_or_stop(pause, failure)
    }

    #[cold]
    fn cut_off<T>(&mut self, may_repeat: bool) -> Step<T, E>
    where
        R: Rules<T, E>,
    {
        // The alarm has fired, so that its instant has come, whatever a coarser clock says.
        let limits = &self.policy.policy().terms.limits;
        let fired = self.attempts.cut_off(limits, || Instant::ORIGIN);
        if self.clock().now().max(fired) >= self.attempts.deadline(limits) {
            return Step::Failure(self.past_deadline::<T>());
        }
        let timed_out = TimeoutError::TimedOut { after: limits.attempt_timeout() };
        let pause = self.decide(fired, None, may_repeat);
        self.retry_or_stop(pause, Failure::Error(timed_out))
    }

    /// Goes on, or not, as has been decided.
    fn retry_or_stop<T>(&mut self, pause: Result<Pause, Stop>, failure: Failure<T, E>) -> Step<T, E>
    where
        R: Rules<T, E>,
    {
        let attempt = self.attempts.attempt();
        match pause {
            Ok(pause) => {
                // Noted before anybody is told, so that what was paid goes back if they panic.
                self.paid = true;
                self.last = match failure {
                    Failure::Value(_) => None,
                    Failure::Error(error) => Some(error),
                };
                let event = Event::Retrying { attempt, delay: pause.delay(), cause: cause(self.last.as_ref()) };
                self.rules.observe(&event);
                Step::Pause(pause)
            }
            Err(stop) => {
                self.rules.observe(&Event::Stopped { attempts: attempt, reason: stop.into() });
                match failure {
                    // The last value is the answer, as it is.
                    Failure::Value(value) => Step::Success(value),
                    Failure::Error(last) => Step::Failure(RetryError::stopped(stop, attempt, last)),
                }
            }
        }
    }

    /// Another attempt, if the machine and the budget allow it. It is `earliest` or later, whatever the clock says.
    fn decide(&mut self, earliest: Instant, retry_after: Option<Duration>, may_repeat: bool) -> Result<Pause, Stop> {
        if !may_repeat {
            return Err(Stop::Exhausted);
        }
        let policy = self.policy.policy();
        let seed = || policy.seed.unwrap_or_else(Q::Platform::random);
        let pause = self.attempts.failed(&policy.terms, || policy.clock.now().max(earliest), retry_after, seed)?;
        if let Some(budget) = policy.budget {
            budget.withdraw().ok_or(Stop::Budget)?.spend();
        }
        Ok(pause)
    }

    /// Nothing starts any more.
    pub(super) fn give_up(&mut self) {
        self.give_back();
        self.last = None;
    }

    /// What was paid for a retry that will not start goes back.
    #[cold]
    #[inline(never)]
    fn give_back(&mut self) {
        if mem::take(&mut self.paid)
            && let Some(budget) = self.policy.policy().budget
        {
            budget.give_back();
        }
    }

    /// Whether the deadline has passed while nobody looked. Only a clock that jumps does that: pauses end before it, or as much later as a timer may be late, and what runs between attempts is cut off at it.
    pub(super) fn check_deadline(&self) -> Result<(), DeadlinePassed> {
        let deadline = self.attempts.deadline(&self.policy.policy().terms.limits);
        let late = deadline.saturating_add_nanos(const { lateness::<ClockOf<Q>>() });
        if !deadline.is_never() && self.clock().now() > late { Err(DeadlinePassed) } else { Ok(()) }
    }

    /// What made the retry necessary.
    pub(super) fn cause(&self) -> Cause<'_, E> {
        cause(self.last.as_ref())
    }

    /// Polls what runs between two attempts, and then the deadline.
    pub(super) fn poll_between<F: Future<Output = ()>>(
        &self,
        between: Pin<&mut F>,
        alarm: Pin<&mut Alarm<SleepOf<Q>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), DeadlinePassed>> {
        if between.poll(cx).is_ready() {
            return Poll::Ready(self.check_deadline());
        }
        let deadline = self.attempts.deadline(&self.policy.policy().terms.limits);
        alarm.poll_until(self.clock(), deadline, cx).map(|()| Err(DeadlinePassed))
    }

    /// The call ends at its deadline.
    pub(super) fn past_deadline<T>(&mut self) -> RetryError<E>
    where
        R: Rules<T, E>,
    {
        let attempts = self.attempts.attempt();
        self.rules.observe(&Event::Stopped { attempts, reason: StopReason::Deadline });
        self.give_back();
        RetryError::Deadline { attempts, last: self.last.take() }
    }
}

impl<Q: AsPolicy, R, E> Drop for Session<Q, R, E> {
    #[inline]
    fn drop(&mut self) {
        if self.paid {
            self.give_back();
        }
    }
}

fn cause<E>(last: Option<&TimeoutError<E>>) -> Cause<'_, E> {
    match last {
        Some(TimeoutError::Failed(error)) => Cause::Error(error),
        Some(TimeoutError::TimedOut { .. }) => Cause::TimedOut,
        None => Cause::Value,
    }
}
