//! The wait list: who waits, in which order, and who has been granted what they wait for.

mod slab;

use core::fmt;
use core::task::Waker;

pub(crate) use self::slab::{Asked, Queue, Slab};
use crate::storage::Storage;

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
    slab: Slab<T, S>,
}

/// A waiter's number in its list.
///
/// It is stamped with a generation, so that a key used again after its waiter has left finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<L> {
    pub(crate) link: L,
    pub(crate) generation: u16,
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

impl<T, S: Storage> WaitList<T, S> {
    /// A list without waiters, which allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: Queue::new(), slab: Slab::new() }
    }

    /// Adds a waiter at the end of the queue.
    ///
    /// # Errors
    ///
    /// [`Full`] if the storage has no room.
    pub fn push(&mut self, payload: T, waker: Waker) -> Result<Key<S::Link>, Full> {
        self.slab.push(&mut self.queue, payload, waker)
    }

    /// What the first in the queue brought.
    pub fn front(&self) -> Option<&T> {
        self.slab.front(&self.queue)
    }

    /// The same, to be changed.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        self.slab.front_mut(&self.queue)
    }

    /// Grants the first in the queue what it waits for, and returns its waker, to be woken outside the lock.
    pub fn grant_front(&mut self) -> Option<Waker> {
        self.slab.grant_front(&mut self.queue)
    }

    /// Asks for a waiter's turn: one who was granted leaves the list, one who waits on is woken through `waker` from now on.
    pub fn poll(&mut self, key: Key<S::Link>, waker: Waker) -> Turn<T> {
        self.slab.poll(key, waker)
    }

    /// Takes a waiter out, wherever it stands. Its owner then looks at the queue again: the one behind may be able to go.
    pub fn remove(&mut self, key: Key<S::Link>) -> Option<Removed<T>> {
        self.slab.remove(&mut self.queue, key)
    }

    /// How many wait. Those who were granted wait no longer.
    pub const fn len(&self) -> u32 {
        self.queue.len()
    }

    /// How many places there are; all are taken where [there is no room](Full).
    pub(crate) fn places(&self) -> u32 {
        self.slab.places()
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<T, S: Storage> Default for WaitList<T, S> {
    fn default() -> Self {
        Self::new()
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

    use super::slab::Slot;
    use super::*;
    use crate::storage::{Inline, Link, Slots};

    impl<T, S: Storage> WaitList<T, S> {
        /// Each slot is vacant, waiting or granted, and linked accordingly.
        fn validate(&self) {
            let slots = self.slab.slots.as_slice();
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
            let mut next = self.slab.vacant;
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
            assert_eq!((list.len() as usize, list.is_empty()), (model.waiting.len(), model.waiting.is_empty()));
            most = most.max(model.waiting.len() + model.granted.len());
            assert_eq!(list.slab.slots.as_slice().len(), most, "slots are used again");
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
