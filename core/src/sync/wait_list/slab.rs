//! Where waiters are kept: a slab of slots, and queues that are linked through it. One slab serves a queue, or many.

use core::task::Waker;

use super::{Full, Key, Removed, Turn};
use crate::storage::{Link, Slots, Storage};

/// The slots of the waiters of some queues.
pub(crate) struct Slab<T, S: Storage> {
    /// The first of the vacant slots, which are chained by `next`.
    pub(super) vacant: Option<S::Link>,
    pub(super) slots: S::Slots<Slot<T, S::Link>>,
}

/// Those who wait for the same, first come first served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue<L> {
    pub(super) head: Option<L>,
    pub(super) tail: Option<L>,
    pub(super) waiting: u32,
}

/// A waiter's entry of the slab.
pub(crate) struct Slot<T, L> {
    pub(super) waker: Option<Waker>,
    /// Vacant slots have none.
    pub(super) payload: Option<T>,
    pub(super) next: Option<L>,
    pub(super) previous: Option<L>,
    generation: u16,
    pub(super) granted: bool,
}

/// Where a waiter stands that asked without a waker to leave behind.
pub(crate) enum Asked<T> {
    /// It has what it waited for, and is no longer in the list.
    Granted(T),
    /// It waits on, and is woken through the waker that it has now, if it is heard.
    Waits { is_heard: bool },
    /// Nobody of that key is in the list.
    Unknown,
}

impl<T, S: Storage> Slab<T, S> {
    pub(crate) const fn new() -> Self {
        Self { vacant: None, slots: S::Slots::EMPTY }
    }

    /// Adds a waiter at the end of a queue.
    pub(crate) fn push(&mut self, queue: &mut Queue<S::Link>, payload: T, waker: Waker) -> Result<Key<S::Link>, Full> {
        let link = match take_vacant(&mut self.vacant, self.slots.as_mut_slice()) {
            Some(link) => link,
            None => match Link::new(self.slots.as_slice().len()) {
                Some(link) if self.slots.try_push(Slot::VACANT).is_ok() => link,
                _ => return Err(Full(waker)),
            },
        };
        Ok(queue.append(self.slots.as_mut_slice(), link, payload, waker))
    }

    /// How many places there are. Where nobody finds one, all of them are taken: by those who wait, and those who have been granted and have not learnt of it.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.slots.as_slice().len()).unwrap_or(u32::MAX)
    }

    /// What the first in a queue brought.
    pub(crate) fn front(&self, queue: &Queue<S::Link>) -> Option<&T> {
        self.slots.as_slice().get(queue.head?.index())?.payload.as_ref()
    }

    /// The same, to be changed.
    pub(crate) fn front_mut(&mut self, queue: &Queue<S::Link>) -> Option<&mut T> {
        self.slots.as_mut_slice().get_mut(queue.head?.index())?.payload.as_mut()
    }

    /// Whether that waiter is the first in its queue.
    pub(crate) fn is_front(&self, queue: &Queue<S::Link>, key: Key<S::Link>) -> bool {
        let slot = self.slots.as_slice().get(key.link.index());
        queue.head == Some(key.link) && slot.is_some_and(|slot| slot.generation == key.generation)
    }

    /// The waker of the first in a queue, who waits on, and has another when it is polled.
    pub(crate) fn take_front_waker(&mut self, queue: &Queue<S::Link>) -> Option<Waker> {
        self.slots.as_mut_slice().get_mut(queue.head?.index())?.waker.take()
    }

    /// Takes the first out of its queue; it keeps its slot until it has learnt of it.
    pub(crate) fn grant_front(&mut self, queue: &mut Queue<S::Link>) -> Option<Waker> {
        let head = queue.head?;
        let slots = self.slots.as_mut_slice();
        queue.unlink(slots, head);
        let slot = slots.get_mut(head.index())?;
        slot.granted = true;
        slot.waker.take()
    }

    /// Has the first in a queue wait on at the end of another one.
    pub(crate) fn move_front(&mut self, from: &mut Queue<S::Link>, to: &mut Queue<S::Link>) {
        if let Some(head) = from.head {
            from.hand_over(self.slots.as_mut_slice(), head, to);
        }
    }

    /// Has those in a queue for whom that holds wait on at the end of another one, in their order.
    pub(crate) fn move_where(
        &mut self,
        from: &mut Queue<S::Link>,
        to: &mut Queue<S::Link>,
        mut holds: impl FnMut(&mut T) -> bool,
    ) {
        let mut next = from.head;
        while let Some(link) = next {
            let slots = self.slots.as_mut_slice();
            let Some(slot) = slots.get_mut(link.index()) else { return };
            next = slot.next;
            if slot.payload.as_mut().is_some_and(&mut holds) {
                from.hand_over(slots, link, to);
            }
        }
    }

    /// Has all who wait in another queue wait in this one, before those who do already.
    pub(crate) fn prepend(&mut self, queue: &mut Queue<S::Link>, others: Queue<S::Link>) {
        let mut joined = others;
        joined.join(self.slots.as_mut_slice(), *queue);
        *queue = joined;
    }

    /// Takes the first out of its queue and the slab.
    pub(crate) fn pop_front(&mut self, queue: &mut Queue<S::Link>) -> Option<Removed<T>> {
        let link = queue.head?;
        let generation = self.slots.as_slice().get(link.index())?.generation;
        self.remove(queue, Key { link, generation })
    }

    /// Whether a waiter has been granted what it waits for, and keeps its slot still.
    pub(crate) fn is_granted(&self, key: Key<S::Link>) -> bool {
        let slot = self.slots.as_slice().get(key.link.index());
        slot.is_some_and(|slot| slot.generation == key.generation && slot.granted)
    }

    /// What a waiter brought, to be changed.
    pub(crate) fn get_mut(&mut self, key: Key<S::Link>) -> Option<&mut T> {
        occupied(self.slots.as_mut_slice(), key)?.payload.as_mut()
    }

    /// What each in a queue brought, from the first to the last.
    pub(crate) fn iter<'q>(&'q self, queue: &Queue<S::Link>) -> impl Iterator<Item = &'q T> {
        self.iter_after(queue, None)
    }

    /// What those brought who stand in a queue behind that one, or all of them.
    pub(crate) fn iter_after<'q>(&'q self, queue: &Queue<S::Link>, one: Option<S::Link>) -> impl Iterator<Item = &'q T> {
        let mut next = match one {
            Some(one) => self.slots.as_slice().get(one.index()).and_then(|slot| slot.next),
            None => queue.head,
        };
        core::iter::from_fn(move || {
            let slot = self.slots.as_slice().get(next?.index())?;
            next = slot.next;
            slot.payload.as_ref()
        })
    }

    /// Asks for a waiter's turn.
    pub(crate) fn poll(&mut self, key: Key<S::Link>, waker: Waker) -> Turn<T> {
        let Some(slot) = occupied(self.slots.as_mut_slice(), key) else { return Turn::Unknown { unused: waker } };
        if slot.granted {
            return match vacate(&mut self.vacant, slot, key.link) {
                Some(payload) => Turn::Granted { payload, unused: Some(waker) },
                None => Turn::Unknown { unused: waker },
            };
        }
        Turn::Waiting { unused: slot.listen(waker) }
    }

    /// This waker is the one to be woken; what comes back is not needed.
    pub(crate) fn listen(&mut self, key: Key<S::Link>, waker: Waker) -> Option<Waker> {
        match occupied(self.slots.as_mut_slice(), key) {
            Some(slot) => slot.listen(waker),
            None => Some(waker),
        }
    }

    /// Asks for a waiter's turn, and leaves no waker behind.
    pub(crate) fn ask(&mut self, key: Key<S::Link>, waker: &Waker) -> Asked<T> {
        let Some(slot) = occupied(self.slots.as_mut_slice(), key) else { return Asked::Unknown };
        if slot.granted {
            return vacate(&mut self.vacant, slot, key.link).map_or(Asked::Unknown, Asked::Granted);
        }
        Asked::Waits { is_heard: slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) }
    }

    /// Takes a waiter out, wherever it stands in its queue.
    pub(crate) fn remove(&mut self, queue: &mut Queue<S::Link>, key: Key<S::Link>) -> Option<Removed<T>> {
        let slots = self.slots.as_mut_slice();
        let granted = occupied(slots, key)?.granted;
        if !granted {
            queue.unlink(slots, key.link);
        }
        let slot = occupied(slots, key)?;
        let waker = slot.waker.take();
        let payload = vacate(&mut self.vacant, slot, key.link)?;
        Some(Removed { payload, granted, waker })
    }
}

impl<T, L> Slot<T, L> {
    pub(super) const VACANT: Self =
        Self { waker: None, payload: None, next: None, previous: None, generation: 0, granted: false };

    fn listen(&mut self, waker: Waker) -> Option<Waker> {
        match &mut self.waker {
            Some(known) if known.will_wake(&waker) => Some(waker),
            known => known.replace(waker),
        }
    }
}

// What follows takes the slots as a slice, so that it is compiled once for all capacities.

fn occupied<T, L: Link>(slots: &mut [Slot<T, L>], key: Key<L>) -> Option<&mut Slot<T, L>> {
    slots.get_mut(key.link.index()).filter(|slot| slot.generation == key.generation && slot.payload.is_some())
}

fn take_vacant<T, L: Link>(vacant: &mut Option<L>, slots: &mut [Slot<T, L>]) -> Option<L> {
    let link = (*vacant)?;
    *vacant = slots.get_mut(link.index())?.next.take();
    Some(link)
}

/// Makes a slot that is not linked any more a vacant one, and returns what was in it.
fn vacate<T, L: Link>(vacant: &mut Option<L>, slot: &mut Slot<T, L>, link: L) -> Option<T> {
    slot.generation = slot.generation.wrapping_add(1);
    slot.next = vacant.replace(link);
    slot.payload.take()
}

impl<L> Queue<L> {
    pub(crate) const fn new() -> Self {
        Self { head: None, tail: None, waiting: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.waiting
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// The first and the last.
    pub(crate) fn ends(&self) -> Option<(L, L)>
    where
        L: Copy,
    {
        self.head.zip(self.tail)
    }
}

impl<L: Link> Queue<L> {
    fn append<T>(&mut self, slots: &mut [Slot<T, L>], link: L, payload: T, waker: Waker) -> Key<L> {
        let mut generation = 0;
        if let Some(slot) = slots.get_mut(link.index()) {
            generation = slot.generation;
            *slot =
                Slot { waker: Some(waker), payload: Some(payload), next: None, previous: self.tail, generation, granted: false };
        }
        self.next_of(slots, self.tail, Some(link));
        self.tail = Some(link);
        self.waiting = self.waiting.saturating_add(1);
        Key { link, generation }
    }

    /// Adds a queue to the end of this one.
    fn join<T>(&mut self, slots: &mut [Slot<T, L>], other: Self) {
        if other.head.is_none() {
            return;
        }
        let tail = self.tail;
        self.next_of(slots, tail, other.head);
        if let Some(slot) = other.head.and_then(|head| slots.get_mut(head.index())) {
            slot.previous = tail;
        }
        self.tail = other.tail;
        self.waiting = self.waiting.saturating_add(other.waiting);
    }

    fn unlink<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let Some(slot) = slots.get_mut(link.index()) else { return };
        let (previous, next) = (slot.previous.take(), slot.next.take());
        self.next_of(slots, previous, next);
        self.previous_of(slots, next, previous);
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Has one who waits in this queue wait at the end of another one.
    fn hand_over<T>(&mut self, slots: &mut [Slot<T, L>], link: L, to: &mut Self) {
        self.unlink(slots, link);
        to.join(slots, Self { head: Some(link), tail: Some(link), waiting: 1 });
    }

    /// Sets the link onward from `link`, or from the queue's entrance.
    fn next_of<T>(&mut self, slots: &mut [Slot<T, L>], link: Option<L>, next: Option<L>) {
        match link.and_then(|link| slots.get_mut(link.index())) {
            Some(slot) => slot.next = next,
            None => self.head = next,
        }
    }

    /// Sets the link back from `link`, or from the queue's end.
    fn previous_of<T>(&mut self, slots: &mut [Slot<T, L>], link: Option<L>, previous: Option<L>) {
        match link.and_then(|link| slots.get_mut(link.index())) {
            Some(slot) => slot.previous = previous,
            None => self.tail = previous,
        }
    }
}
