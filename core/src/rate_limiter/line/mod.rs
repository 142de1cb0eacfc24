//! A line of callers: what has been taken, who runs, and who waits. A machine, whose driver brings the time.

mod crowd;
mod in_advance;
mod rehearsal;
mod snapshot;
mod waiters;

use core::task::Waker;
use core::time::Duration;

pub(super) use self::crowd::Crowd;
use self::crowd::{Ask, By};
pub(super) use self::in_advance::InAdvance;
pub use self::snapshot::Snapshot;
pub(super) use self::waiters::Waiters;
use super::algorithm::{Algorithm, Refused};
use super::error::RateLimitError;
use crate::config::ConfigError;
use crate::storage::{Storage, waiting_error};
use crate::sync::wait_list::{Full, Key};
use crate::time::{Instant, Steady, nanos};

/// How late a caller may come for what it has waited for, and still have it in time: a timer may be a tick late, and its task have its turn some more ticks later.
pub(super) const fn lateness(resolution: Duration) -> u64 {
    nanos(resolution).saturating_mul(4)
}

/// What holds for every line of a limiter.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Limits {
    /// Calls that run at once; `u32::MAX` is any number, and they are not counted then.
    pub(super) max_concurrent: u32,
    pub(super) max_waiting: u32,
}

impl Limits {
    pub(super) const NONE: Self = Self { max_concurrent: u32::MAX, max_waiting: u32::MAX };

    /// What is wrong with them, where those who wait lie in `S`.
    pub(super) const fn config_error<S: Storage>(self) -> Option<ConfigError> {
        if self.max_concurrent == 0 {
            return Some(ConfigError::MaxConcurrent { value: 0 });
        }
        waiting_error(self.max_waiting, S::CAPACITY)
    }

    /// Whether nothing but the rule decides on permits, unless somebody waits.
    pub(super) const fn leave_it_to_the_rule<S: Storage>(self) -> bool {
        !self.counts_calls() && waiting_error(self.max_waiting, S::CAPACITY).is_none()
    }

    /// Whether another call may run beside so many. By wrong limits, none ever does.
    #[inline]
    const fn admit<S: Storage>(self, running: u32) -> bool {
        running < self.max_concurrent && waiting_error(self.max_waiting, S::CAPACITY).is_none()
    }

    pub(super) const fn counts_calls(self) -> bool {
        self.max_concurrent != u32::MAX
    }
}

/// What somebody who may wait is told.
pub(super) enum Turn<L> {
    /// The permits are its own, as of that instant, and it is not in the queue.
    Admitted(Instant),
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
    pub(super) waiters: &'d mut Waiters<A, S>,
    pub(super) steady: Steady,
    pub(super) now: Instant,
    /// What was taken before is not given back: it was by another rule.
    pub(super) returnable_from: Instant,
    /// How late a caller may come for what it has waited for, and still have it in time.
    pub(super) lateness: u64,
}

impl<A: Algorithm, S: Storage> Desk<'_, A, S> {
    /// Takes permits for somebody who comes, if they are there. Says as of when.
    #[inline]
    pub(super) fn takes(&mut self, permits: u32) -> Option<Instant> {
        self.take_now(permits).ok()
    }

    /// Takes permits for somebody who comes and does not wait. Says as of when.
    #[inline]
    pub(super) fn take(&mut self, permits: u32) -> Result<Instant, Denied> {
        self.take_now(permits).map_err(|lack| Denied { lack, now: self.now })
    }

    #[inline]
    fn take_now(&mut self, permits: u32) -> Result<Instant, Lack> {
        if !self.crowd.queue.is_empty() {
            self.settle(true);
            if !self.crowd.queue.is_empty() {
                return Err(Lack::Others);
            }
        }
        self.take_at(permits, self.now)?;
        self.begin_call();
        Ok(self.now)
    }

    #[inline]
    fn take_at(&mut self, permits: u32, at: Instant) -> Result<(), Lack> {
        if !self.limits.admit::<S>(self.crowd.running) {
            return Err(Lack::Running);
        }
        self.algorithm.try_take(self.taken, at, permits).map_err(Lack::Refused)
    }

    /// Somebody has permits, and may run. Counted when nothing can go wrong any more.
    #[inline]
    const fn begin_call(&mut self) {
        if self.limits.counts_calls() {
            self.crowd.running += 1;
        }
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
            Lack::Others => {
                let earliest = self.earliest(permits);
                return match self.never(permits) {
                    Some(error) => error,
                    None if earliest.is_never() => RateLimitError::Exhausted,
                    None => RateLimitError::Limited { retry_after: self.retry_after(earliest) },
                };
            }
        };
        RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(self.now)) }
    }

    /// In what time permits are there for somebody who comes, if none of those who wait leaves, and they can be there [then](Self::earliest); `None` if the rule can't tell, or a call has to end first.
    fn retry_after(&self, earliest: Instant) -> Option<Duration> {
        let runs = self.crowd.running >= self.limits.max_concurrent;
        if runs || (self.crowd.since.is_never() && !self.crowd.queue.is_empty()) {
            return None;
        }
        (earliest > self.now && !earliest.is_never()).then(|| earliest.saturating_duration_since(self.now))
    }

    /// When permits can be there for somebody who comes: not before those for whoever is first.
    fn earliest(&self, permits: u32) -> Instant {
        let own = self.algorithm.not_before(self.taken, self.now, self.crowd.asked, permits);
        let first = self.waiters.slab.front(&self.crowd.queue).map(|first| first.counted(self.algorithm.most()));
        own.max(first.map_or(self.now, |permits| self.algorithm.not_before(self.taken, self.now, 0, permits)))
    }

    /// Why no wait can help, if that is clear from the start.
    #[cold]
    fn never(&self, permits: u32) -> Option<RateLimitError> {
        let most = self.algorithm.most();
        match self.algorithm.config_error().or_else(|| self.limits.config_error::<S>()) {
            Some(error) => Some(RateLimitError::Config(error)),
            None if permits > most => Some(RateLimitError::TooManyPermits { requested: permits, most }),
            None => None,
        }
    }

    /// Behind how many callers somebody would wait who comes, and how long at least.
    pub(super) fn prospect(&self, permits: u32) -> (u32, Duration) {
        (self.crowd.callers, self.earliest(permits).saturating_duration_since(self.now))
    }

    /// Somebody asks who waits in that place, or who comes: takes the permits, or waits for them, if that can end in time.
    pub(super) fn ask(&mut self, place: Option<Key<S::Link>>, permits: u32, deadline: Instant, waker: Waker) -> Asked<S::Link> {
        let is_first;
        if let Some(key) = place {
            if let Some(most) = self.refused_by(key) {
                let registered = self.remove(key);
                let refusal = RateLimitError::TooManyPermits { requested: permits, most };
                return Asked { turn: Turn::Refused(refusal), unused: [registered, Some(waker)], next: None };
            }
            is_first = self.waiters.slab.is_front(&self.crowd.queue, key);
        } else {
            self.settle(true);
            is_first = self.crowd.queue.is_empty();
            if is_first {
                self.crowd.since = self.now;
            }
        }
        let until = match if is_first { self.take_in_turn(permits) } else { Err(Lack::Others) } {
            Ok(taken) => {
                let asked = self.answer(place, waker, Turn::Admitted(taken));
                self.begin_call();
                return asked;
            }
            Err(Lack::Refused(Refused::Until(at))) if at > self.now => at,
            // A rule may have rounded that down. Time passes all the same, or it would be asked again and again within one poll.
            Err(Lack::Refused(Refused::Until(_))) => self.now.saturating_add_nanos(1),
            Err(Lack::Running | Lack::Others) => Instant::MAX,
            Err(lack @ Lack::Refused(Refused::Never)) => {
                let refusal = self.refusal(permits, &lack);
                return self.answer(place, waker, Turn::Refused(refusal));
            }
        };
        let (key, unused) = match place {
            Some(key) => (key, self.waiters.slab.listen(key, waker)),
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

    /// How many permits there could be at once, when that caller was turned away by a new rule.
    fn refused_by(&mut self, key: Key<S::Link>) -> Option<u32> {
        self.waiters.slab.get_mut(key).filter(|ask| ask.by == By::Refused).map(|ask| ask.permits)
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
        if !deadline.is_never() {
            let earliest = self.earliest(permits);
            if self.steady.on_clock(earliest) > deadline {
                return Err((self.too_late(earliest), Full(waker)));
            }
        }
        self.push(Ask::of_caller(permits), waker).map_err(|full| (self.full(permits), full))
    }

    /// To somebody who comes, or has just left, and whose time is not enough.
    fn too_late(&self, earliest: Instant) -> RateLimitError {
        RateLimitError::Deadline { retry_after: self.retry_after(earliest) }
    }

    /// To somebody who comes, and has no place to wait.
    fn full(&self, permits: u32) -> RateLimitError {
        let waiting = self.crowd.queue.len();
        let taken = if waiting >= self.limits.max_waiting { waiting } else { self.waiters.slab.places() };
        RateLimitError::QueueFull { waiting: taken, retry_after: self.retry_after(self.earliest(permits)) }
    }

    fn push(&mut self, ask: Ask, waker: Waker) -> Result<Key<S::Link>, Full> {
        if self.crowd.queue.len() >= self.limits.max_waiting {
            return Err(Full(waker));
        }
        let is_first = self.crowd.queue.is_empty();
        let key = self.waiters.slab.push(&mut self.crowd.queue, ask, waker)?;
        if is_first {
            (self.crowd.since, self.crowd.is_alone) = (self.now, false);
        }
        self.crowd.callers = self.crowd.callers.saturating_add(u32::from(ask.by == By::Caller));
        self.crowd.asked = self.crowd.asked.saturating_add(u64::from(ask.permits));
        Ok(key)
    }

    /// Takes permits for the first in the queue: as of the instant for which they were due, if a coarse timer has woken it a little late and the rule has it so. Otherwise every wait would be that much longer, and the rate not met.
    fn take_in_turn(&mut self, permits: u32) -> Result<Instant, Lack> {
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
        Ok(taken_at)
    }

    /// When the first in the queue could have gone with a timer that is exact. It is now, if that lies further back than a timer is late.
    fn due(&self, permits: u32) -> Instant {
        let due = self.algorithm.not_before(self.taken, self.crowd.since.min(self.now), 0, permits);
        let in_time = (due..=due.saturating_add_nanos(self.lateness)).contains(&self.now);
        if in_time { due } else { self.now }
    }

    fn remove(&mut self, key: Key<S::Link>) -> Option<Waker> {
        if self.refused_by(key).is_some() {
            self.crowd.held = self.crowd.held.saturating_sub(1);
            return self.waiters.slab.remove(&mut self.waiters.refused, key)?.waker;
        }
        let removed = self.waiters.slab.remove(&mut self.crowd.queue, key)?;
        self.no_longer_asks(&removed.payload);
        removed.waker
    }

    /// One has left the queue, or has its permits.
    fn no_longer_asks(&mut self, ask: &Ask) {
        self.waiters.rehearsed.forget();
        let permits = ask.counted(self.algorithm.most());
        self.crowd.asked = self.crowd.asked.saturating_sub(u64::from(permits));
        self.crowd.callers = self.crowd.callers.saturating_sub(u32::from(ask.by == By::Caller));
    }

    /// A waiter goes without its permits. Its waker comes back, and that of whoever is first now.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> (Option<Waker>, Option<Waker>) {
        let was_front = self.waiters.slab.is_front(&self.crowd.queue, key);
        let unused = self.remove(key);
        (unused, if was_front { self.reconsider() } else { None })
    }

    /// As [`leave`](Self::leave), of one whose time is up: with what it is told.
    pub(super) fn expire(&mut self, key: Key<S::Link>, permits: u32) -> (RateLimitError, [Option<Waker>; 2]) {
        let (unused, next) = self.leave(key);
        (self.too_late(self.earliest(permits)), [unused, next])
    }

    /// Something has changed. The waker of whoever is first in the queue: what there is now may do.
    pub(super) fn reconsider(&mut self) -> Option<Waker> {
        if !self.crowd.is_alone {
            self.crowd.since = self.now;
        }
        self.next()
    }

    /// The waker of whoever is first in the queue: it looks what there is, and until when it waits.
    fn next(&mut self) -> Option<Waker> {
        self.settle(false);
        self.waiters.slab.take_front_waker(&self.crowd.queue)
    }
}
