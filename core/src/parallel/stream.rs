use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::on_error::OnError;
use super::settings::Parallel;
use super::window::Window;
use super::{BUDGET, Order, ParallelError, Progress};
use crate::children::PinnedStorage;
use crate::observe::Observer;
use crate::operation::Fallible;
use crate::platform::Platform;

impl<P, Src, F, Fut, M, N, S, R> Stream for Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Src: Stream,
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
    M: OnError,
    N: Observer<Progress>,
    S: PinnedStorage,
{
    type Item = Result<<Fut::Output as Fallible>::Value, ParallelError<<Fut::Output as Fallible>::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if this.engine.is_over() {
            return Poll::Ready(None);
        }
        if let Err(error) = this.engine.check() {
            this.engine.end();
            return Poll::Ready(Some(Err(ParallelError::Config(error))));
        }
        let (order, next, early) = (*this.order, this.next, this.early);
        let until = match order {
            Order::Input => next.saturating_add(this.engine.limit),
            Order::Completion => usize::MAX,
        };
        let (index, outcome) = if let Some(outcome) = early.take_next() {
            (*next, outcome)
        } else {
            let mut budget = BUDGET;
            let polled = this.engine.as_mut().poll_outcomes(until, cx, |index, outcome| {
                let ahead = if order == Order::Input { index.saturating_sub(*next) } else { 0 };
                if ahead == 0 || (M::FAILS_FAST && outcome.is_err()) {
                    early.step();
                    return ControlFlow::Break(Some((index, outcome)));
                }
                // There is room: no more items are started than there are places.
                let _kept = early.keep(ahead, outcome);
                budget -= 1;
                if budget == 0 { ControlFlow::Break(None) } else { ControlFlow::Continue(()) }
            });
            match ready!(polled) {
                Some(Some(outcome)) => outcome,
                // The others' turn.
                Some(None) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    this.engine.end();
                    return Poll::Ready(None);
                }
            }
        };
        *next = next.saturating_add(1);
        if M::FAILS_FAST && outcome.is_err() {
            this.engine.end();
            *early = Window::EMPTY;
        }
        Poll::Ready(Some(outcome.map_err(|error| ParallelError::Failed { index, error })))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.engine.is_over() {
            return (0, Some(0));
        }
        if self.engine.check().is_err() {
            return (1, Some(1));
        }
        let (least, most) = self.engine.left();
        let under_way = self.engine.started().saturating_sub(self.next);
        let least = if M::FAILS_FAST { 0 } else { least.saturating_add(under_way) };
        (least, most.and_then(|most| most.checked_add(under_way)))
    }
}

impl<P, Src, F, Fut, M, N, S, R> FusedStream for Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Src: Stream,
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
    M: OnError,
    N: Observer<Progress>,
    S: PinnedStorage,
{
    fn is_terminated(&self) -> bool {
        self.engine.is_over()
    }
}
