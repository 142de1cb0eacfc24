//! The wait list: who waits, in which order, and who has been granted what they wait for.

use core::fmt;
use core::task::Waker;

use crate::storage::{Link, Slots, Storage};

/// A queue of waiters, first come first served: a doubly linked list in a slab.
///
/// It orders and keeps; what is waited for, and when there is enough of it, is its owner's business. Pushing, granting, and leaving from anywhere
/// take constant time, and the slot of one who leaves is free at once.
///
/// A waiter is *waiting*, in the queue, until the owner [grants](WaitList::grant_front); then it is *granted*, out of the queue, and keeps its slot until it has learnt of it. Grants are made by whoever gives back, in the queue,
/// so that a newcomer cannot take what an earlier one was woken for.
///
/// It lives behind a lock, where no foreign code may run; so wakers are handed out to be woken or dropped, never woken or dropped within.
///
/// A waiter with a payload of four bytes takes 24 bytes in inline storage on 32-bit machines, 32 on 64-bit ones.
///
/// # Examples
///
/// ```
/// use aplomb::storage::Inline;
/// use aplomb::sync::{WaitList, wait_list::Turn};
/// use core::task::Waker;
///
/// let mut list: WaitList<u32, Inline<2>> = WaitList::new();
/// let first = list.push(3, Waker::noop().clone()).unwrap();
/// let second = list.push(1, Waker::noop().clone()).unwrap();
/// assert!(list.push(1, Waker::noop().clone()).is_err(), "two places, both taken");
///
/// assert_eq!(list.front(), Some(&3));
/// list.remove(first);
/// assert_eq!(list.front(), Some(&1));
///
/// list.grant_front().unwrap().wake();
/// assert!(matches!(list.poll(second, Waker::noop().clone()), Turn::Granted { payload: 1, .. }));
/// assert!(list.is_empty());
/// ```
pub struct WaitList<T, S: Storage> {
    queue: Queue<S::Link>,
    slots: S::Slots<Slot<T, S::Link>>,
}

/// A waiter's number in its list.
///
/// It is stamped with a generation, so that a key used again after its waiter has left finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<L> {
    link: L,
    generation: u16,
}

/// The list was full. The waker comes back, to be dropped outside the lock.
pub struct Full(pub Waker);

/// Where a waiter stands that asked.
#[derive(Debug)]
pub enum Turn<T> {
    /// It has what it waited for, and is no longer in the list.
    Granted {
        /// What it brought.
        payload: T,
        /// A waker to be dropped outside the lock.
        unused: Option<Waker>,
    },
    /// It waits on.
    Waiting {
        /// A waker to be dropped outside the lock: the earlier one if that wakes another task, else the one just given.
        unused: Option<Waker>,
    },
    /// Nobody of that key is in the list.
    Unknown {
        /// The waker just given.
        unused: Waker,
    },
}

/// Who has left.
#[derive(Debug)]
pub struct Removed<T> {
    /// What the waiter brought.
    pub payload: T,
    /// Whether it had been granted what it waited for: then that goes back.
    pub granted: bool,
    /// Its waker, to be dropped outside the lock.
    pub waker: Option<Waker>,
}

/// An entry of the slab.
pub struct Slot<T, L> {
    waker: Option<Waker>,
    /// Vacant slots have none.
    payload: Option<T>,
    next: Option<L>,
    previous: Option<L>,
    generation: u16,
    granted: bool,
}

/// What the algorithm needs beside the slots. Its methods take those as a slice, so that they are compiled once for all capacities.
struct Queue<L> {
    head: Option<L>,
    tail: Option<L>,
    /// The first of the vacant slots, which are chained by `next`.
    vacant: Option<L>,
    waiting: usize,
}

impl<T, S: Storage> WaitList<T, S> {
    /// A list without waiters, which allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: Queue { head: None, tail: None, vacant: None, waiting: 0 }, slots: S::Slots::EMPTY }
    }

    /// Adds a waiter at the end of the queue.
    ///
    /// # Errors
    ///
    /// [`Full`] if the storage has no room.
    pub fn push(&mut self, payload: T, waker: Waker) -> Result<Key<S::Link>, Full> {
        let link = match self.queue.take_vacant(self.slots.as_mut_slice()) {
            Some(link) => link,
            None => match Link::new(self.slots.as_slice().len()) {
                Some(link) if self.slots.try_push(Slot::VACANT).is_ok() => link,
                _ => return Err(Full(waker)),
            },
        };
        Ok(self.queue.append(self.slots.as_mut_slice(), link, payload, waker))
    }

    /// What the first in the queue brought.
    pub fn front(&self) -> Option<&T> {
        self.slots.as_slice().get(self.queue.head?.index())?.payload.as_ref()
    }

    /// The same, to be changed.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        self.slots.as_mut_slice().get_mut(self.queue.head?.index())?.payload.as_mut()
    }

    /// Grants the first in the queue what it waits for, and returns its waker, to be woken outside the lock.
    pub fn grant_front(&mut self) -> Option<Waker> {
        let head = self.queue.head?;
        let slots = self.slots.as_mut_slice();
        self.queue.unlink(slots, head);
        let slot = slots.get_mut(head.index())?;
        slot.granted = true;
        slot.waker.take()
    }

    /// Asks for a waiter's turn: one who was granted leaves the list, one who waits on is woken through `waker` from now on.
    pub fn poll(&mut self, key: Key<S::Link>, waker: Waker) -> Turn<T> {
        let Some(slot) = occupied(self.slots.as_mut_slice(), key) else { return Turn::Unknown { unused: waker } };
        if slot.granted {
            return match self.queue.vacate(slot, key.link) {
                Some(payload) => Turn::Granted { payload, unused: Some(waker) },
                None => Turn::Unknown { unused: waker },
            };
        }
        let unused = match &mut slot.waker {
            Some(known) if known.will_wake(&waker) => Some(waker),
            known => known.replace(waker),
        };
        Turn::Waiting { unused }
    }

    /// Takes a waiter out, wherever it stands. Its owner then looks at the queue again: the one behind may be able to go.
    pub fn remove(&mut self, key: Key<S::Link>) -> Option<Removed<T>> {
        let slots = self.slots.as_mut_slice();
        let granted = occupied(slots, key)?.granted;
        if !granted {
            self.queue.unlink(slots, key.link);
        }
        let slot = occupied(slots, key)?;
        let waker = slot.waker.take();
        let payload = self.queue.vacate(slot, key.link)?;
        Some(Removed { payload, granted, waker })
    }

    /// How many wait. Those who were granted wait no longer.
    pub const fn len(&self) -> usize {
        self.queue.waiting
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.queue.waiting == 0
    }
}

impl<T, S: Storage> Default for WaitList<T, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, L> Slot<T, L> {
    const VACANT: Self = Self { waker: None, payload: None, next: None, previous: None, generation: 0, granted: false };
}

fn occupied<T, L: Link>(slots: &mut [Slot<T, L>], key: Key<L>) -> Option<&mut Slot<T, L>> {
    slots.get_mut(key.link.index()).filter(|slot| slot.generation == key.generation && slot.payload.is_some())
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
        self.waiting += 1;
        Key { link, generation }
    }

    fn unlink<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let Some(slot) = slots.get_mut(link.index()) else { return };
        let (previous, next) = (slot.previous.take(), slot.next.take());
        self.next_of(slots, previous, next);
        self.previous_of(slots, next, previous);
        self.waiting = self.waiting.saturating_sub(1);
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

    fn take_vacant<T>(&mut self, slots: &mut [Slot<T, L>]) -> Option<L> {
        let link = self.vacant?;
        self.vacant = slots.get_mut(link.index())?.next.take();
        Some(link)
    }

    /// Makes a slot that is not linked any more a vacant one, and returns what was in it.
    fn vacate<T>(&mut self, slot: &mut Slot<T, L>, link: L) -> Option<T> {
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.vacant.replace(link);
        slot.payload.take()
    }
}

impl<T, S: Storage> fmt::Debug for WaitList<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::Wake;
    use std::vec::Vec;

    use aplomb_sim::{Explore, Sim};

    use super::*;
    use crate::storage::Inline;

    impl<T, S: Storage> WaitList<T, S> {
        /// Each slot is vacant, waiting or granted, and linked accordingly.
        fn validate(&self) {
            let slots = self.slots.as_slice();
            let mut seen = std::vec![false; slots.len()];
            let mut visit = |link: S::Link| {
                assert!(!core::mem::replace(&mut seen[link.index()], true), "{link:?} is linked twice");
                &slots[link.index()]
            };
            let (mut next, mut previous, mut waiting) = (self.queue.head, None, 0);
            while let Some(link) = next {
                let slot = visit(link);
                assert_eq!(slot.previous, previous, "the link back from {link:?}");
                assert!(slot.payload.is_some() && slot.waker.is_some() && !slot.granted, "{link:?} waits");
                (previous, next, waiting) = (Some(link), slot.next, waiting + 1);
            }
            assert_eq!((self.queue.tail, self.queue.waiting), (previous, waiting));
            let mut next = self.queue.vacant;
            while let Some(link) = next {
                let slot = visit(link);
                assert!(slot.payload.is_none() && slot.waker.is_none() && slot.previous.is_none(), "{link:?} is vacant");
                next = slot.next;
            }
            for (slot, _) in slots.iter().zip(&seen).filter(|(_, linked)| !**linked) {
                assert!(slot.granted && slot.payload.is_some() && slot.waker.is_none(), "neither linked nor granted");
                assert!(slot.next.is_none() && slot.previous.is_none(), "granted, and still linked");
            }
        }
    }

    struct Named;

    impl Wake for Named {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> Waker {
        Waker::from(Arc::new(Named))
    }

    struct Waiter<L> {
        key: Key<L>,
        payload: u64,
        waker: Waker,
    }

    /// What a wait list is, slow and obvious.
    struct Model<L> {
        waiting: VecDeque<Waiter<L>>,
        granted: Vec<Waiter<L>>,
        gone: Vec<Key<L>>,
    }

    impl<L: Link> Model<L> {
        /// Any key that there is or was.
        fn any_key(&self, sim: Sim) -> Option<Key<L>> {
            let present = self.waiting.iter().chain(&self.granted).map(|waiter| waiter.key);
            let keys: Vec<Key<L>> = present.chain(self.gone.iter().copied()).collect();
            let at = sim.choose(u64::try_from(keys.len()).unwrap().max(1));
            keys.get(usize::try_from(at).unwrap()).copied()
        }

        /// Takes a waiter out; says whether it was granted.
        fn remove(&mut self, key: Key<L>) -> Option<(Waiter<L>, bool)> {
            let waiting = self.waiting.iter().position(|waiter| waiter.key == key);
            let granted = self.granted.iter().position(|waiter| waiter.key == key);
            let waiting = waiting.and_then(|at| self.waiting.remove(at)).map(|waiter| (waiter, false));
            let removed = waiting.or_else(|| granted.map(|at| (self.granted.remove(at), true)));
            self.gone.extend(removed.is_some().then_some(key));
            removed
        }
    }

    /// Does the same to a list with room for so many and to the model.
    fn play<S: Storage>(sim: Sim, capacity: usize) {
        let mut list: WaitList<u64, S> = WaitList::new();
        let mut model = Model { waiting: VecDeque::new(), granted: Vec::new(), gone: Vec::new() };
        let mut most = 0;
        for step in 0..40 {
            match sim.choose(5) {
                0 | 1 => {
                    let waker = waker();
                    let pushed = list.push(step, waker.clone());
                    assert_eq!(pushed.is_ok(), model.waiting.len() + model.granted.len() < capacity);
                    match pushed {
                        Ok(key) => {
                            assert!(!model.gone.contains(&key), "{key:?} was another's");
                            model.waiting.push_back(Waiter { key, payload: step, waker });
                        }
                        Err(full) => assert!(full.0.will_wake(&waker)),
                    }
                }
                2 => match (list.grant_front(), model.waiting.pop_front()) {
                    (Some(waker), Some(head)) => {
                        assert!(waker.will_wake(&head.waker));
                        model.granted.push(head);
                    }
                    (woken, head) => assert!(woken.is_none() && head.is_none()),
                },
                3 => {
                    let Some(key) = model.any_key(sim) else { continue };
                    let known = model.waiting.iter().find(|waiter| waiter.key == key).map(|waiter| waiter.waker.clone());
                    let given = known.clone().filter(|_| sim.chance(1, 2)).unwrap_or_else(waker);
                    match list.poll(key, given.clone()) {
                        Turn::Granted { payload, unused } => {
                            assert!(unused.unwrap().will_wake(&given));
                            let (waiter, granted) = model.remove(key).unwrap();
                            assert!(granted);
                            assert_eq!(waiter.payload, payload);
                        }
                        Turn::Waiting { unused } => {
                            // The one that was known if it is another, and else the one that was given: it is the same.
                            assert!(unused.unwrap().will_wake(&known.unwrap()));
                            model.waiting.iter_mut().find(|waiter| waiter.key == key).unwrap().waker = given;
                        }
                        Turn::Unknown { unused } => {
                            assert!(unused.will_wake(&given));
                            assert!(model.gone.contains(&key));
                        }
                    }
                }
                _ => {
                    let Some(key) = model.any_key(sim) else { continue };
                    match (list.remove(key), model.remove(key)) {
                        (Some(removed), Some((waiter, granted))) => {
                            assert_eq!((removed.payload, removed.granted), (waiter.payload, granted));
                            assert_eq!(removed.waker.is_none(), granted, "whoever was granted was woken");
                        }
                        (removed, waiter) => assert!(removed.is_none() && waiter.is_none(), "a key that is gone finds nobody"),
                    }
                }
            }
            list.validate();
            assert_eq!(list.front(), model.waiting.front().map(|waiter| &waiter.payload));
            assert_eq!((list.len(), list.is_empty()), (model.waiting.len(), model.waiting.is_empty()));
            most = most.max(model.waiting.len() + model.granted.len());
            assert_eq!(list.slots.as_slice().len(), most, "slots are used again");
        }
    }

    #[test]
    fn a_list_in_place_does_what_the_model_does() {
        Explore::new().run(|sim| async move { play::<Inline<4>>(sim, 4) });
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn a_list_on_the_heap_does_what_the_model_does() {
        Explore::new().run(|sim| async move { play::<crate::storage::Heap>(sim, usize::MAX) });
    }

    #[test]
    fn a_waiter_takes_what_the_docs_say() {
        let slot = size_of::<Slot<u32, <Inline<4> as Storage>::Link>>();
        assert_eq!(slot, if cfg!(target_pointer_width = "64") { 32 } else { 24 });
    }
}
