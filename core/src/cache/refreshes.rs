use core::task::Waker;

use crate::storage::{Link, Slots, Storage};
use crate::sync::WaitList;
use crate::sync::wait_list::{Full, Key, Removed, Turn};

/// Keys that are to be fetched anew, first come first served, and the refreshers who wait for one.
pub(super) struct Refreshes<K, S: Storage> {
    keys: S::Slots<Slot<K, S::Link>>,
    vacant: Option<S::Link>,
    first: Option<S::Link>,
    last: Option<S::Link>,
    /// Of slots that are not vacant.
    len: usize,
    refreshers: WaitList<(), S>,
}

struct Slot<K, L> {
    key: Option<K>,
    next: Option<L>,
}

impl<K, S: Storage> Refreshes<K, S> {
    pub(super) const fn new() -> Self {
        Self { keys: S::Slots::EMPTY, vacant: None, first: None, last: None, len: 0, refreshers: WaitList::new() }
    }

    /// How many keys are in the queue.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts a key at the end of the queue. The waker of a refresher who is to take it.
    ///
    /// # Errors
    ///
    /// The key comes back if the queue is full: if as many are in it as may be, whether they are still due or not.
    pub(super) fn push(&mut self, key: K, most: usize) -> Result<Option<Waker>, K> {
        if self.len >= most {
            return Err(key);
        }
        let link = match self.vacant {
            Some(link) => link,
            None => match Link::new(self.keys.as_slice().len()) {
                Some(link) if self.keys.try_push(Slot { key: None, next: None }).is_ok() => link,
                _ => return Err(key),
            },
        };
        if let Some(slot) = self.slot(link) {
            self.vacant = slot.next.take();
            self.len += 1;
        }
        Ok(self.append(link, key))
    }

    /// Puts a key at the end of the queue, into a slot that is in neither chain. The waker of a refresher who is to take it.
    fn append(&mut self, link: S::Link, key: K) -> Option<Waker> {
        self.slot(link)?.key = Some(key);
        let last = self.last.replace(link);
        match last.and_then(|last| self.slot(last)) {
            Some(last) => last.next = Some(link),
            None => self.first = Some(link),
        }
        self.refreshers.grant_front()
    }

    /// The first key of the queue, and its slot, which is [given back](Self::give_back) when the key is not to come back.
    pub(super) fn pop(&mut self) -> Option<(K, S::Link)> {
        let link = self.first?;
        let slot = self.slot(link)?;
        let (key, next) = (slot.key.take()?, slot.next.take());
        self.first = next;
        if next.is_none() {
            self.last = None;
        }
        Some((key, link))
    }

    /// Gives a slot back; or puts a key that could not be looked at back into the queue. The waker of a refresher who is to take that.
    pub(super) fn give_back(&mut self, link: S::Link, key: Option<K>) -> Option<Waker> {
        if let Some(key) = key {
            return self.append(link, key);
        }
        let vacant = self.vacant;
        self.slot(link)?.next = vacant;
        self.vacant = Some(link);
        self.len = self.len.saturating_sub(1);
        None
    }

    fn slot(&mut self, link: S::Link) -> Option<&mut Slot<K, S::Link>> {
        self.keys.as_mut_slice().get_mut(link.index())
    }

    /// As [`pop`](Self::pop), or a place among those who wait for a key. A waker comes back that is not needed, and the key of who waits no longer.
    pub(super) fn take(&mut self, waits: &mut Option<Key<S::Link>>, waker: Waker) -> (Option<(K, S::Link)>, Option<Waker>) {
        if let Some(key) = *waits {
            match self.refreshers.poll(key, waker) {
                Turn::Waiting { unused } => return (None, unused),
                Turn::Granted { unused, .. } => {
                    *waits = None;
                    let waker = unused;
                    return match (self.pop(), waker) {
                        (None, Some(waker)) => self.take(waits, waker),
                        (taken, waker) => (taken, waker),
                    };
                }
                Turn::Unknown { unused } => {
                    *waits = None;
                    return (None, Some(unused));
                }
            }
        }
        if let Some(taken) = self.pop() {
            return (Some(taken), Some(waker));
        }
        match self.refreshers.push((), waker) {
            Ok(key) => {
                *waits = Some(key);
                (None, None)
            }
            // More refreshers than there is room for.
            Err(Full(waker)) => (None, Some(waker)),
        }
    }

    /// A refresher leaves. If it had been told of a key, the next one is.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> (Option<Waker>, Option<Waker>) {
        match self.refreshers.remove(key) {
            Some(Removed { granted: true, waker, .. }) => (self.refreshers.grant_front(), waker),
            Some(Removed { waker, .. }) => (None, waker),
            None => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Inline;

    #[test]
    fn it_holds_no_more_than_it_may_and_places_are_used_again() {
        let mut refreshes = Refreshes::<u32, Inline<4>>::new();
        for key in 1..=3 {
            assert!(refreshes.push(key, 3).is_ok());
        }
        assert_eq!(refreshes.push(4, 3).map(drop), Err(4));
        let Some((first, slot)) = refreshes.pop() else { panic!("there are three") };
        assert_eq!((first, refreshes.push(4, 3).map(drop)), (1, Err(4)), "its slot is kept for it");
        refreshes.give_back(slot, None);
        assert!(refreshes.push(5, 3).is_ok());
        assert_eq!(refreshes.push(6, 3).map(drop), Err(6));
        let Some((second, slot)) = refreshes.pop() else { panic!("there are three") };
        refreshes.give_back(slot, Some(second));
        assert_eq!((second, refreshes.len()), (2, 3));
        let mut next = || refreshes.pop().map(|(key, slot)| (key, refreshes.give_back(slot, None)).0);
        assert_eq!([(); 4].map(|()| next()), [Some(3), Some(5), Some(2), None]);
        assert_eq!(refreshes.len(), 0);
    }
}
