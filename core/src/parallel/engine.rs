use core::future::Future;
use core::mem;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Progress;
use crate::children::{Children, FutureGroup, PinnedStorage, Turn};
use crate::config::ConfigError;
use crate::observe::Observer;
use crate::operation::Fallible;

/// What an operation ends with.
pub(super) type Outcome<Fut> = Result<<<Fut as Future>::Output as Fallible>::Value, <<Fut as Future>::Output as Fallible>::Error>;

pin_project! {
    /// Pulls items, starts operations, and hands on their outcomes as they end.
    pub(super) struct Engine<Src, F, Fut, N, C, S: PinnedStorage> {
        #[pin]
        pub(super) source: Src,
        pub(super) operation: F,
        pub(super) observer: N,
        pub(super) limit: usize,
        #[pin]
        group: FutureGroup<Fut, usize, C, S>,
        state: State,
        progress: Progress,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There may be items still.
    Open,
    /// All items have been started.
    Drained,
    /// Nothing is started or polled any more.
    Over,
    /// It was told more, or awaited, when some items had been started already, or it was over.
    Begun,
}

impl State {
    /// How many items there still are to be started. A source that has ended is asked no more.
    fn left(self, source: &impl Stream) -> (usize, Option<usize>) {
        match self {
            Self::Open => source.size_hint(),
            Self::Drained | Self::Over | Self::Begun => (0, Some(0)),
        }
    }
}

impl<Src, F, Fut, N, C: Children, S: PinnedStorage> Engine<Src, F, Fut, N, C, S> {
    pub(super) fn new(source: Src, limit: usize, operation: F, observer: N) -> Self {
        let progress = Progress { started: 0, succeeded: 0, failed: 0, total: None };
        Self { source, operation, observer, limit, group: FutureGroup::new(limit), state: State::Open, progress }
    }

    /// Before it is told more: from the first item on, that could lose some, and after its end nothing would come of it.
    pub(super) fn not_begun(mut self) -> Self {
        if self.progress.started > 0 || self.is_over() {
            self.state = State::Begun;
        }
        self
    }

    /// As [`not_begun`](Self::not_begun), with another observer and another storage.
    pub(super) fn rebuilt<M, T: PinnedStorage>(self, observer: impl FnOnce(N) -> M) -> Engine<Src, F, Fut, M, C, T> {
        let Self { source, operation, observer: told, limit, state, progress, .. } = self.not_begun();
        let observer = observer(told);
        Engine { source, operation, observer, limit, group: FutureGroup::new(limit), state, progress }
    }

    /// Whether the limit makes sense, and all was said in time.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.state == State::Begun {
            return Err(ConfigError::Begun);
        }
        let most = FutureGroup::<Fut, usize, C, S>::CAPACITY;
        if self.limit == 0 || self.limit > most { Err(ConfigError::Limit { value: self.limit, most }) } else { Ok(()) }
    }

    /// Drops all that is under way, and does nothing any more.
    pub(super) fn end(self: Pin<&mut Self>) {
        let this = self.project();
        *this.state = State::Over;
        this.group.clear();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// How many operations were started, and how many of them are under way.
    pub(super) const fn started(&self) -> usize {
        self.progress.started
    }
}

impl<Src: Stream, F, Fut, N, C: Children, S: PinnedStorage> Engine<Src, F, Fut, N, C, S> {
    /// How many items there still are to be started.
    pub(super) fn left(&self) -> (usize, Option<usize>) {
        self.state.left(&self.source)
    }
}

impl<Src, F, Fut, N, C, S> Engine<Src, F, Fut, N, C, S>
where
    Src: Stream,
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
    N: Observer<Progress>,
    C: Children,
    S: PinnedStorage,
{
    /// Hands on outcomes as they come, each with the index of its item, until `taker` has had enough. Starts no item of `until` or later. Ends with `None` when all have ended. A panic drops all that is under way.
    #[inline]
    pub(super) fn poll_outcomes<B>(
        self: Pin<&mut Self>,
        until: usize,
        cx: &mut Context<'_>,
        taker: impl FnMut(usize, Outcome<Fut>) -> ControlFlow<B>,
    ) -> Poll<Option<B>> {
        let mut guard = EndsAtPanic(self);
        let polled = guard.0.as_mut().poll_unguarded(until, cx, taker);
        mem::forget(guard);
        polled
    }

    #[inline]
    fn poll_unguarded<B>(
        self: Pin<&mut Self>,
        until: usize,
        cx: &mut Context<'_>,
        mut taker: impl FnMut(usize, Outcome<Fut>) -> ControlFlow<B>,
    ) -> Poll<Option<B>> {
        let mut this = self.project();
        let mut turn = Turn::new();
        let mut reporter = Reporter { progress: this.progress, observer: this.observer };
        while let Some((index, output)) = this.group.as_mut().next_ended(&mut turn, cx) {
            let left = this.state.left(&*this.source);
            let outcome = reporter.ended(output, left);
            if let ControlFlow::Break(enough) = taker(index, outcome) {
                return Poll::Ready(Some(enough));
            }
        }
        while *this.state == State::Open && this.group.len() < *this.limit && reporter.progress.started < until {
            let Some(mut vacancy) = this.group.as_mut().vacancy() else { break };
            // The room is there until somebody needs it for longer than a poll.
            while reporter.progress.started < until {
                let item = match this.source.as_mut().poll_next(cx) {
                    Poll::Ready(Some(item)) => item,
                    Poll::Ready(None) => {
                        *this.state = State::Drained;
                        break;
                    }
                    Poll::Pending => return Poll::Pending,
                };
                let index = reporter.started(this.source.size_hint());
                let Some((output, room)) = vacancy.admit(index, (this.operation)(item), &mut turn, cx) else { break };
                vacancy = room;
                let outcome = reporter.ended(output, this.source.size_hint());
                if let ControlFlow::Break(enough) = taker(index, outcome) {
                    return Poll::Ready(Some(enough));
                }
            }
        }
        if *this.state == State::Drained && this.group.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Counts, and tells.
struct Reporter<'e, N> {
    progress: &'e mut Progress,
    observer: &'e mut N,
}

impl<N: Observer<Progress>> Reporter<'_, N> {
    /// The index of the item.
    fn started(&mut self, left: (usize, Option<usize>)) -> usize {
        let index = self.progress.started;
        self.progress.started = index.saturating_add(1);
        self.tell(left);
        index
    }

    fn ended<O: Fallible>(&mut self, output: O, left: (usize, Option<usize>)) -> Result<O::Value, O::Error> {
        let outcome = output.into_result();
        let count = if outcome.is_ok() { &mut self.progress.succeeded } else { &mut self.progress.failed };
        *count = count.saturating_add(1);
        self.tell(left);
        outcome
    }

    fn tell(&mut self, (least, most): (usize, Option<usize>)) {
        let total = (most == Some(least)).then(|| self.progress.started.saturating_add(least));
        self.observer.observe(&Progress { total, ..*self.progress });
    }
}

/// Ends the engine, unless it is forgotten.
struct EndsAtPanic<'e, Src, F, Fut, N, C: Children, S: PinnedStorage>(Pin<&'e mut Engine<Src, F, Fut, N, C, S>>);

impl<Src, F, Fut, N, C: Children, S: PinnedStorage> Drop for EndsAtPanic<'_, Src, F, Fut, N, C, S> {
    fn drop(&mut self) {
        self.0.as_mut().end();
    }
}
