//! What of a world can be reached from everywhere: who was woken, and the pending timers.

use std::collections::BTreeMap;
use std::task::Waker;

use aplomb::Instant;
use parking_lot::Mutex;

/// When a timer is due, and its number: timers of one instant fire in the order in which they were registered.
pub(crate) type TimerKey = (Instant, u64);

struct Timer {
    waker: Waker,
    task: u32,
}

/// It is behind an `Arc` and locks, so that wakers and sleeps may be moved to, and dropped on, other threads.
pub(crate) struct Shared {
    number: u64,
    woken: Mutex<Vec<u32>>,
    timers: Mutex<(u64, BTreeMap<TimerKey, Timer>)>,
}

impl Shared {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, woken: Mutex::new(Vec::new()), timers: Mutex::new((0, BTreeMap::new())) }
    }

    /// The number of the world.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn push_woken(&self, task: u32) {
        self.woken.lock().push(task);
    }

    /// Moves those who were woken since the last time behind `into`, which must be empty.
    pub(crate) fn take_woken(&self, into: &mut Vec<u32>) {
        std::mem::swap(&mut *self.woken.lock(), into);
    }

    pub(crate) fn register(&self, at: Instant, task: u32, waker: Waker) -> TimerKey {
        let mut timers = self.timers.lock();
        timers.0 += 1;
        let key = (at, timers.0);
        timers.1.insert(key, Timer { waker, task });
        key
    }

    /// Lets a pending timer wake `waker`. `false`: there is no such timer, it has fired.
    pub(crate) fn update(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.timers.lock().1.get(&key) {
            Some(timer) if timer.waker.will_wake(waker) => return true,
            Some(_) => {}
            None => return false,
        }
        // Cloning and dropping wakers is foreign code: not under the lock.
        let new = waker.clone();
        let old = self.timers.lock().1.get_mut(&key).map(|timer| std::mem::replace(&mut timer.waker, new));
        old.is_some()
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        let cancelled = self.timers.lock().1.remove(&key);
        drop(cancelled);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.lock().1.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first timer, if it is due; with the task that registered it.
    pub(crate) fn take_due(&self, now: Instant) -> Option<(u32, Waker)> {
        let mut timers = self.timers.lock();
        let entry = timers.1.first_entry().filter(|entry| entry.key().0 <= now)?;
        let timer = entry.remove();
        Some((timer.task, timer.waker))
    }

    /// When the first timer of this task is due.
    pub(crate) fn of_task(&self, task: u32) -> Option<Instant> {
        self.timers.lock().1.iter().find(|(_, timer)| timer.task == task).map(|((at, _), _)| *at)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        let timers = std::mem::take(&mut self.timers.lock().1);
        drop(timers);
        self.woken.lock().clear();
    }
}
