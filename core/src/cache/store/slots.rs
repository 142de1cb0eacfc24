use core::mem::replace;

use super::Times;
use crate::storage::{Link, Slots, Storage};

/// Room for an entry.
pub(super) enum Slot<K, V, L> {
    Vacant { next: Option<L> },
    Taken(Entry<K, V, L>),
}

pub(in crate::cache) struct Entry<K, V, L> {
    pub(in crate::cache) key: K,
    pub(in crate::cache) value: V,
    pub(in crate::cache) times: Times,
    /// Of the hash, what leads here, and is compared before the key is.
    pub(super) tag: L,
    /// The next one of its chain.
    pub(super) next: Option<L>,
}

/// Slots by the tags of what is in them, in chains. On the heap there are two for each slot, so that the first in a chain mostly is the one; in place as many as slots.
pub(super) struct Chained<K, V, S: Storage> {
    slots: S::Slots<Slot<K, V, S::Link>>,
    heads: S::Slots<Option<S::Link>>,
    /// The first of the vacant slots, which are chained too.
    vacant: Option<S::Link>,
    len: usize,
    rooms: usize,
}

/// An entry, and the link to it.
type Linked<'e, K, V, L> = (L, &'e Entry<K, V, L>);

impl<K, V, S: Storage> Chained<K, V, S> {
    pub(super) const fn new() -> Self {
        Self { slots: S::Slots::EMPTY, heads: S::Slots::EMPTY, vacant: None, len: 0, rooms: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there may be before it has to grow.
    pub(super) const fn rooms(&self) -> usize {
        self.rooms
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.as_slice().len()
    }

    #[inline]
    pub(super) fn find(&self, tag: S::Link, mut is_it: impl FnMut(&K) -> bool) -> Option<S::Link> {
        let mut next = self.head(tag);
        while let Some((link, entry)) = self.tagged(tag, next) {
            if is_it(&entry.key) {
                return Some(link);
            }
            next = entry.next;
        }
        None
    }

    // On small machines, what follows is not stamped out with whatever is looked for.

    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn head(&self, tag: S::Link) -> Option<S::Link> {
        let heads = self.heads.as_slice();
        *heads.get(tag.place(heads.len()))?
    }

    /// The next one with this tag in a chain.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn tagged(&self, tag: S::Link, mut next: Option<S::Link>) -> Option<Linked<'_, K, V, S::Link>> {
        while let Some(link) = next {
            let entry = self.get(link)?;
            if entry.tag == tag {
                return Some((link, entry));
            }
            next = entry.next;
        }
        None
    }

    #[inline]
    pub(super) fn get(&self, link: S::Link) -> Option<&Entry<K, V, S::Link>> {
        match self.slots.as_slice().get(link.index())? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, link: S::Link) -> Option<&mut Entry<K, V, S::Link>> {
        match self.slots.as_mut_slice().get_mut(link.index())? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    /// Whether another entry needs more chains than there are.
    pub(super) fn is_crowded(&self) -> bool {
        self.vacant.is_none() && self.slots() >= self.rooms()
    }

    /// Makes room for so many slots. Entries stay where they are.
    pub(super) fn grow(&mut self, rooms: usize, each: impl Fn(&mut Times)) {
        self.rooms = rooms;
        let chains = if S::CAPACITY < usize::MAX { rooms } else { rooms.saturating_mul(2) };
        while self.heads.as_slice().len() < chains && self.heads.try_push(None).is_ok() {}
        let heads = self.heads.as_mut_slice();
        heads.fill(None);
        for (index, slot) in self.slots.as_mut_slice().iter_mut().enumerate() {
            if let Slot::Taken(entry) = slot
                && let Some(head) = heads.get_mut(entry.tag.place(heads.len()))
            {
                entry.next = head.take();
                *head = Link::new(index);
                each(&mut entry.times);
            }
        }
    }

    /// Puts an entry into a vacant slot.
    pub(super) fn put(&mut self, key: K, value: V, times: Times, tag: S::Link) -> Result<S::Link, (K, V)> {
        let link = match self.vacant {
            Some(link) => link,
            None if self.is_crowded() => return Err((key, value)),
            None => match Link::new(self.slots()) {
                Some(link) if self.slots.try_push(Slot::Vacant { next: None }).is_ok() => link,
                _ => return Err((key, value)),
            },
        };
        let heads = self.heads.as_mut_slice();
        let head = heads.get_mut(tag.place(heads.len()));
        let (Some(head), Some(slot)) = (head, self.slots.as_mut_slice().get_mut(link.index())) else {
            return Err((key, value));
        };
        if let Slot::Vacant { next } = slot {
            self.vacant = *next;
        }
        *slot = Slot::Taken(Entry { key, value, times, tag, next: head.replace(link) });
        self.len += 1;
        Ok(link)
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, link: S::Link) -> Option<Entry<K, V, S::Link>> {
        let (tag, next) = self.get(link).map(|entry| (entry.tag, entry.next))?;
        self.unchain(tag, link, next);
        let slot = self.slots.as_mut_slice().get_mut(link.index())?;
        match replace(slot, Slot::Vacant { next: self.vacant.replace(link) }) {
            Slot::Taken(entry) => {
                self.len = self.len.saturating_sub(1);
                Some(entry)
            }
            Slot::Vacant { .. } => None,
        }
    }

    fn unchain(&mut self, tag: S::Link, link: S::Link, next: Option<S::Link>) {
        let heads = self.heads.as_mut_slice();
        let Some(head) = heads.get_mut(tag.place(heads.len())) else { return };
        if *head == Some(link) {
            *head = next;
            return;
        }
        let mut before = *head;
        while let Some(entry) = before.and_then(|before| self.get_mut(before)) {
            if entry.next == Some(link) {
                entry.next = next;
                return;
            }
            before = entry.next;
        }
    }
}
