use core::fmt;
use core::time::Duration;

use super::circuit::{Circuit, Ticket};
use super::error::BreakerError;
use super::gate::Gate;
use super::judge::AnyError;
use super::machine::{Epoch, Machine, Rejected, Terms};
use super::outside::{Outside, Undecided};
use super::permit::Permit;
use super::run::Run;
use super::state::{Change, Event, Snapshot, State};
use super::timing::Time;
use super::trip::{Consecutive, Trip};
use crate::backoff::{Backoff, Constant};
use crate::observe::{SharedObserver, Silent};
use crate::panicking::wake_all;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::{Shared, WaitList};
use crate::time::{Clock, Instant, Steady};

/// Lets calls through until too many of them fail; then rejects them for a while, and tries with a few whether they may again. The module [`circuit_breaker`](crate::circuit_breaker) tells what it promises.
///
/// `T` is the rule by which it trips, `B` says for how long it opens, `J` what counts as a failure; whoever waits for a change is kept in `S`; `O` is told what happens.
///
/// | setting | default |
/// | --- | --- |
/// | [`open_for`](CircuitBreaker::open_for), [`open_backoff`](CircuitBreaker::open_backoff) | 60 s each time, as in resilience4j and gobreaker |
/// | [`half_open`](CircuitBreaker::half_open) | one probe at once |
/// | [`half_open_for`](CircuitBreaker::half_open_for) | as long as it opens if its probes fail, and no less than 60 s |
/// | [`success_threshold`](CircuitBreaker::success_threshold) | 1 |
/// | [`failure_if`](CircuitBreaker::failure_if), [`judged_by`](CircuitBreaker::judged_by) | every error is a failure |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(5).open_for(secs(60)).half_open(2));
///
/// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
///
/// aplomb_sim::block_on(async {
///     let id = 7;
///     match BREAKER.run(|| fetch_user(id)).await {
///         Err(error) if error.is_rejected() => eprintln!("try again in {:?}", error.retry_after()),
///         user => assert_eq!(user.unwrap(), "user 7"),
///     }
/// });
/// ```
// In this order, what each call looks at lies together.
#[repr(C)]
pub struct CircuitBreaker<
    P: Platform,
    T: Trip = Consecutive,
    B: Backoff = Constant,
    J = AnyError,
    S: Storage = <P as Platform>::Storage,
    O = Silent,
> where
    B::State: Copy,
{
    gate: Gate,
    outside: Outside<P::Word>,
    pub(super) terms: Terms<T, B>,
    shared: Shared<P::RawMutex, Inner<T, B, S>>,
    pub(super) clock: P::Clock,
    pub(super) judge: J,
    pub(super) observer: O,
}

pub(super) struct Inner<T: Trip, B: Backoff, S: Storage> {
    pub(super) machine: Machine<T, B>,
    pub(super) steady: Steady,
    /// Those who wait for a change, and since which one.
    pub(super) waiters: WaitList<Epoch, S>,
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> CircuitBreaker<P, T, B, J, S, O> {
    pub(super) const fn made(clock: P::Clock, terms: Terms<T, B>, judge: J, observer: O) -> Self {
        let inner = Inner { machine: Machine::NEW, steady: Steady::new(), waiters: WaitList::new() };
        Self { gate: Gate::new(), outside: Outside::NOTHING, terms, shared: Shared::new(inner), clock, judge, observer }
    }

    /// Does something with all that is known, under the lock.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Inner<T, B, S>) -> R) -> R {
        self.shared.with(|inner| {
            self.outside.bring_in(&mut inner.machine, &mut inner.steady);
            let result = act(inner);
            self.outside.set_out(&inner.machine, &inner.steady);
            result
        })
    }

    /// What the next call would find: a breaker whose time has passed is half-open, though no call has come yet. Looking changes nothing.
    pub fn state(&self) -> State {
        self.snapshot().state
    }

    /// Whether a call that came now would go through. Looking changes nothing, and keeps no place for a probe: by the time of the call, another may have it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(5));
    ///     api.permit()?.failure();
    ///     assert!(!api.lets_through());
    ///     aplomb_sim::sleep(secs(5)).await;
    ///     assert!(api.lets_through(), "a probe");
    ///     let _probe = api.permit()?;
    ///     assert!(!api.lets_through(), "one at once");
    ///     Ok::<_, BreakerError>(())
    /// }).unwrap();
    /// ```
    pub fn lets_through(&self) -> bool {
        if self.gate.pass().is_some() {
            return true;
        }
        let now = self.snapshot();
        match now.state {
            State::Closed | State::Disabled => self.terms.config_error().is_none(),
            State::HalfOpen => now.probes < self.terms.half_open.calls,
            State::Open | State::ForcedOpen => false,
        }
    }

    /// How it stands: for a page that shows it, not for decisions.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: CircuitBreaker = CircuitBreaker::consecutive(3);
    ///     api.permit()?.failure();
    ///     assert_eq!(api.snapshot().tally.failures, 1);
    ///     Ok::<_, BreakerError>(())
    /// }).unwrap();
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let read = self.clock.now();
        self.with(|inner| {
            let now = inner.steady.advance(read, &self.clock);
            inner.machine.snapshot(&self.terms, now)
        })
    }
}

impl<P, T, B, J, S, O> CircuitBreaker<P, T, B, J, S, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    O: SharedObserver<Event>,
{
    /// Runs the operation if calls go through, and counts how it ends.
    ///
    /// It is started once, so that it may borrow mutably whatever it needs, and be a closure of any kind.
    ///
    /// # Errors
    ///
    /// At once: [`BreakerError::Open`], which says when to come back; [`BreakerError::HalfOpen`] if as many probes run as may, which says when at the latest. Or the operation's own, as [`BreakerError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static LINK: CircuitBreaker = checked!(CircuitBreaker::consecutive(2).open_for(secs(10)));
    ///
    /// struct Modem { sent: u32 }
    /// impl Modem {
    ///     async fn send(&mut self, frame: &mut [u8]) -> Result<u32, &'static str> {
    ///         self.sent += 1;
    ///         Err("no carrier")
    ///     }
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let (mut modem, mut frame) = (Modem { sent: 0 }, [0; 64]);
    ///     for _ in 0..5 {
    ///         let _ = LINK.run(async || modem.send(&mut frame).await).await;
    ///     }
    ///     assert_eq!(modem.sent, 2, "the others were rejected");
    /// });
    /// ```
    #[inline]
    pub const fn run<F, Fut, V, E>(&self, operation: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        Run::new(self, operation)
    }

    /// Leave to make one call, for code that is no closure: whoever has it tells how that ended.
    ///
    /// # Errors
    ///
    /// As [`run`](CircuitBreaker::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static SENSOR: CircuitBreaker = checked!(CircuitBreaker::consecutive(3));
    ///
    /// fn measure(read: impl FnOnce() -> Option<i16>) -> Option<i16> {
    ///     let permit = SENSOR.permit().ok()?;
    ///     let degrees = read()?; // the permit is dropped here, and counts as nothing
    ///     if (-40..=125).contains(&degrees) { permit.success() } else { permit.failure() }
    ///     Some(degrees)
    /// }
    /// # aplomb_sim::block_on(async { assert_eq!(measure(|| Some(20)), Some(20)) });
    /// ```
    #[inline]
    pub fn permit(&self) -> Result<Permit<&Self>, BreakerError> {
        Permit::of(self)
    }

    /// As [`permit`](CircuitBreaker::permit), of a breaker that `this` points to: an `Arc` or `Rc` of it, which the permit keeps.
    ///
    /// # Errors
    ///
    /// As [`run`](CircuitBreaker::run).
    pub fn permit_owned<C: core::ops::Deref<Target = Self>>(this: C) -> Result<Permit<C>, BreakerError> {
        Permit::of(this)
    }

    /// Turns a call away, though it might go through by now: for code that cannot make it any more. It is counted and told as every rejection is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: CircuitBreaker = CircuitBreaker::consecutive(5);
    ///     assert_eq!(api.turn_away(), BreakerError::Open { retry_after: Some(secs(0)) });
    ///     assert_eq!(api.snapshot().rejected, 1);
    /// });
    /// ```
    pub fn turn_away(&self) -> BreakerError {
        match self.terms.config_error() {
            Some(error) => BreakerError::Config(error),
            None => self.rejected(self.act(None, |machine, terms, time| machine.turn_away(terms, time.now()))),
        }
    }

    /// Does something with the machine, and tells whoever has to know.
    pub(super) fn act<R>(
        &self,
        read: Option<Instant>,
        act: impl FnOnce(&mut Machine<T, B>, &Terms<T, B>, &mut Time<'_, P::Clock>) -> R,
    ) -> R {
        let (result, change) = self.change(read, act);
        self.tell(change);
        result
    }

    /// Does something with the machine, and says what is to be told.
    fn change<R>(
        &self,
        read: Option<Instant>,
        act: impl FnOnce(&mut Machine<T, B>, &Terms<T, B>, &mut Time<'_, P::Clock>) -> R,
    ) -> (R, Change) {
        self.with(|Inner { machine, steady, .. }| {
            let from = machine.gone_to();
            let result = act(machine, &self.terms, &mut Time { steady, clock: &self.clock, read });
            (result, self.note(machine, from))
        })
    }

    /// Sets the gate as the machine stands, and says what has changed.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn note(&self, machine: &Machine<T, B>, from: State) -> Change {
        let to = machine.gone_to();
        let goes_through = matches!(to, State::Closed | State::Disabled);
        self.gate.set(machine.epoch(), goes_through, machine.is_calm(&self.terms));
        (from != to).then_some((from, to))
    }

    #[inline]
    fn tell(&self, change: Change) {
        if let Some((from, to)) = change {
            self.tell_all(from, to);
        }
    }

    #[cold]
    fn tell_all(&self, from: State, to: State) {
        // Without room for anybody, nobody waits. Who does is woken before the observer is called, which may panic.
        if S::CAPACITY > 0 {
            wake_all(&mut || {
                self.shared.with(|Inner { machine, waiters, .. }| {
                    // Whoever has begun to wait since then waits for the next change.
                    let waits = waiters.front().is_some_and(|since| *since != machine.epoch());
                    if waits { waiters.grant_front() } else { None }
                })
            });
        }
        self.observer.observe(&Event::Changed { from, to });
    }

    /// When a call that is rejected may come again, where that is known.
    ///
    /// # Errors
    ///
    /// Whether it is rejected is decided under the lock.
    // Kept out of line, so that the way through a closed one is short; what it returns has room in two registers.
    #[cfg_attr(target_has_atomic = "64", inline(never))]
    fn reject(&self) -> Result<Option<Duration>, Undecided> {
        let retry_after = self.outside.reject(&self.clock)?;
        self.observer.observe(&Event::Rejected { retry_after });
        Ok(retry_after)
    }

    #[cold]
    #[inline(never)]
    fn admit_under_lock(&self) -> Result<Ticket, BreakerError> {
        if let Some(error) = self.terms.config_error() {
            return Err(BreakerError::Config(error));
        }
        let (read, mut next) = (self.clock.now(), None);
        loop {
            let (admitted, change) = self.change(Some(read), |machine, terms, time| machine.admit(terms, || time.now(), next));
            match admitted {
                Ok(Ok(epoch)) => {
                    let ticket = self.terms.stamp(epoch, &self.clock);
                    Permit::holding(self, ticket, || self.tell(change));
                    return Ok(ticket);
                }
                Ok(Err(rejected)) => {
                    self.tell(change);
                    return Err(self.rejected(rejected));
                }
                Err(last) => {
                    self.tell(change);
                    next = Some(self.terms.draw(last, P::random));
                }
            }
        }
    }

    #[inline]
    fn rejected(&self, rejected: Rejected) -> BreakerError {
        let error = BreakerError::from(rejected);
        self.observer.observe(&Event::Rejected { retry_after: error.retry_after() });
        error
    }

    // Kept out of line, so that a permit is dropped in few steps, for the reason that `AtPanic` has.
    #[cold]
    #[inline(never)]
    fn forget(&self, epoch: Epoch) {
        // A call that a closed breaker let through leaves no trace.
        if !self.gate.has_let_through_since(epoch) {
            self.act(None, |machine, _, _| machine.abandon(epoch));
        }
    }

    #[inline(never)]
    fn record(&self, ticket: Ticket, failed: bool) {
        let (call, read) = self.terms.ended(ticket, failed, &self.clock);
        let mut next = None;
        while let Err(last) =
            self.act(read, |machine, terms, time| machine.record(terms, ticket.epoch, call, || time.now(), next))
        {
            next = Some(self.terms.draw(last, P::random));
        }
    }
}

impl<P, T, B, J, S, O> Circuit for CircuitBreaker<P, T, B, J, S, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    O: SharedObserver<Event>,
{
    type Judge = J;

    #[inline]
    fn judge(&self) -> &J {
        &self.judge
    }

    #[inline]
    fn admit(&self) -> Result<Ticket, BreakerError> {
        match self.gate.pass() {
            Some(epoch) => Ok(self.terms.stamp(epoch, &self.clock)),
            None => match self.reject() {
                Ok(retry_after) => Err(BreakerError::Open { retry_after }),
                Err(Undecided) => self.admit_under_lock(),
            },
        }
    }

    #[inline]
    fn begin(&self, ticket: Ticket) -> Ticket {
        self.terms.stamp(ticket.epoch, &self.clock)
    }

    #[inline]
    fn settle(&self, ticket: Ticket, failed: bool) {
        if failed || self.terms.times_calls() || !self.gate.is_calm(ticket.epoch) {
            self.record(ticket, failed);
        }
    }

    #[inline]
    fn abandon(&self, ticket: Ticket) {
        self.forget(ticket.epoch);
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> fmt::Debug for CircuitBreaker<P, T, B, J, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("now", &self.snapshot()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> defmt::Format for CircuitBreaker<P, T, B, J, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "CircuitBreaker {{ now: {}, .. }}", self.snapshot());
    }
}
