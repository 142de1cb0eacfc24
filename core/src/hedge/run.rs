use core::fmt;
use core::future::Future;
use core::ops::{ControlFlow, Deref};
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::delay::Delay;
use super::error::HedgeError;
use super::event::{Cause, Event};
use super::judge::Verdict;
use super::settings::{Hedge, Hedging};
use crate::alarm::Alarm;
use crate::children::{PinnedStorage, Places};
use crate::judge::Judge;
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::time::{Clock, Instant, nanos};

/// The timer of the platform of what `B` points to.
type SleepOf<B> = <<<<B as Deref>::Target as Hedging>::Platform as Platform>::Clock as Clock>::Sleep;
/// Where hedges of what `B` points to lie.
type PlacesOf<B, R> = <<<B as Deref>::Target as Hedging>::Storage as PinnedStorage>::Places<R>;

pin_project! {
    /// A call that is hedged; made by [`Hedge::run`], [`Hedge::run_numbered`] and [`Hedge::run_operation`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops all that has been started, and starts no more. What hedges have cost is spent, but for those that, in a pipeline, have not come to the operation. If the operation panics, all is dropped at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<B, F>
    where
        B: Deref,
        B::Target: Hedging,
        F: Operation,
    {
        operation: F,
        #[pin]
        progress: Progress<B, F::Run, F::Output>,
    }
}

pin_project! {
    /// How far a call has come. What it calls lies elsewhere, and is lent to it.
    pub struct Progress<B, R, X>
    where
        B: Deref,
        B::Target: Hedging,
    {
        hedge: B,
        #[pin]
        first: Option<R>,
        // Each in the place of its number: none is used twice.
        #[pin]
        hedges: PlacesOf<B, R>,
        #[pin]
        alarm: Alarm<SleepOf<B>>,
        count: Count,
        // Of the operation itself, in case that no other start comes to it.
        failed: Option<X>,
    }

    impl<B, R, X> PinnedDrop for Progress<B, R, X>
    where
        B: Deref,
        B::Target: Hedging,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.count.pay_back(&**this.hedge);
        }
    }
}

/// What has been started, and what is to come.
#[derive(Debug, Clone, Copy)]
struct Count {
    stage: Stage,
    started: u32,
    running: u32,
    /// How many hedges may come.
    left: u32,
    /// Those that have not come to the operation yet, where that is known: a bit for each of [`MOST_HEDGES`](super::settings::MOST_HEDGES).
    waiting: u32,
    /// Nanoseconds.
    delay: u64,
    /// When the newest is late.
    due: Instant,
    /// When the first was found pending.
    since: Instant,
}

impl Count {
    /// What runs is dropped: what those have cost that still wait goes back.
    fn pay_back<H: Hedging + ?Sized>(&mut self, hedge: &H) {
        let waiting = core::mem::take(&mut self.waiting).count_ones();
        if waiting > 0 {
            hedge.pay_back(waiting);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unpolled,
    Running,
    Ended,
}

impl<P, D, S, J, O, B, F, T, E> Run<B, F>
where
    P: Platform,
    D: Delay,
    S: PinnedStorage,
    J: Judge<T, E, Verdict>,
    O: SharedObserver<Event>,
    B: Deref<Target = Hedge<P, D, S, J, O>>,
    F: Operation<Output = Result<T, E>>,
{
    pub(super) fn new(hedge: B, operation: F) -> Self {
        Self { operation, progress: Progress::new(hedge) }
    }
}

impl<P, D, S, J, O, B, F, T, E> Future for Run<B, F>
where
    P: Platform,
    D: Delay,
    S: PinnedStorage,
    J: Judge<T, E, Verdict>,
    O: SharedObserver<Event>,
    B: Deref<Target = Hedge<P, D, S, J, O>>,
    F: Operation<Output = Result<T, E>>,
{
    type Output = Result<T, HedgeError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.progress.poll_call(this.operation, |judge, outcome| Some(judge.judge(outcome)), cx)
    }
}

impl<P, D, S, J, O, B, R, T, E> Progress<B, R, Result<T, E>>
where
    P: Platform,
    D: Delay,
    S: PinnedStorage,
    O: SharedObserver<Event>,
    B: Deref<Target = Hedge<P, D, S, J, O>>,
{
    #[inline]
    pub(crate) fn new(hedge: B) -> Self {
        let count = Count {
            stage: Stage::Unpolled,
            started: 0,
            running: 0,
            left: hedge.terms.max_hedges,
            waiting: 0,
            delay: 0,
            due: Instant::MAX,
            since: Instant::MAX,
        };
        let expected = usize::try_from(hedge.terms.max_hedges).unwrap_or(usize::MAX);
        Self { hedge, first: None, hedges: Places::new(expected), alarm: Alarm::new(), count, failed: None }
    }

    /// Goes on with the call, which is the same at each poll. `verdict` tells what the judge thinks of an outcome; nothing, if that start never came to the operation, and no other would.
    #[inline]
    pub(crate) fn poll_call<F>(
        self: Pin<&mut Self>,
        operation: &mut F,
        verdict: impl Fn(&J, Result<&T, &E>) -> Option<Verdict>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, HedgeError<E>>>
    where
        F: Operation<Run = R, Output = Result<T, E>>,
    {
        clear_at_panic(self, Self::end, |mut progress| {
            let next = match progress.count.stage {
                Stage::Unpolled => match progress.as_mut().poll_first(operation, &verdict, cx) {
                    Some(result) => return Poll::Ready(result),
                    None => 1,
                },
                Stage::Running => 0,
                Stage::Ended => return Poll::Pending,
            };
            progress.poll_from(next, operation, &verdict, cx)
        })
    }

    /// Drops all that runs, and starts no more.
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.count.stage = Stage::Ended;
        this.alarm.disarm();
        this.count.pay_back(&**this.hedge);
        *this.failed = None;
        this.first.set(None);
        for hedge in 1..this.count.started {
            if let Some(mut place) = this.hedges.as_mut().place(place_of(hedge)) {
                place.set(None);
            }
        }
    }

    /// Starts it for the first time, and polls it. If it has not ended the call, there is more to poll.
    #[inline]
    fn poll_first<F>(
        mut self: Pin<&mut Self>,
        operation: &mut F,
        verdict: &impl Fn(&J, Result<&T, &E>) -> Option<Verdict>,
        cx: &mut Context<'_>,
    ) -> Option<Result<T, HedgeError<E>>>
    where
        F: Operation<Run = R, Output = Result<T, E>>,
    {
        let mut this = self.as_mut().project();
        if let Some(error) = this.hedge.wrong() {
            this.count.stage = Stage::Ended;
            return Some(Err(HedgeError::Config(error)));
        }
        this.count.stage = Stage::Running;
        this.first.set(Some(operation.start()));
        (this.count.started, this.count.running) = (1, 1);
        let outcome = self.as_mut().poll_start(0, operation, cx);
        let this = self.as_mut().project();
        if !operation.may_repeat() {
            this.count.left = 0;
        }
        let Poll::Ready(outcome) = outcome else {
            this.count.delay = this.hedge.count(false);
            let now = this.hedge.clock.now();
            (this.count.since, this.count.due) = (now, now.saturating_add_nanos(this.count.delay));
            return None;
        };
        let verdict_of_first = verdict(&this.hedge.judge, outcome.as_ref());
        let succeeded = verdict_of_first == Some(Verdict::Success);
        this.count.delay = this.hedge.count(succeeded);
        if succeeded {
            this.count.stage = Stage::Ended;
            return Some(outcome.map_err(|error| HedgeError::Fatal { attempts: 1, error }));
        }
        match self.as_mut().failed(0, outcome, verdict_of_first, operation) {
            ControlFlow::Break(ended) => Some(ended),
            ControlFlow::Continue(places) => self.fill(places, operation),
        }
    }

    /// Polls what runs, in the order of starts and from that one on; then whether the newest is late.
    fn poll_from<F>(
        mut self: Pin<&mut Self>,
        mut next: u32,
        operation: &mut F,
        verdict: &impl Fn(&J, Result<&T, &E>) -> Option<Verdict>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, HedgeError<E>>>
    where
        F: Operation<Run = R, Output = Result<T, E>>,
    {
        loop {
            let mut places: u32 = 0;
            while next < self.count.started {
                if let Poll::Ready(outcome) = self.as_mut().poll_start(next, operation, cx) {
                    let verdict = verdict(&self.hedge.judge, outcome.as_ref());
                    if verdict == Some(Verdict::Success) {
                        let attempts = self.count.started;
                        self.won_by(next);
                        return Poll::Ready(outcome.map_err(|error| HedgeError::Fatal { attempts, error }));
                    }
                    match self.as_mut().failed(next, outcome, verdict, operation) {
                        ControlFlow::Break(ended) => return Poll::Ready(ended),
                        ControlFlow::Continue(more) => places = places.saturating_add(more),
                    }
                }
                next = next.saturating_add(1);
            }
            // Not before all have been asked: one of them may have succeeded.
            if places > 0 {
                match self.as_mut().fill(places, operation) {
                    Some(ended) => return Poll::Ready(ended),
                    None => continue,
                }
            }
            if self.as_mut().poll_late(cx).is_pending() {
                return Poll::Pending;
            }
            self.as_mut().start_another(Cause::Late, operation);
        }
    }

    /// Polls that start, if it still runs. The first is 0.
    #[inline]
    fn poll_start<F: Operation<Run = R>>(
        self: Pin<&mut Self>,
        start: u32,
        operation: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let this = self.project();
        let place = if start == 0 { Some(this.first) } else { this.hedges.place(place_of(start)) };
        let Some(mut place) = place else { return Poll::Pending };
        let Some(run) = place.as_mut().as_pin_mut() else { return Poll::Pending };
        let begun = operation.begun();
        let polled = operation.poll_run(run, cx);
        if operation.begun() != begun {
            this.count.waiting &= !bit_of(start);
        }
        if polled.is_ready() {
            place.set(None);
            this.count.running = this.count.running.saturating_sub(1);
            if this.count.waiting & bit_of(start) != 0 {
                this.count.waiting &= !bit_of(start);
                this.hedge.pay_back(1);
            }
        }
        polled
    }

    /// Whether the newest start is late, and another may come.
    #[inline]
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match *this.count {
            Count { left: 0, .. } => Poll::Pending,
            // No timer for nothing.
            Count { delay: 0, .. } => Poll::Ready(()),
            Count { due, .. } => this.alarm.poll_until(&this.hedge.clock, due, cx),
        }
    }

    /// A start has not succeeded. The call ends by that, or so many are to take its place.
    #[cold]
    fn failed<F>(
        mut self: Pin<&mut Self>,
        start: u32,
        outcome: Result<T, E>,
        verdict: Option<Verdict>,
        operation: &mut F,
    ) -> ControlFlow<Result<T, HedgeError<E>>, u32>
    where
        F: Operation<Run = R>,
    {
        let this = self.as_mut().project();
        let attempts = this.count.started;
        let failed = match verdict {
            Some(Verdict::Failure) => {
                *this.failed = Some(outcome);
                return ControlFlow::Continue(1);
            }
            Some(Verdict::Success | Verdict::Fatal) => None,
            None => {
                this.count.left = 0;
                if start > 0 && operation.begun().is_none() {
                    this.hedge.pay_back(1);
                }
                if this.count.running > 0 {
                    return ControlFlow::Continue(0);
                }
                // What came of the operation says more than that another start was turned away.
                this.failed.take()
            }
        };
        self.end();
        ControlFlow::Break(match failed {
            Some(failed) => failed.map_err(|error| HedgeError::Failed { attempts, error }),
            None => outcome.map_err(|error| HedgeError::Fatal { attempts, error }),
        })
    }

    /// So many have failed, and others take their places at once, if they may. The call ends if nothing runs any more.
    #[cold]
    fn fill<F>(mut self: Pin<&mut Self>, places: u32, operation: &mut F) -> Option<Result<T, HedgeError<E>>>
    where
        F: Operation<Run = R>,
    {
        for _ in 0..places {
            self.as_mut().start_another(Cause::Failed, operation);
        }
        let this = self.as_mut().project();
        if this.count.running > 0 {
            return None;
        }
        let (attempts, failed) = (this.count.started, this.failed.take());
        self.end();
        failed.map(|failed| failed.map_err(|error| HedgeError::Failed { attempts, error }))
    }

    /// Starts it once more, if it may, and if the budget bears it.
    #[cold]
    fn start_another<F: Operation<Run = R>>(self: Pin<&mut Self>, cause: Cause, operation: &mut F) {
        let this = self.project();
        let (hedge, count) = (&**this.hedge, this.count);
        if count.left == 0 {
            return;
        }
        let Some(mut place) = this.hedges.make(place_of(count.started)) else {
            // There are as many places as hedges.
            count.left = 0;
            return;
        };
        if !hedge.pay() {
            count.left = 0;
            hedge.observer.observe(&Event::BudgetEmpty { cause });
            return;
        }
        let begun = operation.begun();
        place.set(Some(operation.start()));
        if begun.is_some() && operation.begun() == begun {
            count.waiting |= bit_of(count.started);
        }
        count.left = if operation.may_repeat() { count.left.saturating_sub(1) } else { 0 };
        count.started = count.started.saturating_add(1);
        count.running = count.running.saturating_add(1);
        if count.left > 0 && count.delay > 0 {
            // What was due has come, whatever a coarser clock says.
            let earliest = if cause == Cause::Late { count.due } else { Instant::ORIGIN };
            count.due = hedge.clock.now().max(earliest).saturating_add_nanos(count.delay);
        }
        hedge.observer.observe(&Event::Hedged { start: count.started, cause });
    }

    /// That start has succeeded first: the others are dropped before anybody learns of it.
    fn won_by(mut self: Pin<&mut Self>, start: u32) {
        // If the first one was dropped, it would have taken longer still.
        let is_measured = D::MEASURES && (start == 0 || self.first.is_some());
        self.as_mut().end();
        let hedge = &*self.hedge;
        let took = is_measured.then(|| hedge.clock.now().saturating_duration_since(self.count.since));
        hedge.succeeded(start > 0, took.map(nanos));
        if start > 0 {
            hedge.observer.observe(&Event::Won { start: start.saturating_add(1) });
        }
    }
}

/// Which bit is that of a start; none of the first. There are no more than bits.
fn bit_of(start: u32) -> u32 {
    start.checked_sub(1).and_then(|place| 1_u32.checked_shl(place)).unwrap_or(0)
}

/// In which place that start lies, if it is not the first.
const fn place_of(start: u32) -> usize {
    start.saturating_sub(1) as usize
}

impl<B: Deref<Target: Hedging>, F: Operation> fmt::Debug for Run<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { stage, started, running, .. } = self.progress.count;
        f.debug_struct("Run").field("stage", &stage).field("started", &started).field("running", &running).finish_non_exhaustive()
    }
}
