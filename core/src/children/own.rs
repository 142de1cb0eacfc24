use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::task::{Context, Waker};

use mutex::{ConstInit, ScopedRawMutex};

use super::Children;
use crate::sync::Shared;

/// Each slot has a waker of its own, so that only the children are polled that were woken.
///
/// One allocation a slot, when it is used for the first time; none for the children that pass through it.
pub struct OwnWakers<R: ScopedRawMutex + ConstInit> {
    /// None until the first poll.
    ready: Option<Arc<Ready<R>>>,
    /// One of each slot.
    wakers: Vec<Waker>,
    /// How many may be polled yet in this poll of the parent: a child that wakes itself has its next turn in the next one.
    turns: usize,
}

/// The slots whose children were woken, and who polls them.
struct Ready<R> {
    state: Shared<R, State>,
}

struct State {
    /// In the order in which they were woken.
    queue: VecDeque<usize>,
    /// Of each slot, whether it is in the queue: it is there at most once, so that the queue never outgrows the slots.
    queued: Vec<bool>,
    parent: Option<Waker>,
}

impl State {
    const EMPTY: Self = Self { queue: VecDeque::new(), queued: Vec::new(), parent: None };

    /// Marks the slot as one that is in the queue; says whether it was not.
    fn enters(&mut self, slot: usize) -> bool {
        self.queued.get_mut(slot).is_some_and(|queued| !mem::replace(queued, true))
    }

    fn leave(&mut self) -> Option<usize> {
        let slot = self.queue.pop_front()?;
        if let Some(queued) = self.queued.get_mut(slot) {
            *queued = false;
        }
        Some(slot)
    }
}

struct Slot<R> {
    index: usize,
    ready: Arc<Ready<R>>,
}

impl<R: ScopedRawMutex + Send + Sync> Wake for Slot<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let parent = self.ready.state.with(|state| {
            if !state.enters(self.index) {
                return None;
            }
            state.queue.push_back(self.index);
            state.parent.take()
        });
        // The parent is woken once for all the children that are woken before its next poll.
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl<R: ScopedRawMutex + ConstInit + Send + Sync + 'static> Children for OwnWakers<R> {
    const EMPTY: Self = Self { ready: None, wakers: Vec::new(), turns: 0 };

    fn begin(&mut self, slots: usize, parent: &Waker) {
        let ready = self.ready.get_or_insert_with(|| Arc::new(Ready { state: Shared::new(State::EMPTY) }));
        let new = self.wakers.len()..slots;
        self.wakers.extend(new.clone().map(|index| Waker::from(Arc::new(Slot { index, ready: Arc::clone(ready) }))));
        let parent = parent.clone();
        let (turns, _earlier) = ready.state.with(|state| {
            if !new.is_empty() {
                // A wake finds room in the queue: it allocates nothing.
                state.queue.reserve(slots);
                state.queue.extend(new);
                state.queued.resize(slots, true);
            }
            (state.queue.len(), state.parent.replace(parent))
        });
        self.turns = turns;
    }

    fn next_ready(&mut self) -> Option<usize> {
        // When no turn is left: whoever was woken meanwhile took the waker along, or will find it.
        self.turns = self.turns.checked_sub(1)?;
        self.ready.as_ref()?.state.with(State::leave)
    }

    fn renew(&mut self, slot: usize) {
        let Some(ready) = &self.ready else { return };
        let entered = ready.state.with(|state| {
            let enters = state.enters(slot);
            if enters {
                state.queue.push_front(slot);
            }
            enters
        });
        self.turns = self.turns.saturating_add(usize::from(entered));
    }

    fn poll_child<U>(&mut self, slot: usize, parent: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> U) -> U {
        match self.wakers.get(slot) {
            Some(waker) => poll(&mut Context::from_waker(waker)),
            None => poll(parent),
        }
    }
}

impl<R: ScopedRawMutex + ConstInit> Drop for OwnWakers<R> {
    fn drop(&mut self) {
        // A child's waker that somebody keeps does not keep the parent's task.
        if let Some(ready) = &self.ready {
            let _parent = ready.state.with(|state| state.parent.take());
        }
    }
}

impl<R: ScopedRawMutex + ConstInit> fmt::Debug for OwnWakers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnWakers").field("slots", &self.wakers.len()).finish_non_exhaustive()
    }
}
