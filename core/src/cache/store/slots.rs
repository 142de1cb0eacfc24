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
    /// How many slots are in use, or chained as vacant. There may be more, from when there were more entries.
    used: usize,
    len: usize,
    rooms: usize,
}

/// An entry, and the link to it.
type Linked<'e, K, V, L> = (L, &'e Entry<K, V, L>);

impl<K, V, S: Storage> Chained<K, V, S> {
    pub(super) const fn new() -> Self {
        Self { slots: S::Slots::EMPTY, heads: S::Slots::EMPTY, vacant: None, used: 0, len: 0, rooms: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there may be before it has to grow.
    pub(super) const fn rooms(&self) -> usize {
        self.rooms
    }

    /// How many slots there are, from the first to the last that may have an entry.
    pub(super) const fn slots(&self) -> usize {
        self.used
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

    /// All entries.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (S::Link, &mut Entry<K, V, S::Link>)> {
        let slots = self.slots.as_mut_slice().iter_mut().take(self.used);
        slots.enumerate().filter_map(|(index, slot)| match slot {
            Slot::Taken(entry) => Some((Link::new(index)?, entry)),
            Slot::Vacant { .. } => None,
        })
    }

    /// Whether another entry needs more chains than there are.
    pub(super) const fn is_crowded(&self) -> bool {
        self.vacant.is_none() && self.slots() >= self.rooms()
    }

    /// Makes room for so many slots. Entries stay where they are.
    pub(super) fn grow(&mut self, rooms: usize, mut each: impl FnMut(&mut Times, S::Link)) {
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
                if let Some(link) = *head {
                    each(&mut entry.times, link);
                }
            }
        }
    }

    /// Puts an entry into a vacant slot.
    pub(super) fn put(&mut self, key: K, value: V, times: Times, tag: S::Link) -> Result<S::Link, (K, V)> {
        let Some(link) = self.vacate() else { return Err((key, value)) };
        self.set(link, Entry { key, value, times, tag, next: None });
        self.len += 1;
        Ok(link)
    }

    /// A slot without an entry, and in no chain.
    fn vacate(&mut self) -> Option<S::Link> {
        if let Some(link) = self.vacant {
            if let Some(Slot::Vacant { next }) = self.slots.as_mut_slice().get_mut(link.index()) {
                self.vacant = next.take();
            }
            return Some(link);
        }
        if self.is_crowded() {
            return None;
        }
        let link = Link::new(self.used)?;
        if self.used == self.slots.as_slice().len() {
            self.slots.try_push(Slot::Vacant { next: None }).ok()?;
        }
        self.used += 1;
        Some(link)
    }

    /// Puts an entry into that slot, and first into its chain.
    fn set(&mut self, link: S::Link, mut entry: Entry<K, V, S::Link>) {
        let heads = self.heads.as_mut_slice();
        let head = heads.get_mut(entry.tag.place(heads.len()));
        if let (Some(head), Some(slot)) = (head, self.slots.as_mut_slice().get_mut(link.index())) {
            entry.next = head.replace(link);
            *slot = Slot::Taken(entry);
        }
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, link: S::Link) -> Option<Entry<K, V, S::Link>> {
        let entry = self.unset(link, self.vacant)?;
        self.vacant = Some(link);
        self.len = self.len.saturating_sub(1);
        Some(entry)
    }

    /// Takes an entry out of that slot, and out of its chain.
    fn unset(&mut self, link: S::Link, next_vacant: Option<S::Link>) -> Option<Entry<K, V, S::Link>> {
        let (tag, next) = self.get(link).map(|entry| (entry.tag, entry.next))?;
        self.unchain(tag, link, next);
        match replace(self.slots.as_mut_slice().get_mut(link.index())?, Slot::Vacant { next: next_vacant }) {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    /// Moves what lies last to where nothing does, until there is no gap. It is told of who moves, and from where to where: down only.
    pub(super) fn pack(&mut self, mut moved: impl FnMut(&Times, S::Link, S::Link)) {
        self.vacant = None;
        let mut gap = 0;
        while self.used > self.len {
            self.used -= 1;
            let Some(entry) = Link::new(self.used).and_then(|from| Some((from, self.unset(from, None)?))) else { continue };
            // There is one: there are more slots before it than other entries.
            while matches!(self.slots.as_slice().get(gap), Some(Slot::Taken(_))) {
                gap += 1;
            }
            let ((from, entry), Some(to)) = (entry, Link::new(gap)) else { return };
            moved(&entry.times, from, to);
            self.set(to, entry);
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
