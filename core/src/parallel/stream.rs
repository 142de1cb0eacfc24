use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::on_error::OnError;
use super::settings::Parallel;
use super::window::Window;
use super::{Order, ParallelError, Progress};
use crate::children::{PinnedStorage, Turn};
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
        let mut turn = Turn::new();
        loop {
            if let Some(outcome) = this.early.take_next() {
                let index = *this.next;
                *this.next = index.saturating_add(1);
                return Poll::Ready(Some(outcome.map_err(|error| ParallelError::Failed { index, error })));
            }
            let until = match this.order {
                Order::Input => this.next.saturating_add(this.engine.limit),
                Order::Completion => usize::MAX,
            };
            let Some((index, outcome)) = ready!(this.engine.as_mut().poll_outcome(until, &mut turn, cx)) else {
                this.engine.end();
                return Poll::Ready(None);
            };
            if M::FAILS_FAST && outcome.is_err() {
                this.engine.as_mut().end();
                *this.early = Window::EMPTY;
            } else {
                let ahead = if *this.order == Order::Input { index.saturating_sub(*this.next) } else { 0 };
                if ahead > 0 {
                    // There is room: no more items are started than there are places.
                    let _kept = this.early.keep(ahead, outcome);
                    continue;
                }
                this.early.step();
                *this.next = this.next.saturating_add(1);
            }
            return Poll::Ready(Some(outcome.map_err(|error| ParallelError::Failed { index, error })));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.engine.is_over() {
            return (0, Some(0));
        }
        let (least, most) = self.engine.left();
        let under_way = self.engine.started().saturating_sub(self.next);
        let least = if M::FAILS_FAST { 0 } else { least.saturating_add(under_way) };
        // With a limit that makes no sense, there is an error and nothing else.
        let most = most.and_then(|most| most.checked_add(under_way)).map(|most| most.max(1));
        (if self.engine.check().is_ok() { least } else { 1 }, most)
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
