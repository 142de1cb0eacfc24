use core::fmt;
use core::future::Future;
use core::mem::{forget, take};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::event::Event;
use super::job_set::{JobSet, Next};
use super::state::End;
use crate::children::{FutureGroup, PinnedStorage, Turn};
use crate::observe::{SharedObserver, Silent};
use crate::operation::Fallible;
use crate::panicking::clear_at_panic;
use crate::parallel::window::Window;
use crate::parallel::{BUDGET, Order};
use crate::platform::Platform;

/// What a job ends with; nothing if it panicked.
type Outcome<J> = Option<Result<<<J as Future>::Output as Fallible>::Value, <<J as Future>::Output as Fallible>::Error>>;

pin_project! {
    /// Runs the jobs of a set, and is the stream of their results; made by [`JobSet::results`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the jobs that run, and results that wait for those of earlier jobs. Jobs that wait stay, for whoever takes the results next.
    #[must_use = "streams do nothing unless polled"]
    pub struct Results<'s, P: Platform, J: Future<Output: Fallible>, S: PinnedStorage, O: SharedObserver<Event> = Silent> {
        order: Order,
        #[pin]
        group: FutureGroup<Running<'s, P, J, S, O>, usize, P::Children, S>,
        early: Window<Outcome<J>, S>,
        // The number of the job whose result comes next, in order of adding.
        next: usize,
        started: usize,
        // Given up when all else has been dropped.
        taking: Taking<'s, P, J, S, O>,
    }
}

/// The right to take the results.
struct Taking<'s, P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>>(&'s JobSet<P, J, S, O>);

impl<P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> Drop for Taking<'_, P, J, S, O> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<'s, P, J, S, O> Results<'s, P, J, S, O>
where
    P: Platform,
    J: Future<Output: Fallible>,
    S: PinnedStorage,
    O: SharedObserver<Event>,
{
    pub(super) fn new(set: &'s JobSet<P, J, S, O>, concurrency: u32) -> Self {
        Self {
            order: Order::Input,
            group: FutureGroup::new(concurrency as usize),
            early: Window::EMPTY,
            next: 0,
            started: 0,
            taking: Taking(set),
        }
    }

    /// Results come in the order in which jobs end, and none waits for another.
    pub fn completion_order(mut self) -> Self {
        self.order = Order::Completion;
        self
    }

    /// The outcome of one that has ended, with its number; none when there will be no more.
    fn poll_outcome(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> Poll<Option<(usize, Outcome<J>)>> {
        let mut this = self.project();
        if let Some(ended) = this.group.as_mut().next_ended(turn, cx) {
            return Poll::Ready(Some(ended));
        }
        let set = this.taking.0;
        loop {
            let ahead = this.started.saturating_sub(*this.next);
            // In order of adding, there are never more results kept, and jobs running, than there are places.
            let kept = match this.order {
                Order::Input => u32::try_from(ahead.saturating_sub(this.group.len())).unwrap_or(u32::MAX),
                Order::Completion => 0,
            };
            let Some(vacancy) = this.group.as_mut().vacancy() else { return Poll::Pending };
            match set.take_next(kept) {
                Next::Job(job) => {
                    let running = Running { job: Some(job), stay: Stay { set, runs: true } };
                    set.started();
                    let number = *this.started;
                    *this.started = number.saturating_add(1);
                    let lost = (*this.order == Order::Input).then_some(Lost { early: this.early, ahead });
                    let admitted = vacancy.admit(number, running, turn, cx);
                    forget(lost);
                    if let Some((outcome, _vacancy)) = admitted {
                        return Poll::Ready(Some((number, outcome)));
                    }
                }
                Next::Never if this.group.is_empty() => return Poll::Ready(None),
                Next::Never => return Poll::Pending,
                Next::Later => {
                    if !set.listen(kept, cx.waker().clone()) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<P, J, S, O> Stream for Results<'_, P, J, S, O>
where
    P: Platform,
    J: Future<Output: Fallible>,
    S: PinnedStorage,
    O: SharedObserver<Event>,
{
    type Item = Result<<J::Output as Fallible>::Value, <J::Output as Fallible>::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut turn = Turn::new();
        for _ in 0..BUDGET {
            let outcome = if let Some(outcome) = self.as_mut().take_early() {
                outcome
            } else {
                let Some((number, outcome)) = ready!(self.as_mut().poll_outcome(&mut turn, cx)) else {
                    return Poll::Ready(None);
                };
                let Some(outcome) = self.as_mut().in_order(number, outcome) else { continue };
                outcome
            };
            // A job that panicked has none.
            if let Some(result) = outcome {
                return Poll::Ready(Some(result));
            }
        }
        // The others' turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<P, J, S, O> Results<'_, P, J, S, O>
where
    P: Platform,
    J: Future<Output: Fallible>,
    S: PinnedStorage,
    O: SharedObserver<Event>,
{
    /// The next outcome, if it has been kept.
    fn take_early(self: Pin<&mut Self>) -> Option<Outcome<J>> {
        let this = self.project();
        let outcome = match this.order {
            Order::Input => this.early.take_next()?,
            // Kept before there was no order any more.
            Order::Completion => this.early.take_any()?,
        };
        *this.next = this.next.saturating_add(1);
        Some(outcome)
    }

    /// The outcome, if it is the next one; else it is kept.
    fn in_order(self: Pin<&mut Self>, number: usize, outcome: Outcome<J>) -> Option<Outcome<J>> {
        let this = self.project();
        if *this.order == Order::Input {
            let ahead = number.saturating_sub(*this.next);
            if ahead > 0 {
                // There is room: no more jobs are started than there are places.
                let _kept = this.early.keep(ahead, outcome);
                return None;
            }
            this.early.step();
            *this.next = this.next.saturating_add(1);
        }
        Some(outcome)
    }
}

/// Of a job that panics at its first poll: there will be no result of that number.
struct Lost<'e, T, S: PinnedStorage> {
    early: &'e mut Window<Option<T>, S>,
    ahead: usize,
}

impl<T, S: PinnedStorage> Drop for Lost<'_, T, S> {
    fn drop(&mut self) {
        let _kept = self.early.keep(self.ahead, None);
    }
}

pin_project! {
    /// A job that runs. It has no outcome if it panicked, and is dropped at once then.
    struct Running<'s, P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> {
        // Dropped before its place is given back.
        #[pin]
        job: Option<J>,
        stay: Stay<'s, P, J, S, O>,
    }
}

impl<P, J, S, O> Future for Running<'_, P, J, S, O>
where
    P: Platform,
    J: Future<Output: Fallible>,
    S: PinnedStorage,
    O: SharedObserver<Event>,
{
    type Output = Outcome<J>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<J>> {
        let waker = cx.waker();
        let clear = |running: Pin<&mut Self>| {
            running.end(End::Cancelled);
            // Its slot is to be looked at.
            waker.wake_by_ref();
        };
        clear_at_panic(self, clear, |mut running| {
            let Some(job) = running.as_mut().project().job.as_pin_mut() else { return Poll::Ready(None) };
            let result = ready!(job.poll(cx)).into_result();
            running.end(if result.is_ok() { End::Completed } else { End::Failed });
            Poll::Ready(Some(result))
        })
    }
}

impl<P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> Running<'_, P, J, S, O> {
    fn end(self: Pin<&mut Self>, end: End) {
        let mut this = self.project();
        this.job.set(None);
        this.stay.end(end);
    }
}

/// A place of the set's, which is given back once.
struct Stay<'s, P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> {
    set: &'s JobSet<P, J, S, O>,
    runs: bool,
}

impl<P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> Stay<'_, P, J, S, O> {
    fn end(&mut self, end: End) {
        if take(&mut self.runs) {
            self.set.end(end);
        }
    }
}

impl<P: Platform, J, S: PinnedStorage, O: SharedObserver<Event>> Drop for Stay<'_, P, J, S, O> {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

impl<P, J, S, O> fmt::Debug for Results<'_, P, J, S, O>
where
    P: Platform,
    J: Future<Output: Fallible>,
    S: PinnedStorage,
    O: SharedObserver<Event>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("order", &self.order).field("running", &self.group.len()).finish_non_exhaustive()
    }
}
