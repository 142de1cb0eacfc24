//! The breaker, as a machine.

use core::num::NonZeroU32;
use core::time::Duration;

use super::state::{Snapshot, State};
use super::trip::{Call, Tally, Trip};
use crate::backoff::Backoff;
use crate::config::ConfigError;
use crate::time::{Instant, nanos, secs};

/// By which terms a breaker opens and closes.
#[derive(Clone, Copy)]
pub(super) struct Terms<T, B> {
    pub(super) trip: T,
    pub(super) open: B,
    pub(super) half_open: HalfOpen,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct HalfOpen {
    /// How many probes at once.
    pub(super) calls: u32,
    /// How many successes close it.
    pub(super) successes: u32,
    /// How long it may last, in nanoseconds; `None`: as long as it will be open if its probes fail, and no less than [`LEAST`](Self::LEAST).
    pub(super) time: Option<u64>,
}

impl HalfOpen {
    pub(super) const DEFAULT: Self = Self { calls: 1, successes: 1, time: None };

    /// A probe that takes longer than this lasts closes nothing: one that is open for less than its calls take, and half-open for no longer, would never close.
    const LEAST: u64 = nanos(secs(60));

    /// How long it lasts, in nanoseconds, if it is open for `pause` after it.
    fn lasts(self, pause: u64) -> u64 {
        self.time.unwrap_or_else(|| pause.max(Self::LEAST))
    }

    pub(super) const fn config_error(self) -> Option<ConfigError> {
        if self.calls == 0 {
            return Some(ConfigError::HalfOpenCalls { value: 0 });
        }
        if self.successes == 0 {
            return Some(ConfigError::SuccessThreshold { value: 0 });
        }
        if matches!(self.time, Some(0)) { Some(ConfigError::HalfOpenFor { value: Duration::ZERO }) } else { None }
    }
}

impl<T: Trip, B: Backoff> Terms<T, B> {
    pub(super) fn config_error(&self) -> Option<ConfigError> {
        let own = self.trip.config_error().or_else(|| self.half_open.config_error());
        let open = own.or_else(|| self.open.check().err());
        open.or_else(|| (!self.open.has_delay()).then_some(ConfigError::OpenBackoff))
    }
}

/// How long a breaker is open, and where that is in the backoff. The next one is drawn [outside the lock](Terms::draw), since a backoff may be the user's, and is of use if nothing has changed meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Opening<S> {
    epoch: Epoch,
    /// `None` since it closed.
    place: Option<S>,
    /// In nanoseconds; for ever so long, where the backoff ends.
    pause: u64,
}

impl<T, B: Backoff> Terms<T, B> {
    /// The opening that comes after that one.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn draw(&self, Opening { epoch, mut place, pause }: Opening<B::State>, random: fn() -> u64) -> Opening<B::State> {
        let next = self.open.next_nanos(place.get_or_insert_with(|| self.open.start()), random);
        // Where a list ends, its last delay goes on.
        Opening { epoch, place, pause: next.unwrap_or(pause) }
    }
}

/// Between two changes of state, and before which no call that ends now has begun.
///
/// Calls are stamped with it. It has 30 bits: a call would have to outlast a billion changes to be taken for another. Below them it has two that are set, for what a [gate](super::gate) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Epoch(NonZeroU32);

impl Epoch {
    const BELOW: u32 = 3;
    const FIRST: Self = Self(NonZeroU32::MIN.saturating_add(Self::BELOW - 1));

    /// As a number, which is not zero.
    pub(super) const fn number(self) -> u32 {
        self.0.get()
    }

    /// That of such a number, whatever the two bits below are.
    #[inline]
    pub(super) fn of_number(number: u32) -> Self {
        Self(NonZeroU32::MIN | number | Self::BELOW)
    }

    fn next(self) -> Self {
        Self::of_number(self.number().wrapping_add(Self::BELOW + 1))
    }
}

pub(super) struct Machine<T: Trip, B: Backoff> {
    phase: Phase,
    epoch: Epoch,
    /// Of the calls since it was closed.
    record: T::State,
    /// Where it stands in the backoff; `None` since it closed.
    place: Option<B::State>,
    /// How long it was open the last time, in nanoseconds. Of a half-open one: how long it will be the next time, so that whoever asks what comes after that is told.
    pause: u64,
    opened: u32,
    rejected: u64,
}

/// What is only known in one state lives there.
#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { since: Instant, running: u32, successes: u32 },
    ForcedOpen,
    Disabled,
}

/// Why a call does not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is open; for so many nanoseconds, or until somebody says otherwise.
    Open { left: u64 },
    /// As many probes run as may; for so many nanoseconds at most, or nobody knows how long.
    HalfOpen { left: u64 },
}

impl<T: Trip, B: Backoff<State: Copy>> Machine<T, B> {
    pub(super) const NEW: Self =
        Self { phase: Phase::Closed, epoch: Epoch::FIRST, record: T::START, place: None, pause: 0, opened: 0, rejected: 0 };

    /// A call has come. The stamp that it gets is given back by [`record`](Machine::record) or [`abandon`](Machine::abandon).
    ///
    /// # Errors
    ///
    /// How long it is open the next time has to be drawn first.
    pub(super) fn admit(
        &mut self,
        terms: &Terms<T, B>,
        mut now: impl FnMut() -> Instant,
        next: Option<Opening<B::State>>,
    ) -> Result<Result<Epoch, Rejected>, Opening<B::State>> {
        self.end_half_open(terms, &mut now);
        let admitted = match &mut self.phase {
            Phase::Closed | Phase::Disabled => Ok(self.epoch),
            Phase::ForcedOpen => Err(Rejected::Open { left: u64::MAX }),
            Phase::Open { until } => {
                let (now, until) = (now(), *until);
                if now >= until {
                    self.take(next)?;
                    self.enter(Phase::HalfOpen { since: now, running: 1, successes: 0 });
                    Ok(self.epoch)
                } else if until.is_never() {
                    Err(Rejected::Open { left: u64::MAX })
                } else {
                    Err(Rejected::Open { left: until.nanos_since(now) })
                }
            }
            Phase::HalfOpen { running, .. } if *running < terms.half_open.calls => {
                *running += 1;
                Ok(self.epoch)
            }
            Phase::HalfOpen { .. } => Err(Rejected::HalfOpen { left: self.probes_left(terms, &mut now) }),
        };
        self.rejected = self.rejected.saturating_add(u64::from(admitted.is_err()));
        Ok(admitted)
    }

    /// So many calls have been rejected, by what [it said](Machine::rejects_until).
    pub(super) const fn count_rejected(&mut self, calls: u64) {
        self.rejected = self.rejected.saturating_add(calls);
    }

    /// A call has ended. If it began before the last change of state, it is none of the present one's.
    ///
    /// # Errors
    ///
    /// It is on record, and trips the breaker; for how long has to be drawn first.
    #[inline]
    pub(super) fn record(
        &mut self,
        terms: &Terms<T, B>,
        began: Epoch,
        call: Call,
        mut now: impl FnMut() -> Instant,
        next: Option<Opening<B::State>>,
    ) -> Result<(), Opening<B::State>> {
        if began != self.epoch {
            return Ok(());
        }
        match &mut self.phase {
            Phase::Closed => {
                let at = if T::TIMED { now() } else { Instant::ORIGIN };
                if next.is_some() || terms.trip.record(&mut self.record, call, at) {
                    self.take(next)?;
                    self.open(now());
                }
            }
            Phase::HalfOpen { since, running, successes } => {
                let now = now();
                // At the very instant, whoever has ended comes before the time.
                if now > since.saturating_add_nanos(terms.half_open.lasts(self.pause)) {
                    return Ok(());
                }
                *running = running.saturating_sub(1);
                if call.failed || call.slow {
                    self.open(now);
                } else {
                    *successes += 1;
                    if *successes >= terms.half_open.successes {
                        self.close();
                    }
                }
            }
            // A call that was let through by a disabled breaker.
            Phase::Disabled | Phase::Open { .. } | Phase::ForcedOpen => {}
        }
        Ok(())
    }

    /// A call has ended, and counts as nothing.
    pub(super) fn abandon(&mut self, began: Epoch) {
        match &mut self.phase {
            Phase::HalfOpen { running, .. } if began == self.epoch => *running = running.saturating_sub(1),
            _ => {}
        }
    }

    /// What goes through from now on, whatever was; all counts start anew.
    pub(super) fn force(&mut self, state: Forced) {
        match state {
            Forced::Open => self.enter(Phase::ForcedOpen),
            Forced::Closed => self.close(),
            Forced::Disabled => self.enter(Phase::Disabled),
        }
    }

    /// As new, but for the calls under way, which don't count.
    pub(super) fn reset(&mut self) {
        self.close();
        (self.opened, self.rejected) = (0, 0);
    }

    /// If it has been half-open for too long, it has opened when that was over.
    fn end_half_open(&mut self, terms: &Terms<T, B>, now: impl FnOnce() -> Instant) {
        let until = self.probes_until(terms);
        if !until.is_never() && now() >= until {
            self.open(until);
        }
    }

    #[cold]
    fn open(&mut self, at: Instant) {
        self.opened = self.opened.saturating_add(1);
        self.enter(Phase::Open { until: at.saturating_add_nanos(self.pause) });
    }

    /// Goes on in the backoff, by what has been drawn for this very state.
    fn take(&mut self, next: Option<Opening<B::State>>) -> Result<(), Opening<B::State>> {
        match next {
            Some(Opening { epoch, place, pause }) if epoch == self.epoch => {
                (self.place, self.pause) = (place, pause);
                Ok(())
            }
            Some(_) | None => Err(Opening { epoch: self.epoch, place: self.place, pause: self.pause }),
        }
    }

    fn close(&mut self) {
        self.place = None;
        self.enter(Phase::Closed);
    }

    fn enter(&mut self, phase: Phase) {
        self.record = T::START;
        self.epoch = self.epoch.next();
        self.phase = phase;
    }
}

/// What a breaker is made to be by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forced {
    Open,
    Closed,
    Disabled,
}

impl<T: Trip, B: Backoff<State: Copy>> Machine<T, B> {
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The state that it has gone to; if time has passed since, the next call finds another.
    pub(super) const fn gone_to(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
        }
    }

    /// Until when no call goes through, if that is so whatever calls do; never, if somebody has to say so.
    #[inline]
    pub(super) const fn rejects_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::ForcedOpen => Some(Instant::MAX),
            Phase::Closed | Phase::HalfOpen { .. } | Phase::Disabled => None,
        }
    }

    /// Whether a success changes nothing.
    #[inline]
    pub(super) fn is_calm(&self, terms: &Terms<T, B>) -> bool {
        match self.phase {
            Phase::Closed => terms.trip.is_calm(&self.record),
            Phase::Disabled => true,
            Phase::Open { .. } | Phase::HalfOpen { .. } | Phase::ForcedOpen => false,
        }
    }

    /// What a call would find now, and when the time changes that.
    pub(super) fn outlook(&self, terms: &Terms<T, B>, now: Instant) -> (State, Instant) {
        match self.tried_from(terms, now) {
            Some(from) if now < from => (State::Open, from),
            Some(_) => {
                let until = self.probes_until(terms);
                (State::HalfOpen, if now < until { until } else { Instant::MAX })
            }
            None => (self.gone_to(), Instant::MAX),
        }
    }

    /// From when on it may be tried, or could have been, if it has opened.
    pub(super) fn tried_from(&self, terms: &Terms<T, B>, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::HalfOpen { since, .. } => {
                let until = self.probes_until(terms);
                // When that is over, it has opened again.
                Some(if now < until || until.is_never() { since } else { until.saturating_add_nanos(self.pause) })
            }
            Phase::Closed | Phase::ForcedOpen | Phase::Disabled => None,
        }
    }

    /// For how many nanoseconds it may pay to wait for its probes: until their time is over, and no longer than a failure now would take.
    fn probes_left(&self, terms: &Terms<T, B>, now: impl FnOnce() -> Instant) -> u64 {
        let until = self.probes_until(terms);
        if until.is_never() { u64::MAX } else { until.as_nanos().saturating_sub(now().as_nanos()).min(self.pause) }
    }

    /// When the time of its probes is over; never, if it has no end.
    fn probes_until(&self, terms: &Terms<T, B>) -> Instant {
        match self.phase {
            Phase::HalfOpen { since, .. } => since.saturating_add_nanos(terms.half_open.lasts(self.pause)),
            Phase::Closed | Phase::Open { .. } | Phase::ForcedOpen | Phase::Disabled => Instant::MAX,
        }
    }

    /// How many probes are under way. Those of a time that is over don't count any more.
    fn probes(&self, terms: &Terms<T, B>, now: Instant) -> u32 {
        match self.phase {
            Phase::HalfOpen { running, .. } if now < self.probes_until(terms) => running,
            Phase::Closed | Phase::Open { .. } | Phase::HalfOpen { .. } | Phase::ForcedOpen | Phase::Disabled => 0,
        }
    }

    /// A call is turned away, whether it would go through or not. With what it is told, which is that of a call that comes now; one that would go through may come again at once.
    pub(super) fn turn_away(&mut self, terms: &Terms<T, B>, now: Instant) -> Rejected {
        self.rejected = self.rejected.saturating_add(1);
        match self.outlook(terms, now) {
            (State::Open, until) if !until.is_never() => Rejected::Open { left: until.as_nanos().saturating_sub(now.as_nanos()) },
            (State::Open | State::ForcedOpen, _) => Rejected::Open { left: u64::MAX },
            (State::HalfOpen, _) if self.probes(terms, now) >= terms.half_open.calls => {
                Rejected::HalfOpen { left: self.probes_left(terms, || now) }
            }
            (State::Closed | State::HalfOpen | State::Disabled, _) => Rejected::Open { left: 0 },
        }
    }

    /// What is on record.
    pub(super) fn tally(&self, terms: &Terms<T, B>, now: Instant) -> Tally {
        terms.trip.tally(&self.record, now)
    }

    pub(super) fn snapshot(&self, terms: &Terms<T, B>, now: Instant) -> Snapshot {
        let (state, until) = self.outlook(terms, now);
        Snapshot {
            state,
            retry_after: (state == State::Open && !until.is_never()).then(|| until - now),
            tally: self.tally(terms, now),
            probes: self.probes(terms, now),
            opened: self.opened,
            rejected: self.rejected,
        }
    }
}
