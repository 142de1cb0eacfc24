use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::breaker::{CircuitBreaker, Inner};
use super::error::BreakerError;
use super::judge::AnyError;
use super::state::State;
use super::trip::{Consecutive, Trip};
use crate::alarm::Alarm;
use crate::backoff::{Backoff, Constant};
use crate::observe::Silent;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::wait_list::{Full, Key, Turn};
use crate::time::{Clock, Instant};

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> CircuitBreaker<P, T, B, J, S, O> {
    /// Waits until it is in another state than at this future's first poll, and ends with that.
    ///
    /// Its time is watched too: it ends with [`State::HalfOpen`] as soon as a probe would be let through. Of several changes in a row, it tells the last one.
    ///
    /// # Errors
    ///
    /// [`BreakerError::QueueFull`], at once, if `S` has no room for another who waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::circuit_breaker::State;
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(5));
    ///
    /// aplomb_sim::block_on(async {
    ///     API.permit()?.failure();
    ///     assert_eq!(API.changed().await?, State::HalfOpen);
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 5_000_000_000);
    ///     Ok::<_, BreakerError>(())
    /// }).unwrap();
    /// ```
    pub const fn changed(&self) -> Changed<'_, P, T, B, J, S, O> {
        Changed::new(self, None)
    }

    /// As [`changed`](CircuitBreaker::changed), and ends at once if it is not in that state now: for a loop that follows it, and misses nothing but what was over before it looked.
    ///
    /// # Errors
    ///
    /// As [`changed`](CircuitBreaker::changed).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn watch(api: &CircuitBreaker) -> Result<(), BreakerError> {
    ///     let mut state = api.state();
    ///     loop {
    ///         state = api.changed_from(state).await?;
    ///         eprintln!("the circuit is {state}");
    ///     }
    /// }
    /// # let _ = watch;
    /// ```
    pub const fn changed_from(&self, state: State) -> Changed<'_, P, T, B, J, S, O> {
        Changed::new(self, Some(state))
    }
}

pin_project! {
    /// Waits until a breaker is in another state; made by [`CircuitBreaker::changed`] and [`CircuitBreaker::changed_from`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing for anybody. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Changed<
        'b,
        P: Platform,
        T: Trip = Consecutive,
        B: Backoff = Constant,
        J = AnyError,
        S: Storage = <P as Platform>::Storage,
        O = Silent,
    > where
        B::State: Copy,
    {
        watch: Watch<'b, P, T, B, J, S, O>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
    }
}

/// Who waits. In its drop, its place is given up.
struct Watch<'b, P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> {
    breaker: &'b CircuitBreaker<P, T, B, J, S, O>,
    /// What it is to be no more; what it is at the first poll, if nothing was said.
    from: Option<State>,
    key: Option<Key<S::Link>>,
    ended: bool,
}

/// What came of looking.
enum Look {
    Changed(State),
    /// Nothing changes by itself before that, by the clock.
    Waits(Instant),
    Full(u32),
}

impl<'b, P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> Changed<'b, P, T, B, J, S, O> {
    pub(super) const fn new(breaker: &'b CircuitBreaker<P, T, B, J, S, O>, from: Option<State>) -> Self {
        Self { watch: Watch { breaker, from, key: None, ended: false }, alarm: Alarm::new() }
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> Watch<'_, P, T, B, J, S, O> {
    /// Looks at the breaker, and waits there to be woken if it is the same still. With wakers to be dropped outside the lock.
    fn look(&mut self, read: Instant, waker: Waker) -> (Look, [Option<Waker>; 2]) {
        let Self { breaker, from, key, .. } = self;
        breaker.with(|Inner { steady, machine, waiters }| {
            let now = steady.advance(read, &breaker.clock);
            let (state, until) = machine.outlook(&breaker.terms, now);
            if *from.get_or_insert(state) != state {
                let left = key.take().and_then(|key| waiters.remove(key));
                return (Look::Changed(state), [Some(waker), left.and_then(|left| left.waker)]);
            }
            let waker = match key.take() {
                None => waker,
                Some(known) => match waiters.poll(known, waker) {
                    Turn::Waiting { unused } => {
                        *key = Some(known);
                        return (Look::Waits(steady.on_clock(until)), [unused, None]);
                    }
                    // Woken, and it is the same again.
                    Turn::Granted { unused: Some(waker), .. } | Turn::Unknown { unused: waker } => waker,
                    Turn::Granted { unused: None, .. } => return (Look::Waits(Instant::ORIGIN), [None, None]),
                },
            };
            match waiters.push(machine.epoch(), waker) {
                Ok(new) => {
                    *key = Some(new);
                    (Look::Waits(steady.on_clock(until)), [None, None])
                }
                Err(Full(waker)) => (Look::Full(waiters.places()), [Some(waker), None]),
            }
        })
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> Future for Changed<'_, P, T, B, J, S, O> {
    type Output = Result<State, BreakerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.watch.ended {
            return Poll::Pending;
        }
        let breaker = this.watch.breaker;
        let mut now = breaker.clock.now();
        let ended = loop {
            let (look, _unused) = this.watch.look(now, cx.waker().clone());
            match look {
                Look::Changed(state) => break Ok(state),
                Look::Full(waiting) => break Err(BreakerError::QueueFull { waiting }),
                Look::Waits(at) => {
                    if this.alarm.as_mut().poll_until(&breaker.clock, at, cx).is_pending() {
                        return Poll::Pending;
                    }
                    now = breaker.clock.now().max(at);
                }
            }
        };
        this.watch.ended = true;
        this.alarm.disarm();
        Poll::Ready(ended)
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> Drop for Watch<'_, P, T, B, J, S, O> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.breaker.with(|inner| inner.waiters.remove(key)));
        }
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> fmt::Debug for Changed<'_, P, T, B, J, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("from", &self.watch.from).field("ended", &self.watch.ended).finish_non_exhaustive()
    }
}
