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
use crate::platform::{Platform, SMALL};
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
        call: Call<S, K>,
        #[pin]
        progress: Progress<Q, R, ErrorOf<S>, S::Run, K::Future>,
    }
}

pin_project! {
    /// How far a call has come. What it calls lies elsewhere, and is lent to it.
    pub struct Progress<Q: AsPolicy, R, E, A, B> {
        session: Session<Q, R, E>,
        #[pin]
        stage: Stage<A, B>,
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
        Self { call, progress: Progress::new(policy, rules) }
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
        let this = self.project();
        clear_at_panic(this.progress, Progress::give_up, |progress| progress.poll_call(this.call, cx))
    }
}

impl<Q: AsPolicy, R, E, A, B: Future<Output = ()>> Progress<Q, R, E, A, B> {
    #[inline]
    pub(crate) fn new(policy: Q, rules: R) -> Self {
        Self { session: Session::new(policy, rules), stage: Stage::Start, alarm: Alarm::new() }
    }

    /// Nothing starts any more, and what was paid for that goes back.
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.alarm.disarm();
        this.stage.set(Stage::Ended);
        this.session.give_up();
    }

    /// Goes on with the call, which is the same at each poll. Whoever polls it so drops it if that panics.
    // The way of a first attempt that succeeds is straight, and all else stands aside, as in `end`: most calls go no other.
    #[inline]
    pub(crate) fn poll_call<S, K, T>(
        mut self: Pin<&mut Self>,
        call: &mut Call<S, K>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, RetryError<E>>>
    where
        R: Rules<T, E>,
        S: Start<Output = Result<T, E>, Run = A>,
        K: Between<E, Future = B>,
    {
        loop {
            if !matches!(self.stage, Stage::Start | Stage::Attempt { .. })
                && let Err(error) = ready!(self.as_mut().poll_pause(&mut call.between, cx))
            {
                self.project().alarm.disarm();
                return Poll::Ready(Err(error));
            }
            let mut this = self.as_mut().project();
            if let StageProjection::Start = this.stage.as_mut().project() {
                if let Err(error) = this.session.check() {
                    this.stage.set(Stage::Ended);
                    return Poll::Ready(Err(RetryError::Config(error)));
                }
                this.session.start();
                let attempt = call.operation.start(|| this.session.describe());
                this.stage.set(Stage::Attempt { attempt });
            }
            let StageProjection::Attempt { attempt } = this.stage.as_mut().project() else { continue };
            let outcome = match call.operation.poll_run(attempt, cx) {
                Poll::Ready(Ok(value)) if !SMALL => return self.conclude(Some(Ok(value)), call.operation.may_repeat(), cx),
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => {
                    ready!(this.session.poll_cut_off(this.alarm, cx));
                    None
                }
            };
            return self.conclude(outcome, call.operation.may_repeat(), cx);
        }
    }

    /// The attempt has ended, or, without an outcome, was cut off.
    #[allow(clippy::inline_always, reason = "of a value's way little is left then, which is worth more than the call")]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn conclude<T>(
        self: Pin<&mut Self>,
        outcome: Option<Result<T, E>>,
        may_repeat: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, RetryError<E>>>
    where
        R: Rules<T, E>,
    {
        let mut this = self.project();
        // What the attempt holds is free before anything else happens.
        this.stage.set(Stage::Ended);
        match this.session.settle(outcome, may_repeat) {
            Step::Success(value) => {
                this.alarm.disarm();
                Poll::Ready(Ok(value))
            }
            Step::Failure(error) => {
                this.alarm.disarm();
                Poll::Ready(Err(error))
            }
            Step::Pause(pause) => {
                // No timer for nothing; but the other tasks have their turn, also when the pause is over already.
                if pause.is_none() || this.alarm.poll_until(this.session.clock(), pause.at, cx).is_ready() {
                    this.stage.set(Stage::Resume);
                    cx.waker().wake_by_ref();
                } else {
                    this.stage.set(Stage::Pause { at: pause.at });
                }
                Poll::Pending
            }
        }
    }

    /// Waits until the next attempt is to start.
    fn poll_pause<K, T>(self: Pin<&mut Self>, between: &mut K, cx: &mut Context<'_>) -> Poll<Result<(), RetryError<E>>>
    where
        R: Rules<T, E>,
        K: Between<E, Future = B>,
    {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Start | StageProjection::Attempt { .. } => return Poll::Ready(Ok(())),
                StageProjection::Pause { at } => {
                    ready!(this.alarm.as_mut().poll_until(this.session.clock(), *at, cx));
                    Ok(Stage::Resume)
                }
                StageProjection::Resume => this.session.check_deadline().map(|()| match between.begin(this.session.cause()) {
                    Some(between) => Stage::Between { between },
                    None => Stage::Start,
                }),
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
        let stage = match self.progress.stage {
            Stage::Start => "start",
            Stage::Attempt { .. } => "attempt",
            Stage::Pause { .. } | Stage::Resume => "pause",
            Stage::Between { .. } => "between",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).field("alarm", &self.progress.alarm).finish_non_exhaustive()
    }
}
