use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::call::{Between, Call, Start};
use super::error::RetryError;
use super::policy::AsPolicy;
use super::rules::Rules;
use super::session::{Session, Step};
use crate::alarm::Alarm;
use crate::operation::Fallible;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::time::{Clock, Instant};

/// The error that an operation ends with.
type ErrorOf<S> = <<S as Start>::Output as Fallible>::Error;
/// The timer of a policy's platform.
type SleepOf<Q> = <<<Q as AsPolicy>::Platform as Platform>::Clock as Clock>::Sleep;

pin_project! {
    /// A call that is retried; made by [`Retry::run`](super::Retry::run), or by awaiting a call.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the attempt that is under way, or the pause. What a retry costs goes back to the budget if it has not started; so it does if what you gave it panics.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<Q: AsPolicy, R, S: Start, K: Between<ErrorOf<S>>>
    where
        S::Output: Fallible,
    {
        session: Session<Q, R, ErrorOf<S>>,
        call: Call<S, K>,
        #[pin]
        stage: Stage<S::Future, K::Future>,
        #[pin]
        alarm: Alarm<SleepOf<Q>>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<A, B> {
        // The next attempt is to start.
        Start,
        Attempt { #[pin] attempt: A },
        Pause { at: Instant },
        // The pause is over.
        Resume,
        Between { #[pin] between: B },
        Ended,
    }
}

impl<Q, R, S, K> Run<Q, R, S, K>
where
    Q: AsPolicy,
    S: Start<Output: Fallible>,
    K: Between<ErrorOf<S>>,
{
    #[inline]
    pub(super) fn new(policy: Q, rules: R, call: Call<S, K>) -> Self {
        Self { session: Session::new(policy, rules), call, stage: Stage::Start, alarm: Alarm::new() }
    }
}

impl<Q, R, S, K, T, E> Future for Run<Q, R, S, K>
where
    Q: AsPolicy,
    R: Rules<T, E>,
    S: Start<Output = Result<T, E>>,
    K: Between<E>,
{
    type Output = Result<T, RetryError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_result(cx))
    }
}

impl<Q, R, S, K, T, E> Run<Q, R, S, K>
where
    Q: AsPolicy,
    R: Rules<T, E>,
    S: Start<Output = Result<T, E>>,
    K: Between<E>,
{
    /// Nothing starts any more, and what was paid for that goes back.
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.stage.set(Stage::Ended);
        this.session.give_up();
    }

    // The way of a first attempt that succeeds is straight, and all else stands aside: most calls go no other.
    #[inline]
    fn poll_result(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, RetryError<E>>> {
        loop {
            if !matches!(self.stage, Stage::Start | Stage::Attempt { .. })
                && let Err(error) = ready!(self.as_mut().poll_pause(cx))
            {
                return Poll::Ready(Err(error));
            }
            let mut this = self.as_mut().project();
            if let StageProjection::Start = this.stage.as_mut().project() {
                if let Err(error) = this.session.check() {
                    this.stage.set(Stage::Ended);
                    return Poll::Ready(Err(RetryError::Config(error)));
                }
                this.session.start();
                let attempt = this.call.operation.start(|| this.session.describe());
                this.stage.set(Stage::Attempt { attempt });
            }
            let StageProjection::Attempt { attempt } = this.stage.as_mut().project() else { continue };
            let outcome = ready!(this.session.poll_attempt(attempt, this.alarm.as_mut(), cx));
            // What the attempt holds is free before anything else happens.
            this.stage.set(Stage::Ended);
            match this.session.settle(outcome) {
                Step::End(result) => return Poll::Ready(result),
                Step::Pause(pause) => {
                    // No timer for nothing; but the other tasks have their turn, also when the pause is over already.
                    if pause.delay.is_zero() || this.alarm.poll_until(this.session.clock(), pause.at, cx).is_ready() {
                        this.stage.set(Stage::Resume);
                        cx.waker().wake_by_ref();
                    } else {
                        this.stage.set(Stage::Pause { at: pause.at });
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Waits until the next attempt is to start.
    fn poll_pause(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), RetryError<E>>> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Start | StageProjection::Attempt { .. } => return Poll::Ready(Ok(())),
                StageProjection::Pause { at } => {
                    ready!(this.alarm.as_mut().poll_until(this.session.clock(), *at, cx));
                    Ok(Stage::Resume)
                }
                StageProjection::Resume => this
                    .session
                    .check_deadline()
                    .map(|()| Stage::Between { between: this.call.between.begin(this.session.cause()) }),
                StageProjection::Between { between } => {
                    ready!(this.session.poll_between(between, this.alarm.as_mut(), cx)).map(|()| Stage::Start)
                }
                StageProjection::Ended => return Poll::Pending,
            };
            let Ok(next) = next else {
                this.stage.set(Stage::Ended);
                return Poll::Ready(Err(this.session.past_deadline::<T>()));
            };
            this.stage.set(next);
        }
    }
}

impl<Q, R, S, K> fmt::Debug for Run<Q, R, S, K>
where
    Q: AsPolicy,
    S: Start<Output: Fallible>,
    K: Between<ErrorOf<S>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start => "start",
            Stage::Attempt { .. } => "attempt",
            Stage::Pause { .. } | Stage::Resume => "pause",
            Stage::Between { .. } => "between",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).field("alarm", &self.alarm).finish_non_exhaustive()
    }
}
