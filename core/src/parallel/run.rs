use core::fmt;
use core::future::Future;
use core::mem;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::engine::Engine;
use super::on_error::OnError;
use super::results::{Gathered, Results};
use super::{BUDGET, Order, ParallelError, Progress};
use crate::children::PinnedStorage;
use crate::observe::Observer;
use crate::operation::Fallible;
use crate::platform::Platform;
use crate::storage::Storage;

/// What is gathered of each item.
type Of<Fut, M> =
    <M as OnError>::Gathered<<<Fut as Future>::Output as Fallible>::Value, <<Fut as Future>::Output as Fallible>::Error>;

pin_project! {
    /// Items on their way through; made by awaiting a [`Parallel`](super::Parallel).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops all operations that are under way, the results that have come, and the items that were not started. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<P: Platform, Src, F, Fut, M, N, S, R>
    where
        Fut: Future,
        Fut::Output: Fallible,
        M: OnError,
        S: PinnedStorage,
        R: Results,
    {
        #[pin]
        engine: Engine<Src, F, Fut, N, P::Children, S>,
        order: Order,
        results: Gathered<Of<Fut, M>, R::Storage>,
    }
}

impl<P, Src, F, Fut, M, N, S, R> Run<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Fut: Future<Output: Fallible>,
    M: OnError,
    S: PinnedStorage,
    R: Results,
{
    pub(super) const fn new(engine: Engine<Src, F, Fut, N, P::Children, S>, order: Order) -> Self {
        Self { engine, order, results: Gathered::EMPTY }
    }
}

impl<P, Src, F, Fut, M, N, S, R> Future for Run<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Src: Stream,
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
    M: OnError,
    N: Observer<Progress>,
    S: PinnedStorage,
    R: Results,
{
    type Output = Result<R::Of<Of<Fut, M>>, ParallelError<M::Fatal<<Fut::Output as Fallible>::Error>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.engine.is_over() {
            return Poll::Pending;
        }
        let capacity = <R::Storage as Storage>::CAPACITY;
        let refused = match this.engine.check() {
            Err(error) => Some(ParallelError::Config(error)),
            Ok(()) if this.engine.left().0 > capacity => Some(ParallelError::Full { capacity }),
            Ok(()) => None,
        };
        if let Some(error) = refused {
            this.engine.end();
            return Poll::Ready(Err(error));
        }
        let (order, results) = (*this.order, this.results);
        if this.engine.started() == 0 {
            results.expect(this.engine.left().0);
        }
        let mut budget = BUDGET;
        let polled = this.engine.as_mut().poll_outcomes(usize::MAX, cx, |index, outcome| {
            let result = match M::judge(outcome) {
                Ok(result) => result,
                Err(error) => return ControlFlow::Break(Some(ParallelError::Failed { index, error })),
            };
            let gathered = match order {
                Order::Input => results.insert(index, result),
                Order::Completion => results.push(result),
            };
            budget -= 1;
            match gathered {
                Err(_) => ControlFlow::Break(Some(ParallelError::Full { capacity })),
                Ok(()) if budget == 0 => ControlFlow::Break(None),
                Ok(()) => ControlFlow::Continue(()),
            }
        });
        let error = match ready!(polled) {
            // The others' turn.
            Some(None) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(error) => error,
            None => None,
        };
        this.engine.end();
        let results = mem::replace(results, Gathered::EMPTY);
        Poll::Ready(match error {
            Some(error) => Err(error),
            None => R::finish(results.into_done()).ok_or(ParallelError::Full { capacity }),
        })
    }
}

impl<P, Src, F, Fut, M, N, S, R> fmt::Debug for Run<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Fut: Future<Output: Fallible>,
    M: OnError,
    S: PinnedStorage,
    R: Results,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("limit", &self.engine.limit).field("started", &self.engine.started()).finish_non_exhaustive()
    }
}
