//! A line of callers: what has been taken, who runs, and who waits. A machine, whose driver brings the time.

use core::mem;
use core::task::Waker;
use core::time::Duration;

use super::algorithm::{Algorithm, Refused};
use super::error::RateLimitError;
use crate::config::ConfigError;
use crate::storage::{Link, Storage};
use crate::sync::wait_list::{Full, Key, Queue, Slab};
use crate::time::{Instant, Steady, nanos};

/// How late a caller may come for what it has waited for, and still have it in time: a timer may be a tick late, and its task have its turn some more ticks later.
pub(super) const fn lateness(resolution: Duration) -> u64 {
    nanos(resolution).saturating_mul(4)
}

/// What holds for every line of a limiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Calls that run at once; `u32::MAX` is any number, and they are not counted then.
    pub(super) max_concurrent: u32,
    pub(super) max_waiting: u32,
}

impl Limits {
    pub(super) const NONE: Self = Self { max_concurrent: u32::MAX, max_waiting: u32::MAX };

    pub(super) const fn config_error(self) -> Option<ConfigError> {
        if self.max_concurrent == 0 { Some(ConfigError::MaxConcurrent { value: 0 }) } else { None }
    }

    pub(super) const fn counts_calls(self) -> bool {
        self.max_concurrent != u32::MAX
    }
}

/// Those who share their permits: who runs, and who waits.
#[derive(Debug, Clone, Copy)]
pub struct Crowd<L> {
    pub(super) queue: Queue<L>,
    running: u32,
    /// Reservations that have not come to an end.
    reserved: u32,
    /// Since when the first in the queue waits for its permits, and for nothing else; never, while it waits for a call to end.
    since: Instant,
    /// Permits that those in the queue wait for.
    asked: u64,
}

/// What a waiter brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    permits: u32,
    by: By,
    /// What a reservation was told, though those before it may leave: its permits are not taken as of any earlier instant.
    not_before: Instant,
    /// Whether its turn has come when nobody stood behind it: its permits are taken as of then, whenever that is done.
    is_alone: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A caller that is woken.
    Caller,
    /// A reservation, whose permits are taken in advance as soon as nobody stands before it. It keeps its slot until it has ended.
    Reservation,
    /// A reservation that has ended.
    Ended,
}

impl Ask {
    const fn of_caller(permits: u32) -> Self {
        Self { permits, by: By::Caller, not_before: Instant::ORIGIN, is_alone: false }
    }

    /// When its permits are taken, if its turn comes now.
    fn as_of(&self, now: Instant) -> Instant {
        if self.is_alone { self.not_before } else { self.not_before.max(now) }
    }
}

/// What was taken in advance.
pub(super) struct InAdvance<L> {
    /// From when on it may be used.
    pub(super) at: Instant,
    /// Its place in the queue, if others wait.
    pub(super) key: Option<Key<L>>,
}

/// What somebody who may wait is told.
pub(super) enum Turn<L> {
    /// The permits are its own, and it is not in the queue.
    Admitted,
    /// It has a place in the queue, and looks again at that instant of the clock; if that is never, it is woken.
    Wait { key: Key<L>, until: Instant },
    /// There will never be so many, or not in time, or there is no place; it is not in the queue.
    Refused(RateLimitError),
}

/// The answer to somebody who may wait, and what is done with wakers outside the lock.
pub(super) struct Asked<L> {
    pub(super) turn: Turn<L>,
    /// To be dropped.
    pub(super) unused: [Option<Waker>; 2],
    /// Of whoever is first now: to be woken.
    pub(super) next: Option<Waker>,
}

/// The answer to somebody who does not wait. What it says is worked out behind the lock, as far as it can be.
pub(super) struct Denied {
    lack: Lack,
    now: Instant,
}

impl Denied {
    /// When the permits are there, and from when that counts, if that is all there is to say.
    #[inline]
    pub(super) fn until(&self) -> Option<RateLimitError> {
        match self.lack {
            Lack::Refused(Refused::Until(at)) => {
                Some(RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(self.now)) })
            }
            Lack::Refused(Refused::Never) | Lack::Others | Lack::Running => None,
        }
    }
}

/// Why there are no permits now.
enum Lack {
    /// Others wait for theirs.
    Others,
    /// As many calls run as may.
    Running,
    Refused(Refused),
}

/// A line, for as long as the lock is held.
pub struct Desk<'d, A: Algorithm, S: Storage> {
    pub(super) algorithm: &'d A,
    pub(super) limits: Limits,
    pub(super) taken: &'d mut A::State,
    pub(super) crowd: &'d mut Crowd<S::Link>,
    pub(super) slab: &'d mut Slab<Ask, S>,
    pub(super) steady: Steady,
    pub(super) now: Instant,
    /// How late a caller may come for what it has waited for, and still have it in time.
    pub(super) lateness: u64,
}

impl<L> Crowd<L> {
    /// Nobody.
    pub(super) const NONE: Self = Self { queue: Queue::new(), running: 0, reserved: 0, since: Instant::ORIGIN, asked: 0 };

    /// A call has ended. Says whether somebody waits for that.
    pub(super) const fn end_call(&mut self) -> bool {
        self.running = self.running.saturating_sub(1);
        self.since.is_never() && !self.queue.is_empty()
    }

    pub(super) const fn is_none(&self) -> bool {
        self.running == 0 && self.reserved == 0 && self.queue.is_empty()
    }
}

impl<L: Link> Crowd<L> {
    /// There can be so many permits at once from now on: who asks for more counts no longer, and has to be told.
    pub(super) fn refit<S: Storage<Link = L>>(&mut self, slab: &mut Slab<Ask, S>, most: u32) {
        let asked = &mut self.asked;
        slab.for_each(&self.queue, |ask| {
            if ask.permits > most {
                *asked = asked.saturating_sub(u64::from(mem::take(&mut ask.permits)));
            }
        });
    }

    /// The waker of somebody who has to be told that there will never be so many.
    pub(super) fn next_in_vain<S: Storage<Link = L>>(&self, slab: &mut Slab<Ask, S>) -> Option<Waker> {
        slab.take_waker_where(&self.queue, |ask| ask.permits == 0 && ask.by == By::Caller)
    }
}

impl<A: Algorithm, S: Storage> Desk<'_, A, S> {
    /// Whether somebody who comes has taken permits.
    #[inline]
    pub(super) fn takes(&mut self, permits: u32) -> bool {
        self.take_now(permits).is_ok()
    }

    /// Takes permits for somebody who comes and does not wait.
    #[inline]
    pub(super) fn take(&mut self, permits: u32) -> Result<(), Denied> {
        self.take_now(permits).map_err(|lack| Denied { lack, now: self.now })
    }

    #[inline]
    fn take_now(&mut self, permits: u32) -> Result<(), Lack> {
        if !self.crowd.queue.is_empty() {
            self.settle(true);
            if !self.crowd.queue.is_empty() {
                return Err(Lack::Others);
            }
        }
        self.take_at(permits, self.now)
    }

    #[inline]
    fn take_at(&mut self, permits: u32, at: Instant) -> Result<(), Lack> {
        if self.crowd.running >= self.limits.max_concurrent {
            return Err(Lack::Running);
        }
        self.algorithm.try_take(self.taken, at, permits).map_err(Lack::Refused)?;
        if self.limits.counts_calls() {
            self.crowd.running += 1;
        }
        Ok(())
    }

    /// What there is to say to somebody who was denied.
    #[cold]
    pub(super) fn explain(&self, permits: u32, denied: &Denied) -> RateLimitError {
        self.refusal(permits, &denied.lack)
    }

    #[cold]
    fn refusal(&self, permits: u32, lack: &Lack) -> RateLimitError {
        let at = match lack {
            Lack::Refused(Refused::Until(at)) => *at,
            Lack::Refused(Refused::Never) => return self.never(permits).unwrap_or(RateLimitError::Exhausted),
            Lack::Running => return self.never(permits).unwrap_or(RateLimitError::Limited { retry_after: None }),
            Lack::Others => match self.never(permits) {
                Some(error) => return error,
                None if self.earliest(permits).is_never() => return RateLimitError::Exhausted,
                None => return RateLimitError::Limited { retry_after: self.retry_after(permits) },
            },
        };
        RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(self.now)) }
    }

    /// When permits are there for somebody who comes, if none of those who wait leaves; `None` if the rule can't tell, or a call has to end first.
    fn retry_after(&self, permits: u32) -> Option<Duration> {
        let runs = self.crowd.running >= self.limits.max_concurrent;
        if runs || (self.crowd.since.is_never() && !self.crowd.queue.is_empty()) {
            return None;
        }
        let at = self.earliest(permits);
        (at > self.now && !at.is_never()).then(|| at.saturating_duration_since(self.now))
    }

    /// When permits can be there for somebody who comes.
    fn earliest(&self, permits: u32) -> Instant {
        self.algorithm.not_before(self.taken, self.now, self.crowd.asked, permits)
    }

    /// Why no wait can help, if that is clear from the start.
    #[cold]
    fn never(&self, permits: u32) -> Option<RateLimitError> {
        let most = self.algorithm.most();
        match self.algorithm.config_error().or_else(|| self.limits.config_error()) {
            Some(error) => Some(RateLimitError::Config(error)),
            None if permits > most => Some(RateLimitError::TooManyPermits { requested: permits, most }),
            None => None,
        }
    }

    /// Behind how many somebody would wait who comes, and how long at least.
    pub(super) fn prospect(&self, permits: u32) -> (u32, Duration) {
        (self.crowd.queue.len(), self.earliest(permits).saturating_duration_since(self.now))
    }

    /// Somebody asks who waits in that place, or who comes: takes the permits, or waits for them, if that can end in time.
    pub(super) fn ask(&mut self, place: Option<Key<S::Link>>, permits: u32, deadline: Instant, waker: Waker) -> Asked<S::Link> {
        let is_first;
        if let Some(key) = place {
            // The rule may have changed meanwhile.
            if let Some(refusal) = self.never(permits) {
                return self.answer(place, waker, Turn::Refused(refusal));
            }
            is_first = self.slab.is_front(&self.crowd.queue, key);
        } else {
            self.settle(true);
            is_first = self.crowd.queue.is_empty();
            if is_first {
                self.crowd.since = self.now;
            }
        }
        let until = match if is_first { self.take_in_turn(permits) } else { Err(Lack::Others) } {
            Ok(()) => return self.answer(place, waker, Turn::Admitted),
            Err(Lack::Refused(Refused::Until(at))) => at,
            Err(Lack::Running | Lack::Others) => Instant::MAX,
            Err(lack @ Lack::Refused(Refused::Never)) => {
                let refusal = self.refusal(permits, &lack);
                return self.answer(place, waker, Turn::Refused(refusal));
            }
        };
        let (key, unused) = match place {
            Some(key) => (key, self.slab.listen(key, waker)),
            None => match self.join(permits, deadline, waker) {
                Ok(key) => (key, None),
                Err((refusal, Full(waker))) => return self.answer(None, waker, Turn::Refused(refusal)),
            },
        };
        if is_first {
            self.crowd.since = if until.is_never() { until } else { self.crowd.since.min(self.now) };
        }
        Asked { turn: Turn::Wait { key, until: self.steady.on_clock(until) }, unused: [unused, None], next: None }
    }

    /// Whoever leaves the queue, or has not come into it, is told so.
    fn answer(&mut self, place: Option<Key<S::Link>>, waker: Waker, turn: Turn<S::Link>) -> Asked<S::Link> {
        let (registered, next) = match place {
            Some(key) => (self.remove(key), self.next()),
            None => (None, None),
        };
        Asked { turn, unused: [registered, Some(waker)], next }
    }

    /// Lets somebody wait who comes.
    fn join(&mut self, permits: u32, deadline: Instant, waker: Waker) -> Result<Key<S::Link>, (RateLimitError, Full)> {
        if let Some(error) = self.never(permits) {
            return Err((error, Full(waker)));
        }
        if !deadline.is_never() && self.steady.on_clock(self.earliest(permits)) > deadline {
            return Err((self.too_late(permits), Full(waker)));
        }
        self.push(Ask::of_caller(permits), waker).map_err(|full| (self.full(permits), full))
    }

    /// To somebody who comes, or has just left, and whose time is not enough.
    fn too_late(&self, permits: u32) -> RateLimitError {
        RateLimitError::Deadline { retry_after: self.retry_after(permits) }
    }

    /// To somebody who comes, and has no place to wait.
    fn full(&self, permits: u32) -> RateLimitError {
        let taken = if self.crowd.queue.len() >= self.limits.max_waiting { None } else { u32::try_from(S::CAPACITY).ok() };
        RateLimitError::QueueFull { waiting: taken.unwrap_or(self.crowd.queue.len()), retry_after: self.retry_after(permits) }
    }

    fn push(&mut self, ask: Ask, waker: Waker) -> Result<Key<S::Link>, Full> {
        if self.crowd.queue.len() >= self.limits.max_waiting {
            return Err(Full(waker));
        }
        let is_first = self.crowd.queue.is_empty();
        let key = self.slab.push(&mut self.crowd.queue, ask, waker)?;
        if is_first {
            self.crowd.since = self.now;
        }
        self.crowd.asked = self.crowd.asked.saturating_add(u64::from(ask.permits));
        Ok(key)
    }

    /// Takes permits for the first in the queue: as of the instant for which they were due, if a coarse timer has woken it a little late and the rule has it so. Otherwise every wait would be that much longer, and the rate not met.
    fn take_in_turn(&mut self, permits: u32) -> Result<(), Lack> {
        let due = if self.lateness > 0 && self.algorithm.counts_late_as_due() { self.due(permits) } else { self.now };
        let taken_at = match self.take_at(permits, due) {
            Ok(()) => due,
            // A rule may not know it so exactly.
            Err(Lack::Refused(Refused::Until(at))) if at <= self.now => {
                self.take_at(permits, at)?;
                at
            }
            Err(lack) => return Err(lack),
        };
        self.crowd.since = taken_at;
        Ok(())
    }

    /// When the first in the queue could have gone with a timer that is exact. It is now, if that lies further back than a timer is late.
    fn due(&self, permits: u32) -> Instant {
        let due = self.algorithm.not_before(self.taken, self.crowd.since.min(self.now), 0, permits);
        let in_time = (due..=due.saturating_add_nanos(self.lateness)).contains(&self.now);
        if in_time { due } else { self.now }
    }

    fn remove(&mut self, key: Key<S::Link>) -> Option<Waker> {
        let removed = self.slab.remove(&mut self.crowd.queue, key)?;
        self.crowd.asked = self.crowd.asked.saturating_sub(u64::from(removed.payload.permits));
        removed.waker
    }

    /// A waiter goes without its permits. Its waker comes back, and that of whoever is first now.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> (Option<Waker>, Option<Waker>) {
        let was_front = self.slab.is_front(&self.crowd.queue, key);
        let unused = self.remove(key);
        (unused, if was_front { self.reconsider() } else { None })
    }

    /// As [`leave`](Self::leave), of one whose time is up: with what it is told.
    pub(super) fn expire(&mut self, key: Key<S::Link>, permits: u32) -> (RateLimitError, [Option<Waker>; 2]) {
        let (unused, next) = self.leave(key);
        (self.too_late(permits), [unused, next])
    }

    /// Something has changed. The waker of whoever is first in the queue: what there is now may do.
    pub(super) fn reconsider(&mut self) -> Option<Waker> {
        self.crowd.since = self.now;
        self.next()
    }

    /// The waker of whoever is first in the queue: it looks what there is, and until when it waits.
    fn next(&mut self) -> Option<Waker> {
        self.settle(false);
        self.slab.take_front_waker(&self.crowd.queue)
    }

    /// Takes the permits of reservations before which nobody stands any more. While nobody stands behind them either, that has time: they may be given back, and then nothing was taken.
    fn settle(&mut self, somebody_comes: bool) {
        let now = self.now;
        let count = somebody_comes || self.slab.iter(&self.crowd.queue).any(|ask| ask.by == By::Caller);
        while let Some(&ask) = self.slab.front(&self.crowd.queue) {
            match ask.by {
                By::Caller => return,
                By::Reservation if count => _ = self.slab.grant_front(&mut self.crowd.queue),
                By::Reservation => {
                    return self.slab.for_each(&self.crowd.queue, |ask| {
                        (ask.not_before, ask.is_alone) = (ask.as_of(now), true);
                    });
                }
                By::Ended => _ = self.slab.pop_front(&mut self.crowd.queue),
            }
            self.crowd.asked = self.crowd.asked.saturating_sub(u64::from(ask.permits));
            let as_of = ask.as_of(now);
            let _known = self.algorithm.reserve(self.taken, now.min(as_of), as_of, ask.permits);
        }
    }

    /// Takes permits in advance, and says from when on; with a place in the queue, if others wait.
    pub(super) fn reserve(&mut self, permits: u32) -> Result<InAdvance<S::Link>, RateLimitError> {
        if let Some(error) = self.never(permits) {
            return Err(error);
        }
        self.settle(true);
        if self.crowd.queue.is_empty() {
            let at = self.algorithm.reserve(self.taken, self.now, self.now, permits).ok_or(RateLimitError::Exhausted)?;
            self.crowd.reserved = self.crowd.reserved.saturating_add(1);
            return Ok(InAdvance { at, key: None });
        }
        // What those before it take, and when, is played on a copy.
        let mut taken = self.taken.clone();
        let last = Ask::of_caller(permits);
        let mut asks = self.slab.iter(&self.crowd.queue).chain([&last]);
        let at = asks.try_fold(self.now, |_, ask| self.reserved(&mut taken, ask));
        drop(asks);
        let at = at.ok_or(RateLimitError::Exhausted)?;
        match self.push(Ask { permits, by: By::Reservation, not_before: at, is_alone: false }, Waker::noop().clone()) {
            Ok(key) => {
                self.crowd.reserved = self.crowd.reserved.saturating_add(1);
                Ok(InAdvance { at, key: Some(key) })
            }
            Err(_) => Err(self.full(permits)),
        }
    }

    /// From when on somebody may use permits who takes them after all others.
    fn reserved(&self, taken: &mut A::State, ask: &Ask) -> Option<Instant> {
        let as_of = ask.as_of(self.now);
        self.algorithm.reserve(taken, self.now.min(as_of), as_of, ask.permits)
    }

    /// Ends a reservation; before its instant, it is given back, and whoever is first may be able to go sooner.
    pub(super) fn give_back(&mut self, mut permits: u32, at: Instant, key: Option<Key<S::Link>>) -> Option<Waker> {
        self.crowd.reserved = self.crowd.reserved.saturating_sub(1);
        let is_used = at <= self.now;
        if let Some(key) = key {
            if !self.slab.is_granted(key) {
                // Nothing has been taken for it yet; what it has used all the same is taken in its turn.
                match self.slab.get_mut(key) {
                    Some(ask) if is_used => ask.by = By::Ended,
                    _ => drop(self.remove(key)),
                }
                self.settle(false);
                return None;
            }
            permits = self.slab.remove(&mut self.crowd.queue, key).map_or(0, |removed| removed.payload.permits);
        }
        if is_used {
            return None;
        }
        self.algorithm.give_back(self.taken, self.now, permits, at);
        self.reconsider()
    }

    /// Permits that are left to a newcomer by those in the queue: none, unless they are reservations.
    fn left(&self) -> u32 {
        let mut taken = self.taken.clone();
        for ask in self.slab.iter(&self.crowd.queue) {
            if ask.by == By::Caller {
                return 0;
            }
            let _at = self.reserved(&mut taken, ask);
        }
        self.algorithm.available(&taken, self.now)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let available = if self.crowd.queue.is_empty() { self.algorithm.available(self.taken, self.now) } else { self.left() };
        Snapshot { available, waiting: self.crowd.queue.len(), running: self.limits.counts_calls().then_some(self.crowd.running) }
    }
}

/// How a limiter stands.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(10));
/// limiter.try_acquire(3).unwrap();
/// let now = limiter.snapshot();
/// assert_eq!((now.available, now.waiting, now.running), (7, 0, None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// Permits that a newcomer could take: none, while others wait.
    pub available: u32,
    /// Callers that wait.
    pub waiting: u32,
    /// Calls that run, where [`max_concurrent`](super::RateLimiter::max_concurrent) is set.
    pub running: Option<u32>,
}
