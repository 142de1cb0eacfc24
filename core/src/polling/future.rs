use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::PollError;
use super::event::PollEvent;
use super::settings::{Errors, Polling};
use crate::alarm::Alarm;
use crate::attempts::{AttemptLoop, Pause, Stop};
use crate::backoff::Backoff;
use crate::observe::Observer;
use crate::platform::Platform;
use crate::time::{Clock, Instant, lateness, nanos};

pin_project! {
    /// Polling under way; made by awaiting a [`Polling`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the attempt that is under way, or the pause, and the last value. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<P: Platform, O, U, B: Backoff, N, Fut, T, E> {
        session: Session<P, O, U, B, N, T, E>,
        #[pin]
        stage: Stage<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Begin,
        Pause { at: Instant },
        // The next attempt is to start.
        Start,
        Attempt { #[pin] attempt: F },
        Ended,
    }
}

/// The settings, and where it stands.
struct Session<P: Platform, O, U, B: Backoff, N, T, E> {
    polling: Polling<P, O, U, B, N>,
    attempts: AttemptLoop<B::State>,
    errors_in_a_row: u32,
    last: Option<Result<T, E>>,
}

/// What follows an attempt: the next one, at that instant or at once; or the end.
type Step<T, E> = Result<Option<Instant>, Result<T, PollError<T, E>>>;

impl<P: Platform, O, U, B: Backoff, N, Fut, T, E> Run<P, O, U, B, N, Fut, T, E> {
    pub(super) fn new(polling: Polling<P, O, U, B, N>) -> Self {
        let session = Session { polling, attempts: AttemptLoop::new(), errors_in_a_row: 0, last: None };
        Self { session, stage: Stage::Begin, alarm: Alarm::new() }
    }
}

impl<P, O, U, B, N, Fut, T, E> Future for Run<P, O, U, B, N, Fut, T, E>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    U: FnMut(&T) -> bool,
    B: Backoff,
    N: for<'e> Observer<PollEvent<'e, T, E>>,
{
    type Output = Result<T, PollError<T, E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.as_mut().poll_result(cx);
        if polled.is_ready() {
            self.project().alarm.disarm();
        }
        polled
    }
}

impl<P, O, U, B, N, Fut, T, E> Run<P, O, U, B, N, Fut, T, E>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    U: FnMut(&T) -> bool,
    B: Backoff,
    N: for<'e> Observer<PollEvent<'e, T, E>>,
{
    fn poll_result(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, PollError<T, E>>> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Begin => this.session.begin().map(|at| match at {
                    Some(at) => Stage::Pause { at },
                    None => Stage::Start,
                }),
                StageProjection::Pause { at } => {
                    ready!(this.alarm.as_mut().poll_until(&this.session.polling.clock, *at, cx));
                    this.session.check_deadline(*at).map(|()| Stage::Start)
                }
                StageProjection::Start => Ok(Stage::Attempt { attempt: this.session.start() }),
                StageProjection::Attempt { attempt } => {
                    let outcome = match attempt.poll(cx) {
                        Poll::Ready(outcome) => outcome,
                        Poll::Pending => {
                            let at = this.session.cut_off();
                            ready!(this.alarm.as_mut().poll_until(&this.session.polling.clock, at, cx));
                            this.stage.set(Stage::Ended);
                            return Poll::Ready(Err(this.session.past_deadline()));
                        }
                    };
                    // What the attempt holds is free before anything else happens.
                    this.stage.set(Stage::Ended);
                    match this.session.settle(outcome) {
                        Err(result) => return Poll::Ready(result),
                        Ok(next) => {
                            let clock = &this.session.polling.clock;
                            // No timer for nothing; but the other tasks have their turn, also when the pause is over already.
                            if let Some(at) = next.filter(|at| this.alarm.as_mut().poll_until(clock, *at, cx).is_pending()) {
                                this.stage.set(Stage::Pause { at });
                            } else {
                                cx.waker().wake_by_ref();
                                this.stage.set(Stage::Start);
                            }
                            return Poll::Pending;
                        }
                    }
                }
                StageProjection::Ended => return Poll::Pending,
            };
            match next {
                Ok(next) => this.stage.set(next),
                Err(error) => {
                    this.stage.set(Stage::Ended);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl<P, O, U, B, N, Fut, T, E> Session<P, O, U, B, N, T, E>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    U: FnMut(&T) -> bool,
    B: Backoff,
    N: for<'e> Observer<PollEvent<'e, T, E>>,
{
    /// When the first attempt is to start, if not at once.
    fn begin(&mut self) -> Result<Option<Instant>, PollError<T, E>> {
        if let Some(error) = self.polling.config_error() {
            return Err(PollError::Config(error));
        }
        let delay = self.polling.initial_delay;
        if delay == 0 {
            return Ok(None);
        }
        let now = self.polling.clock.now();
        self.attempts.note(now);
        let at = now.saturating_add_nanos(delay);
        if at > self.attempts.deadline(&self.polling.terms.limits) { Err(self.past_deadline()) } else { Ok(Some(at)) }
    }

    fn start(&mut self) -> Fut {
        self.attempts.start();
        let Polling { grid, clock, operation, .. } = &mut self.polling;
        if let Some(grid) = grid {
            grid.start(|| clock.now());
        }
        operation()
    }

    /// When an attempt under way is cut off.
    fn cut_off(&mut self) -> Instant {
        let Self { polling, attempts, .. } = self;
        attempts.cut_off(&polling.terms.limits, || polling.clock.now())
    }

    /// Whether the deadline has passed while nobody looked, as only a clock that jumps does.
    fn check_deadline(&mut self, at: Instant) -> Result<(), PollError<T, E>> {
        let deadline = self.attempts.deadline(&self.polling.terms.limits);
        let late = deadline.saturating_add_nanos(const { lateness::<P::Clock>() });
        if !deadline.is_never() && self.polling.clock.now().max(at) > late { Err(self.past_deadline()) } else { Ok(()) }
    }

    fn past_deadline(&mut self) -> PollError<T, E> {
        let attempts = self.attempts.attempt();
        self.polling.observer.observe(&PollEvent::Stopped { attempts });
        PollError::Deadline { attempts, last: self.last.take() }
    }

    /// The attempt has ended, and is dropped: decides what follows.
    fn settle(&mut self, outcome: Result<T, E>) -> Step<T, E> {
        let attempts = self.attempts.attempt();
        let outcome = match outcome {
            Ok(value) if (self.polling.until)(&value) => {
                self.polling.observer.observe(&PollEvent::Done { attempts });
                return Err(Ok(value));
            }
            Ok(value) => {
                self.errors_in_a_row = 0;
                Ok(value)
            }
            Err(error) => {
                self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
                if matches!(self.polling.errors, Errors::InARow(most) if self.errors_in_a_row > most) {
                    self.polling.observer.observe(&PollEvent::Stopped { attempts });
                    return Err(Err(PollError::Failed { attempts, error }));
                }
                Err(error)
            }
        };
        match self.pause() {
            Ok((pause, next)) => {
                let outcome = self.last.insert(outcome);
                self.polling.observer.observe(&PollEvent::Pending { attempt: attempts, outcome, delay: pause.delay() });
                Ok(next)
            }
            Err(stop) => {
                self.polling.observer.observe(&PollEvent::Stopped { attempts });
                Err(Err(match stop {
                    Stop::Deadline => PollError::Deadline { attempts, last: Some(outcome) },
                    Stop::Exhausted | Stop::Budget => PollError::Exhausted { attempts, last: outcome },
                }))
            }
        }
    }

    /// The pause before another attempt, if there is to be one, and until when to sleep, if at all.
    fn pause(&mut self) -> Result<(Pause, Option<Instant>), Stop> {
        let Self { polling, attempts, .. } = self;
        let tick = const { nanos(<P::Clock as Clock>::TICK) };
        let on_grid = polling.grid.as_mut().map(|grid| {
            let now = polling.clock.now();
            (now, grid.next(now, tick))
        });
        let now = || on_grid.map_or_else(|| polling.clock.now(), |(now, _)| now);
        let pause = attempts.failed(&polling.terms, now, on_grid.map(|(now, point)| point - now), P::random)?;
        // By a clock that ticks, a point of the grid that has come is not over, and waited for.
        let next = match on_grid {
            Some((_, point)) if tick > 0 => Some(point),
            _ => (!pause.is_none()).then_some(pause.at),
        };
        Ok((pause, next))
    }
}

impl<P: Platform, O, U, B: Backoff, N, Fut, T, E> fmt::Debug for Run<P, O, U, B, N, Fut, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Begin | Stage::Start => "start",
            Stage::Pause { .. } => "pause",
            Stage::Attempt { .. } => "attempt",
            Stage::Ended => "ended",
        };
        let attempts = self.session.attempts.attempt();
        f.debug_struct("Run").field("stage", &stage).field("attempts", &attempts).finish_non_exhaustive()
    }
}
