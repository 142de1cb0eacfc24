use core::fmt;
use core::future::Future;
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::error::EdgeError;
use super::gate::{Gate, Mode, State};
use super::machine::Decision;
use super::terms::Terms;
use crate::alarm::Alarm;
use crate::platform::Platform;
use crate::storage::{Slots, Storage};
use crate::time::{Clock, Instant};

/// All callers of a burst end with clones of the result of the one operation that starts: that of the newest. `T` is what operations end with, and `S` says where callers wait.
pub struct Share<T, S: Storage> {
    seats: S::Slots<Seat<T>>,
    /// How many calls have waited.
    calls: u64,
    /// The group of those that are pending. Those of a smaller number share a run.
    group: u64,
    /// Whether the last group that started is still under way.
    runs: bool,
    /// Who of the pending ones has set a timer.
    keeper: Option<Place>,
}

/// A waiting place. It is free if it has no phase.
struct Seat<T> {
    phase: Option<Phase<T>>,
    waker: Option<Waker>,
    call: u64,
    group: u64,
}

enum Phase<T> {
    Waiting,
    /// Its operation is the one that starts.
    Chosen,
    Done(T),
    Cancelled,
}

/// Who sits where: a seat is another's when its call is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    index: usize,
    call: u64,
}

impl<T, S: Storage> Mode for Share<T, S> {
    const NEW: Self = Self { seats: S::Slots::EMPTY, calls: 0, group: 1, runs: false, keeper: None };
    type Dropped = ();

    fn cancel(&mut self) {
        let group = self.group;
        for seat in self.seats.as_mut_slice() {
            if seat.group == group && matches!(seat.phase, Some(Phase::Waiting)) {
                seat.phase = Some(Phase::Cancelled);
            }
        }
        self.keeper = None;
    }

    fn flush(&mut self) {
        self.keeper = None;
    }

    fn next_waker(&mut self) -> Option<Waker> {
        let cancelled = |seat: &&mut Seat<T>| matches!(seat.phase, Some(Phase::Cancelled)) && seat.waker.is_some();
        let cancelled = self.seats.as_mut_slice().iter_mut().find(cancelled);
        cancelled.and_then(|seat| seat.waker.take()).or_else(|| self.keeperless())
    }
}

impl<T, S: Storage> Share<T, S> {
    /// The pending call that came last.
    fn newest(&mut self) -> Option<(usize, &mut Seat<T>)> {
        let group = self.group;
        let pending = |(_, seat): &(usize, &mut Seat<T>)| seat.group == group && matches!(seat.phase, Some(Phase::Waiting));
        self.seats.as_mut_slice().iter_mut().enumerate().filter(pending).max_by_key(|(_, seat)| seat.call)
    }

    /// Who is to be woken to set a timer, if nobody has.
    fn keeperless(&mut self) -> Option<Waker> {
        if self.keeper.is_some() { None } else { self.newest().and_then(|(_, seat)| seat.waker.take()) }
    }

    fn seat(&mut self, place: Place) -> Option<&mut Seat<T>> {
        self.seats.as_mut_slice().get_mut(place.index).filter(|seat| seat.call == place.call && seat.phase.is_some())
    }

    /// A waiting place in that group. The waker comes back if there is none.
    fn sit(&mut self, group: u64, waker: Waker) -> Result<Place, Option<Waker>> {
        let call = self.calls + 1;
        let seat = Seat { phase: Some(Phase::Waiting), waker: Some(waker), call, group };
        let vacant = self.seats.as_slice().iter().position(|seat| seat.phase.is_none());
        let index = vacant.unwrap_or(self.seats.as_slice().len());
        match self.seats.as_mut_slice().get_mut(index) {
            Some(vacant) => *vacant = seat,
            None => self.seats.try_push(seat).map_err(|seat| seat.waker)?,
        }
        self.calls = call;
        Ok(Place { index, call })
    }

    /// The pending calls share the run that starts now. Its number.
    fn begin_run(&mut self) -> u64 {
        self.runs = true;
        self.keeper = None;
        let next = self.group + 1;
        replace(&mut self.group, next)
    }

    /// The run is over. Who shares it, from that seat on: the next one's waker is taken when it is given its result.
    fn sharer(&self, group: u64, from: usize) -> Option<usize> {
        let shares = |seat: &Seat<T>| seat.group == group && matches!(seat.phase, Some(Phase::Waiting));
        self.seats.as_slice().iter().skip(from).position(shares).map(|index| from + index)
    }
}

/// What a caller is told when it comes.
enum Entry {
    Start { group: u64 },
    Wait { place: Place },
    Superseded,
    Full { waiting: usize },
}

/// What a caller is told that waits.
enum Turn<T> {
    /// Somebody else looks at the time, or an operation is under way.
    Wait,
    /// It looks at the time for all.
    Keep {
        until: Instant,
    },
    Start {
        group: u64,
    },
    End(Result<T, EdgeError>),
}

impl<T, S: Storage> State<Share<T, S>> {
    /// A call comes. A waker that isn't needed comes back.
    fn enter(&mut self, terms: &Terms, now: Instant, waker: Waker) -> (Entry, Option<Waker>) {
        // Only if it finds a place has it come.
        let mut window = self.window;
        let group = match window.call(terms, now) {
            Decision::Start => {
                self.window = window;
                return (Entry::Start { group: self.mode.begin_run() }, Some(waker));
            }
            Decision::Wait { .. } => self.mode.group,
            Decision::Skip if self.mode.runs => self.mode.group - 1,
            Decision::Skip => {
                self.window = window;
                return (Entry::Superseded, Some(waker));
            }
        };
        match self.mode.sit(group, waker) {
            Ok(place) => {
                self.window = window;
                (Entry::Wait { place }, None)
            }
            Err(waker) => (Entry::Full { waiting: self.mode.seats.as_slice().len() }, waker),
        }
    }

    /// Two wakers that are no longer needed come back.
    fn ask(&mut self, place: Place, waker: Waker) -> (Turn<T>, Option<Waker>, Option<Waker>) {
        let (pending, keeper) = (self.mode.group, self.mode.keeper);
        let Some(seat) = self.mode.seat(place) else { return (Turn::End(Err(EdgeError::Cancelled)), Some(waker), None) };
        let group = seat.group;
        let turn = match seat.phase.take() {
            Some(Phase::Waiting) => {
                seat.phase = Some(Phase::Waiting);
                let unused = seat.waker.replace(waker);
                if group != pending || keeper.is_some_and(|keeper| keeper != place) {
                    return (Turn::Wait, unused, None);
                }
                self.mode.keeper = Some(place);
                return (Turn::Keep { until: self.window.next_deadline() }, unused, None);
            }
            Some(Phase::Chosen) => Turn::Start { group },
            Some(Phase::Done(result)) => Turn::End(Ok(result)),
            Some(Phase::Cancelled) | None => Turn::End(Err(EdgeError::Cancelled)),
        };
        (turn, seat.waker.take(), Some(waker))
    }

    /// The timer is over: if the pending operation starts now, it is that of the newest caller. Its waker.
    fn tick(&mut self, terms: &Terms, now: Instant) -> Option<Waker> {
        if self.window.tick(terms, now).is_none() {
            return None;
        }
        let chosen = self.mode.newest().and_then(|(_, seat)| {
            seat.phase = Some(Phase::Chosen);
            seat.waker.take()
        });
        self.mode.begin_run();
        chosen
    }

    /// A caller leaves that waited. What it held comes back, with the waker of who is to look at the time instead.
    fn leave(&mut self, terms: &Terms, place: Place) -> (Option<Phase<T>>, Option<Waker>, Option<Waker>) {
        let Some(seat) = self.mode.seat(place) else { return (None, None, None) };
        let (phase, waker, group) = (seat.phase.take(), seat.waker.take(), seat.group);
        if matches!(phase, Some(Phase::Chosen)) {
            return (phase, waker, self.hand_over(terms, group));
        }
        if self.mode.keeper == Some(place) {
            self.mode.keeper = None;
        }
        if group == self.mode.group && self.mode.newest().is_none() {
            self.window.abandon();
        }
        (phase, waker, self.mode.keeperless())
    }

    /// A run was given up. Those who shared it are pending again, and the newest starts its own as soon as may be. Who is to look at the time.
    fn hand_over(&mut self, terms: &Terms, group: u64) -> Option<Waker> {
        let pending = self.mode.group;
        self.mode.runs &= group + 1 != pending;
        let mut shared = false;
        for seat in self.mode.seats.as_mut_slice() {
            if seat.group == group && matches!(seat.phase, Some(Phase::Waiting)) {
                seat.group = pending;
                shared = true;
            }
        }
        if shared {
            self.window.restart(terms);
            self.mode.keeper = None;
        }
        self.mode.keeperless()
    }
}

impl<P: Platform, K, T, E, S: Storage> Gate<P, K, Share<Result<T, E>, S>> {
    /// Calls the operation, if this is the newest call when one may start; and ends with a clone of the result of the one that did.
    ///
    /// If the newest caller is dropped before the start, the newest one still there takes its place; if it is dropped while its operation runs, the newest of those who share it starts its own. Where only leading edges start, callers share the
    /// run that is under way.
    ///
    /// One caller sets a timer for all: a call of a pending burst costs the lock and a store.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Cancelled`]; [`EdgeError::Full`] if there is no waiting place left; [`EdgeError::Superseded`] where only leading edges start, and none is under way; or a clone of the operation's own.
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
    stands: Stands,
}

enum Stands {
    Outside,
    Sits(Place),
    Runs { group: u64 },
}

impl<P: Platform, K, T, S: Storage> Drop for Role<'_, P, K, T, S> {
    fn drop(&mut self) {
        let Gate { terms, state, .. } = self.gate;
        let keeper = match self.stands {
            Stands::Outside => None,
            Stands::Sits(place) => {
                let (_held, _unused, keeper) = state.with(|state| state.leave(terms, place));
                keeper
            }
            Stands::Runs { group } => state.with(|state| state.hand_over(terms, group)),
        };
        wake(keeper);
    }
}

impl<P: Platform, K, T, S: Storage> Role<'_, P, K, T, S> {
    /// Waits until the operation may start, or another one's has ended.
    fn poll_turn(
        &mut self,
        mut alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, EdgeError>>> {
        let Gate { clock, terms, state, .. } = self.gate;
        let place = match self.stands {
            Stands::Sits(place) => place,
            Stands::Runs { .. } => return Poll::Ready(None),
            Stands::Outside => {
                if let Some(error) = terms.config_error() {
                    return Poll::Ready(Some(Err(EdgeError::Config(error))));
                }
                let (now, waker) = (clock.now(), cx.waker().clone());
                let (entry, _unused) = state.with(|state| state.enter(terms, now, waker));
                match entry {
                    Entry::Start { group } => {
                        self.stands = Stands::Runs { group };
                        return Poll::Ready(None);
                    }
                    Entry::Superseded => return Poll::Ready(Some(Err(EdgeError::Superseded))),
                    Entry::Full { waiting } => return Poll::Ready(Some(Err(EdgeError::Full { waiting }))),
                    Entry::Wait { place } => self.stands = Stands::Sits(place),
                }
                let Stands::Sits(place) = self.stands else { return Poll::Pending };
                place
            }
        };
        loop {
            let waker = cx.waker().clone();
            let (turn, ..) = state.with(|state| state.ask(place, waker));
            let until = match turn {
                Turn::Wait => return Poll::Pending,
                Turn::Keep { until } => until,
                Turn::Start { group } => {
                    self.stands = Stands::Runs { group };
                    return Poll::Ready(None);
                }
                Turn::End(result) => {
                    self.stands = Stands::Outside;
                    return Poll::Ready(Some(result));
                }
            };
            if until != Instant::ORIGIN {
                ready!(alarm.as_mut().poll_until(clock, until, cx));
            }
            let now = clock.now().max(until);
            wake(state.with(|state| state.tick(terms, now)));
        }
    }

    /// The operation has ended: gives all who share it their results.
    fn settle(&mut self, result: &T)
    where
        T: Clone,
    {
        let Stands::Runs { group } = self.stands else { return };
        let state = &self.gate.state;
        // Nobody joins it any more.
        state.with(|state| state.mode.runs &= group + 1 != state.mode.group);
        let mut from = 0;
        while let Some(index) = state.with(|state| state.mode.sharer(group, from)) {
            // Outside the lock, as all that is not ours. The one it was meant for may be gone by then, and the next one has its own.
            let clone = result.clone();
            let (_unused, waker) = state.with(|state| match state.mode.seats.as_mut_slice().get_mut(index) {
                Some(seat) if seat.group == group && matches!(seat.phase, Some(Phase::Waiting)) => {
                    (seat.phase.replace(Phase::Done(clone)), seat.waker.take())
                }
                _ => (Some(Phase::Done(clone)), None),
            });
            wake(waker);
            from = index + 1;
        }
        self.stands = Stands::Outside;
    }
}

pin_project! {
    /// A call that shares its burst's result; made by `call` of a [`Gate`] that [shares](Share).
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller: before the start the newest one still there takes its place, and later the newest of those who share its operation starts its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct SharedCall<'g, P: Platform, K, F, Fut, T, S: Storage> {
        role: Role<'g, P, K, T, S>,
        // None once it has started, or has ended.
        operation: Option<F>,
        #[pin]
        running: Option<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
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
        let mut this = self.project();
        if this.running.is_none() {
            if this.operation.is_none() {
                return Poll::Pending;
            }
            let ended = ready!(this.role.poll_turn(this.alarm, cx));
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

impl<T, S: Storage> fmt::Debug for Share<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl<P: Platform, K, F, Fut, T, S: Storage> fmt::Debug for SharedCall<'_, P, K, F, Fut, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.role.stands {
            Stands::Outside => "outside",
            Stands::Sits(_) => "waiting",
            Stands::Runs { .. } => "running",
        };
        f.debug_struct("SharedCall").field("stage", &stage).finish_non_exhaustive()
    }
}
