use core::fmt;
use core::future::Future;
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::error::EdgeError;
use super::gate::Gate;
use super::share::{Entry, Share, Turn};
use crate::alarm::Alarm;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::{Clock, Instant};

impl<P: Platform, K, T, S: Storage> Gate<P, K, Share<T, S>> {
    /// How many callers may wait, for a start or for another one's result; the next one ends at once, with [`EdgeError::Full`]. Zero is legal: nobody waits then. Default: as many as the storage has room for, which in place is shared with those whose operation runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let save: Debounce<Share<Result<u32, String>>> = Debounce::shared(ms(100)).max_waiting(1);
    ///     let both = zip(save.call(|| async { Ok(1) }), save.call(|| async { Ok(2) })).await;
    ///     assert_eq!(both, (Ok(1), Err(EdgeError::Full { waiting: 1 })));
    /// });
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.max_waiting = callers;
        self
    }
}

impl<P: Platform, K, T, E, S: Storage> Gate<P, K, Share<Result<T, E>, S>> {
    /// Calls the operation, if this is the newest call when one may start; and ends with a clone of the result of the one that did.
    ///
    /// If the newest caller is dropped before the start, the newest one still there takes its place; if it is dropped while its operation runs, the newest of those who share it starts its own. Where only leading edges start, callers share the
    /// run that is under way.
    ///
    /// One caller sets a timer for all: a call of a pending burst costs the lock and a few stores, however many wait.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Cancelled`]; [`EdgeError::Full`] if as many [wait](Gate::max_waiting) as may, or there is no place left in the storage; [`EdgeError::Superseded`] where only leading edges start, and none is under way; or a clone of the operation's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let save: Debounce<Share<Result<u32, String>>> = Debounce::shared(ms(100));
    ///     let both = zip(save.call(|| async { Ok(1) }), save.call(|| async { Ok(2) })).await;
    ///     assert_eq!(both, (Ok(2), Ok(2)));
    /// });
    /// ```
    pub fn call<F, Fut>(&self, operation: F) -> SharedCall<'_, P, K, F, Fut, Result<T, E>, S>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Clone,
        E: Clone,
    {
        let role = Role { gate: self, stands: Stands::Outside };
        SharedCall { role, operation: Some(operation), running: None, alarm: Alarm::new() }
    }
}

/// Where a caller stands, which is given up when this is dropped.
struct Role<'g, P: Platform, K, T, S: Storage> {
    gate: &'g Gate<P, K, Share<T, S>>,
    stands: Stands<S::Link>,
}

enum Stands<L> {
    Outside,
    Waits(L),
    Runs(L),
}

impl<P: Platform, K, T, S: Storage> Drop for Role<'_, P, K, T, S> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<P: Platform, K, T, S: Storage> Role<'_, P, K, T, S> {
    fn give_up(&mut self) {
        let Gate { terms, state, .. } = self.gate;
        let looks = match replace(&mut self.stands, Stands::Outside) {
            Stands::Outside => None,
            Stands::Waits(seat) => {
                let (_held, looks) = state.with(|state| state.leave(seat));
                looks
            }
            Stands::Runs(seat) => state.with(|state| state.hand_over(terms, seat)),
        };
        wake(looks);
    }

    /// Waits until the operation may start, or another one's has ended.
    fn poll_turn(
        &mut self,
        mut alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, EdgeError>>> {
        let Gate { clock, terms, state, .. } = self.gate;
        let seat = match self.stands {
            Stands::Waits(seat) => seat,
            Stands::Runs(_) => return Poll::Ready(None),
            Stands::Outside => match ready!(self.enter(cx)) {
                Ok(Some(seat)) => seat,
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        loop {
            let waker = cx.waker().clone();
            let (turn, ..) = state.with(|state| state.ask(terms, seat, waker));
            let until = match turn {
                Turn::Wait => return Poll::Pending,
                Turn::Look { until } => until,
                Turn::End(result) => {
                    self.stands = Stands::Outside;
                    return Poll::Ready(Some(result));
                }
            };
            if until != Instant::ORIGIN {
                ready!(alarm.as_mut().poll_until(clock, until.earlier(P::Clock::TICK), cx));
            }
            let now = clock.now().max(until);
            let (begun, _unused, looks) = state.with(|state| state.begin(terms, seat, now));
            if begun {
                self.stands = Stands::Runs(seat);
            }
            wake(looks);
            if begun {
                return Poll::Ready(None);
            }
        }
    }

    /// Comes, at its first poll. Its seat, if it has to wait.
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Link>, EdgeError>> {
        let Gate { clock, terms, max_waiting, state, .. } = self.gate;
        if let Some(error) = self.gate.settings_error() {
            return Poll::Ready(Err(EdgeError::Config(error)));
        }
        let (now, waker) = (clock.now(), cx.waker().clone());
        let (entry, _unused) = state.with(|state| state.enter(terms, *max_waiting, now, waker));
        Poll::Ready(match entry {
            Entry::Superseded => Err(EdgeError::Superseded),
            Entry::Full { waiting } => Err(EdgeError::Full { waiting }),
            Entry::Start { seat } => {
                self.stands = Stands::Runs(seat);
                Ok(None)
            }
            Entry::Wait { seat, more } => {
                self.stands = Stands::Waits(seat);
                if more {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(Some(seat))
            }
        })
    }

    /// The operation has ended: gives all who share it their results.
    fn settle(&mut self, result: &T)
    where
        T: Clone,
    {
        let Stands::Runs(seat) = self.stands else { return };
        let state = &self.gate.state;
        state.with(|state| state.mode.close(seat));
        while state.with(|state| state.mode.is_shared(seat)) {
            // Outside the lock, as all that is not ours. Whoever it is for may be gone by then, and the next one has it.
            let clone = result.clone();
            let (waker, _unused) = state.with(|state| state.mode.give(seat, clone));
            wake(waker);
        }
        state.with(|state| state.mode.end(seat));
        self.stands = Stands::Outside;
    }
}

pin_project! {
    /// A call that shares its burst's result; made by `call` of a [`Gate`] that [shares](Share).
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller: before the start the newest one still there takes its place, and later the newest of those who share its operation starts its own. So it is, at once, if the operation panics. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct SharedCall<'g, P: Platform, K, F, Fut, T, S: Storage> {
        // None once it has started, or has ended.
        operation: Option<F>,
        #[pin]
        running: Option<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
        // The last to be dropped: whoever is woken by that finds what this held free.
        role: Role<'g, P, K, T, S>,
    }
}

impl<P, K, F, Fut, T, E, S> Future for SharedCall<'_, P, K, F, Fut, Result<T, E>, S>
where
    P: Platform,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Clone,
    E: Clone,
    S: Storage,
{
    type Output = Result<T, EdgeError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |call| call.poll_result(cx))
    }
}

impl<P, K, F, Fut, T, E, S> SharedCall<'_, P, K, F, Fut, Result<T, E>, S>
where
    P: Platform,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Clone,
    E: Clone,
    S: Storage,
{
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.operation = None;
        this.running.set(None);
        this.role.give_up();
    }

    fn poll_result(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, EdgeError<E>>> {
        let mut this = self.project();
        if this.running.is_none() {
            if this.operation.is_none() {
                return Poll::Pending;
            }
            let ended = ready!(this.role.poll_turn(this.alarm.as_mut(), cx));
            this.alarm.disarm();
            let Some(operation) = this.operation.take() else { return Poll::Pending };
            match ended {
                None => this.running.set(Some(operation())),
                Some(Ok(result)) => return Poll::Ready(result.map_err(EdgeError::Failed)),
                Some(Err(error)) => return Poll::Ready(Err(error.of_operation())),
            }
        }
        let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
        let result = ready!(running.poll(cx));
        this.running.set(None);
        this.role.settle(&result);
        Poll::Ready(result.map_err(EdgeError::Failed))
    }
}

/// Outside the lock, as all wakers.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<P: Platform, K, F, Fut, T, S: Storage> fmt::Debug for SharedCall<'_, P, K, F, Fut, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.role.stands {
            Stands::Outside => "outside",
            Stands::Waits(_) => "waiting",
            Stands::Runs(_) => "running",
        };
        f.debug_struct("SharedCall").field("stage", &stage).finish_non_exhaustive()
    }
}
