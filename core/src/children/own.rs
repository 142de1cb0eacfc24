use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::task::{Context, Waker};

use mutex::{ConstInit, ScopedRawMutex};

use super::{AT_FIRST, Children};
use crate::sync::Shared;

/// Each slot has a waker of its own, so that only the children are polled that were woken.
///
/// One allocation a slot, when it is used for the first time; none for the children that pass through it. The lock is taken once for a wake, and once for all those that a poll of the parent finds woken.
pub struct OwnWakers<R: ScopedRawMutex + ConstInit> {
    /// None until the first poll.
    woken: Option<Arc<Shared<R, Woken>>>,
    /// One of each slot.
    wakers: Vec<Waker>,
    /// For how many slots there is room.
    room: usize,
    /// Those to be polled, in the order in which they were woken. Who wakes meanwhile has its turn in the next poll.
    turns: Vec<usize>,
    /// The first of them who has not had it.
    next: usize,
}

/// The slots whose children were woken, and who polls them.
struct Woken {
    /// In the order in which they were woken.
    slots: Vec<usize>,
    /// Of each slot, the round in which it was woken last: it is among them at most once, so that they never outgrow the slots.
    rounds: Vec<u32>,
    /// Counted from one, whenever they are handed over.
    round: u32,
    parent: Option<Waker>,
}

impl Woken {
    const NOBODY: Self = Self { slots: Vec::new(), rounds: Vec::new(), round: 1, parent: None };

    /// The child in `slot` is woken; says whether it was not yet.
    fn wake(&mut self, slot: usize) -> bool {
        let new = self.rounds.get_mut(slot).is_some_and(|round| mem::replace(round, self.round) != self.round);
        if new {
            self.slots.push(slot);
        }
        new
    }

    /// Hands over those who were woken, in exchange for those who are to wait a round longer.
    fn hand_over(&mut self, turns: &mut Vec<usize>, next: usize) {
        for slot in turns.get(next..).unwrap_or_default() {
            self.wake(*slot);
        }
        turns.clear();
        mem::swap(&mut self.slots, turns);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            // Once in four billion rounds.
            self.rounds.fill(0);
            self.round = 1;
        }
    }
}

fn nobody<R: ScopedRawMutex + ConstInit>() -> Arc<Shared<R, Woken>> {
    Arc::new(Shared::new(Woken::NOBODY))
}

struct Slot<R> {
    index: usize,
    woken: Arc<Shared<R, Woken>>,
}

impl<R: ScopedRawMutex + Send + Sync> Wake for Slot<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let parent = self.woken.with(|woken| if woken.wake(self.index) { woken.parent.take() } else { None });
        // The parent is woken once for all the children that are woken before its next poll.
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl<R: ScopedRawMutex + ConstInit + Send + Sync + 'static> OwnWakers<R> {
    /// Makes the wakers of slots that are new.
    #[cold]
    fn grow(&mut self, slots: usize) {
        let new = self.wakers.len()..slots;
        let woken = Arc::clone(self.woken.get_or_insert_with(nobody));
        if slots > self.room {
            self.room = slots.max(self.room.saturating_mul(2)).max(AT_FIRST);
            self.wakers.reserve_exact(self.room.saturating_sub(self.wakers.len()));
            // Nobody who wakes has to allocate.
            let (mut slots, mut rounds) = (Vec::with_capacity(self.room), Vec::with_capacity(self.room));
            self.turns.reserve(self.room);
            woken.with(|woken| {
                slots.append(&mut woken.slots);
                rounds.append(&mut woken.rounds);
                rounds.resize(self.room, 0);
                mem::swap(&mut woken.slots, &mut slots);
                mem::swap(&mut woken.rounds, &mut rounds);
            });
        }
        self.wakers.extend(new.map(|index| Waker::from(Arc::new(Slot { index, woken: Arc::clone(&woken) }))));
    }
}

impl<R: ScopedRawMutex + ConstInit + Send + Sync + 'static> Children for OwnWakers<R> {
    const EMPTY: Self = Self { woken: None, wakers: Vec::new(), room: 0, turns: Vec::new(), next: 0 };

    fn begin(&mut self, slots: usize, parent: &Waker) {
        let new = self.wakers.len()..slots;
        if !new.is_empty() {
            self.grow(slots);
        }
        let parent = parent.clone();
        let Self { woken, turns, next, .. } = self;
        let _earlier = woken.get_or_insert_with(nobody).with(|woken| {
            woken.hand_over(turns, mem::take(next));
            woken.parent.replace(parent)
        });
        turns.extend(new);
    }

    #[inline]
    fn next_ready(&mut self) -> Option<usize> {
        let slot = self.turns.get(self.next).copied()?;
        self.next += 1;
        Some(slot)
    }

    #[inline]
    fn poll_child<U>(&mut self, slot: usize, parent: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> U) -> U {
        if slot == self.wakers.len() {
            self.grow(slot.saturating_add(1));
        }
        match self.wakers.get(slot) {
            Some(waker) => poll(&mut Context::from_waker(waker)),
            None => poll(parent),
        }
    }

    fn listen(&mut self, parent: &Waker) -> bool {
        let parent = parent.clone();
        let (_earlier, waiting) =
            self.woken.get_or_insert_with(nobody).with(|woken| (woken.parent.replace(parent), !woken.slots.is_empty()));
        waiting
    }
}

impl<R: ScopedRawMutex + ConstInit> Drop for OwnWakers<R> {
    fn drop(&mut self) {
        // A child's waker that somebody keeps does not keep the parent's task.
        if let Some(woken) = &self.woken {
            let _parent = woken.with(|woken| woken.parent.take());
        }
    }
}

impl<R: ScopedRawMutex + ConstInit> fmt::Debug for OwnWakers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnWakers").field("slots", &self.wakers.len()).finish_non_exhaustive()
    }
}
