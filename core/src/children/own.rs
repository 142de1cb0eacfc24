use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
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
    slots: Vec<(Arc<Slot<R>>, Waker)>,
    /// How many may be polled yet in this poll of the parent: a child that wakes itself has its next turn in the next one.
    turns: usize,
}

/// The slots whose children were woken, in that order, and who polls them.
struct Ready<R> {
    state: Shared<R, State>,
}

struct State {
    queue: VecDeque<usize>,
    parent: Option<Waker>,
}

struct Slot<R> {
    index: usize,
    /// Whether it is in the queue: it is there at most once, so that the queue never outgrows the slots.
    queued: AtomicBool,
    ready: Arc<Ready<R>>,
}

impl<R: ScopedRawMutex> Slot<R> {
    fn enqueue(&self) -> Option<Waker> {
        if self.queued.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.ready.state.with(|state| {
            state.queue.push_back(self.index);
            state.parent.take()
        })
    }
}

impl<R: ScopedRawMutex + Send + Sync> Wake for Slot<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The parent is woken once for all the children that are woken before its next poll.
        if let Some(parent) = self.enqueue() {
            parent.wake();
        }
    }
}

impl<R: ScopedRawMutex + ConstInit + Send + Sync + 'static> Children for OwnWakers<R> {
    const EMPTY: Self = Self { ready: None, slots: Vec::new(), turns: 0 };

    fn begin(&mut self, slots: usize, parent: &Waker) {
        let ready = self
            .ready
            .get_or_insert_with(|| Arc::new(Ready { state: Shared::new(State { queue: VecDeque::new(), parent: None }) }));
        if let Some(more) = slots.checked_sub(self.slots.len()).filter(|more| *more > 0) {
            // A wake finds room in the queue: it allocates nothing.
            ready.state.with(|state| state.queue.reserve(slots));
            self.slots.reserve(more);
            for index in self.slots.len()..slots {
                let slot = Arc::new(Slot { index, queued: AtomicBool::new(false), ready: Arc::clone(ready) });
                slot.enqueue();
                self.slots.push((Arc::clone(&slot), Waker::from(slot)));
            }
        }
        let parent = parent.clone();
        let (turns, _earlier) = ready.state.with(|state| (state.queue.len(), state.parent.replace(parent)));
        self.turns = turns;
    }

    fn next_ready(&mut self) -> Option<usize> {
        let ready = self.ready.as_ref()?;
        if self.turns == 0 {
            // Whoever was woken meanwhile took the waker along, or will find it.
            return None;
        }
        self.turns -= 1;
        let index = ready.state.with(|state| state.queue.pop_front())?;
        if let Some((slot, _)) = self.slots.get(index) {
            slot.queued.store(false, Ordering::Release);
        }
        Some(index)
    }

    fn renew(&mut self, slot: usize) {
        if let Some((slot, _)) = self.slots.get(slot)
            && !slot.queued.swap(true, Ordering::AcqRel)
        {
            slot.ready.state.with(|state| state.queue.push_front(slot.index));
            self.turns = self.turns.saturating_add(1);
        }
    }

    fn poll_child<U>(&mut self, slot: usize, parent: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> U) -> U {
        match self.slots.get(slot) {
            Some((_, waker)) => poll(&mut Context::from_waker(waker)),
            None => poll(parent),
        }
    }
}

impl<R: ScopedRawMutex + ConstInit> fmt::Debug for OwnWakers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnWakers").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}
