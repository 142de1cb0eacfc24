use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::error::EdgeError;
use super::gate::{Gate, Mode, State};
use super::machine::Decision;
use super::terms::Terms;
use crate::alarm::Alarm;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::time::{Clock, Instant};

/// Numbers a pending call. They come round again after so many calls that no earlier one can still be waiting.
type Ticket = usize;

/// Callers that are superseded end at once, with [`EdgeError::Superseded`].
#[derive(Debug)]
pub struct Reject {
    /// The ticket of the last call that waited: they are numbered.
    last: Ticket,
    pending: Option<Ticket>,
    flushed: Option<Ticket>,
    /// Those of a flush and of the pending call that were the last to be cancelled.
    cancelled: [Option<Ticket>; 2],
    /// Of the pending call, unless it has been woken.
    waker: Option<Waker>,
}

impl Mode for Reject {
    const NEW: Self = Self { last: 0, pending: None, flushed: None, cancelled: [None; 2], waker: None };
    type Dropped = ();

    fn cancel(&mut self) {
        self.cancelled = [self.flushed.take(), self.pending.take()];
    }

    fn flush(&mut self) {
        self.flushed = self.pending.take().or(self.flushed);
    }

    fn next_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

/// What a caller is told when it comes.
enum Entry {
    Start,
    /// With `more`, others may be about to come, whose turn it is first.
    Wait {
        ticket: Ticket,
        more: bool,
    },
    Skip,
}

/// What a caller is told that waits.
enum Turn {
    Wait { until: Instant },
    Superseded,
    Cancelled,
}

impl State<Reject> {
    /// A call comes. It takes the place of the one that is pending, whose waker is returned; and so is its own, if it isn't needed.
    fn enter(&mut self, terms: &Terms, now: Instant, waker: Waker) -> (Entry, Option<Waker>, Option<Waker>) {
        let mode = &mut self.mode;
        match self.window.call(terms, now) {
            Decision::Skip => (Entry::Skip, None, Some(waker)),
            Decision::Start => {
                mode.pending = None;
                (Entry::Start, mode.waker.take(), Some(waker))
            }
            Decision::Wait { until } => {
                mode.last = mode.last.wrapping_add(1);
                let superseding = mode.pending.replace(mode.last).is_some();
                let entry = Entry::Wait { ticket: mode.last, more: superseding || until == Instant::ORIGIN };
                (entry, mode.waker.replace(waker), None)
            }
        }
    }

    /// The waker that is no longer needed comes back.
    fn ask(&mut self, terms: &Terms, ticket: Ticket, waker: Waker) -> (Turn, Option<Waker>) {
        let mode = &mut self.mode;
        if mode.pending == Some(ticket) {
            let until = self.window.newest_deadline(terms);
            (Turn::Wait { until }, mode.waker.replace(waker))
        } else if mode.flushed == Some(ticket) {
            (Turn::Wait { until: Instant::ORIGIN }, Some(waker))
        } else if mode.cancelled.contains(&Some(ticket)) {
            (Turn::Cancelled, Some(waker))
        } else {
            (Turn::Superseded, Some(waker))
        }
    }

    /// Whether a call starts: if it is still there, and its time has come. A waker that is no longer needed comes back, and that of the pending call, if it has to look anew.
    fn begin(&mut self, terms: &Terms, ticket: Ticket, now: Instant) -> (bool, Option<Waker>, Option<Waker>) {
        let mode = &mut self.mode;
        if mode.flushed == Some(ticket) {
            mode.flushed = None;
            (self.window.start_flushed(terms, now), None, mode.waker.take())
        } else if mode.pending == Some(ticket) && self.window.start_newest(terms, now) {
            mode.pending = None;
            (true, mode.waker.take(), None)
        } else {
            (false, None, None)
        }
    }

    /// A caller leaves that waited. As when it asks, wakers come back.
    fn leave(&mut self, ticket: Ticket) -> (Option<Waker>, Option<Waker>) {
        let mode = &mut self.mode;
        if mode.flushed == Some(ticket) {
            mode.flushed = None;
            self.window.abandon_flushed();
            (None, mode.waker.take())
        } else if mode.pending == Some(ticket) {
            mode.pending = None;
            self.window.abandon();
            (mode.waker.take(), None)
        } else {
            (None, None)
        }
    }
}

impl<P: Platform, K> Gate<P, K, Reject> {
    /// Calls the operation, if this is the newest call when one may start.
    ///
    /// A call that comes while another is pending costs no timer before everybody who is ready has had a turn: of a burst that comes at once, only the newest sets one. Of calls that come one after another, each does, and takes it along when it is
    /// superseded.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Superseded`] at the instant of a newer call; [`EdgeError::Cancelled`]; or the operation's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static SEARCH: Debounce = checked!(Debounce::new(ms(300)).max_wait(secs(2)));
    ///
    /// async fn search(text: &str) -> Result<usize, std::io::Error> { Ok(text.len()) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let text = String::from("aplomb");
    ///     let hits = SEARCH.call(|| search(&text)).await;
    ///     assert_eq!(hits.unwrap(), 6);
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 300_000_000);
    /// });
    /// ```
    pub fn call<F, Fut, T, E>(&self, operation: F) -> Call<'_, P, K, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call { pending: Pending { gate: self, ticket: None }, operation: Some(operation), running: None, alarm: Alarm::new() }
    }
}

/// A place as the pending call, which is given up when this is dropped.
struct Pending<'g, P: Platform, K> {
    gate: &'g Gate<P, K, Reject>,
    ticket: Option<Ticket>,
}

impl<P: Platform, K> Drop for Pending<'_, P, K> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let (_unused, looks) = self.gate.state.with(|state| state.leave(ticket));
            wake(looks);
        }
    }
}

pin_project! {
    /// A call that is debounced or throttled; made by [`Gate::call`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the operation has started gives up its place: nothing starts then, and the callers that it superseded have ended already. Dropping it later drops the operation; if that panics, it is dropped at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Call<'g, P: Platform, K, F, Fut> {
        // None once it has started, or has ended.
        operation: Option<F>,
        #[pin]
        running: Option<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
        pending: Pending<'g, P, K>,
    }
}

impl<P, K, F, Fut, T, E> Future for Call<'_, P, K, F, Fut>
where
    P: Platform,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, EdgeError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |call| {
            let mut this = call.project();
            if this.running.is_none() {
                if this.operation.is_none() {
                    return Poll::Pending;
                }
                let admitted = ready!(this.pending.poll_admitted(this.alarm.as_mut(), cx));
                this.alarm.disarm();
                let Some(operation) = this.operation.take() else { return Poll::Pending };
                match admitted {
                    Ok(()) => this.running.set(Some(operation())),
                    Err(error) => return Poll::Ready(Err(error.of_operation())),
                }
            }
            let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
            let outcome = ready!(running.poll(cx));
            this.running.set(None);
            Poll::Ready(outcome.map_err(EdgeError::Failed))
        })
    }
}

impl<P: Platform, K, F, Fut> Call<'_, P, K, F, Fut> {
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.operation = None;
        this.running.set(None);
    }
}

impl<P: Platform, K> Pending<'_, P, K> {
    /// Waits until the operation may start.
    #[inline(never)]
    fn poll_admitted(
        &mut self,
        mut alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), EdgeError>> {
        let Gate { clock, terms, state, .. } = self.gate;
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => match ready!(self.enter(cx)) {
                Ok(Some(ticket)) => ticket,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        loop {
            let waker = cx.waker().clone();
            let (turn, _unused) = state.with(|state| state.ask(terms, ticket, waker));
            let until = match turn {
                Turn::Wait { until } => until,
                Turn::Superseded => return Poll::Ready(Err(EdgeError::Superseded)),
                Turn::Cancelled => return Poll::Ready(Err(EdgeError::Cancelled)),
            };
            if until != Instant::ORIGIN {
                ready!(alarm.as_mut().poll_until(clock, until.earlier(P::Clock::TICK), cx));
            }
            let now = clock.now().max(until);
            let (begun, _unused, looks) = state.with(|state| state.begin(terms, ticket, now));
            wake(looks);
            if begun {
                self.ticket = None;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Comes, at its first poll. A ticket, if it has to wait.
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Ticket>, EdgeError>> {
        let Gate { clock, terms, state, .. } = self.gate;
        if let Some(error) = terms.config_error() {
            return Poll::Ready(Err(EdgeError::Config(error)));
        }
        let (now, waker) = (clock.now(), cx.waker().clone());
        let (entry, older, _unused) = state.with(|state| state.enter(terms, now, waker));
        if let Entry::Wait { ticket, .. } = entry {
            self.ticket = Some(ticket);
        }
        wake(older);
        Poll::Ready(match entry {
            Entry::Start => Ok(None),
            Entry::Skip => Err(EdgeError::Superseded),
            Entry::Wait { ticket, more: false } => Ok(Some(ticket)),
            Entry::Wait { more: true, .. } => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }
}

/// Outside the lock, as all wakers.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<P: Platform, K, F, Fut> fmt::Debug for Call<'_, P, K, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match (self.pending.ticket, &self.operation, &self.running) {
            (_, _, Some(_)) => "running",
            (Some(_), Some(_), None) => "pending",
            (None, Some(_), None) => "not yet polled",
            (_, None, None) => "ended",
        };
        f.debug_struct("Call").field("stage", &stage).finish_non_exhaustive()
    }
}
