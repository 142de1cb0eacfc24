use core::mem::replace;

use super::Times;
use crate::storage::{Link, Rows, Slots, Storage};

/// Room for an entry.
pub(super) enum Slot<K, V, L: Link> {
    Vacant { next: L::Within },
    Taken(Entry<K, V, L>),
}

pub(in crate::cache) struct Entry<K, V, L: Link> {
    pub(in crate::cache) key: K,
    pub(in crate::cache) value: V,
    pub(in crate::cache) times: Times,
    /// Of the hash, what leads here.
    pub(super) tag: L,
    /// The next one of its chain, if that is told here.
    next: L::Within,
}

/// Slots by the tags of what is in them, in chains. On the heap there are two for each slot, so that the first in a chain mostly is the one; in place as many as slots.
///
/// What leads to a slot has some bits of its entry's tag too, so that an entry mostly is not looked at for the sake of another one.
pub(super) struct Chained<K, V, S: Storage> {
    slots: S::Rows<Slot<K, V, S::Link>>,
    /// The heads of all chains; and then of each slot the next one of its chain, where there is no room for that in the slots.
    links: S::Slots<Option<S::Link>>,
    /// The first of the vacant slots, which are chained too.
    vacant: Option<S::Link>,
    /// How many slots are in use, or chained as vacant. There may be more, from when there were more entries.
    used: usize,
    len: usize,
    rooms: usize,
}

/// How many entries there can be. On the heap, as many as leave five bits of a link to a tag: a thirty-second of the entries that are another one's is looked at.
pub(in crate::cache) const fn most<S: Storage>() -> usize {
    if is_in_place::<S>() { S::CAPACITY } else { (1 << 27) - 1 }
}

/// Whether there is all the room from the start.
pub(super) const fn is_in_place<S: Storage>() -> bool {
    S::CAPACITY < usize::MAX
}

impl<K, V, S: Storage> Chained<K, V, S> {
    /// Whether there is room for the links of chains: beside the slots, or in them.
    pub(super) const HAS_ROOM: bool = !is_in_place::<S>() || size_of::<<S::Link as Link>::Within>() > 0;

    /// The bits of a link that count so far. The others are left to a tag.
    const BITS: u32 = usize::BITS - most::<S>().leading_zeros();

    pub(super) const fn new() -> Self {
        const { assert!(Self::HAS_ROOM, "a storage of a fixed capacity has links that have room for one within an entry") };
        Self { slots: Rows::EMPTY, links: S::Slots::EMPTY, vacant: None, used: 0, len: 0, rooms: 0 }
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
        let mut next = self.first(tag);
        while let Some(link) = next {
            if self.get(link).is_some_and(|entry| is_it(&entry.key)) {
                return Some(link);
            }
            next = self.behind(link, tag);
        }
        None
    }

    // On small machines, what follows is not stamped out with whatever is looked for.

    /// The first one of its chain whose tag may be this one.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn first(&self, tag: S::Link) -> Option<S::Link> {
        let tagged = (*self.links.as_slice().get(tag.place(self.chains()))?)?;
        let link = tagged.without_tag(Self::BITS)?;
        if tagged.has_tag(tag, Self::BITS) { Some(link) } else { self.behind(link, tag) }
    }

    /// The next one. Mostly the first one of all is sought, whose way is to stay short.
    #[cold]
    #[inline(never)]
    fn behind(&self, mut link: S::Link, tag: S::Link) -> Option<S::Link> {
        loop {
            let tagged = self.next(link)?;
            link = tagged.without_tag(Self::BITS)?;
            if tagged.has_tag(tag, Self::BITS) {
                return Some(link);
            }
        }
    }

    /// The next one of a chain, or the next vacant one.
    #[inline]
    fn next(&self, link: S::Link) -> Option<S::Link> {
        if is_in_place::<S>() {
            *self.slots.get(link.index())?.next().as_ref().first()?
        } else {
            *self.links.as_slice().get(self.chains() + link.index())?
        }
    }

    fn next_mut(&mut self, link: S::Link) -> Option<&mut Option<S::Link>> {
        if is_in_place::<S>() {
            self.slots.get_mut(link.index())?.next_mut().as_mut().first_mut()
        } else {
            let chains = self.chains();
            self.links.as_mut_slice().get_mut(chains + link.index())
        }
    }

    const fn chains(&self) -> usize {
        if is_in_place::<S>() { self.rooms } else { self.rooms * 2 }
    }

    fn head_mut(&mut self, tag: S::Link) -> Option<&mut Option<S::Link>> {
        let chains = self.chains();
        self.links.as_mut_slice().get_mut(tag.place(chains))
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn get(&self, link: S::Link) -> Option<&Entry<K, V, S::Link>> {
        match self.slots.get(link.index())? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn get_mut(&mut self, link: S::Link) -> Option<&mut Entry<K, V, S::Link>> {
        match self.slots.get_mut(link.index())? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant { .. } => None,
        }
    }

    /// All entries.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (S::Link, &mut Entry<K, V, S::Link>)> {
        let slots = self.slots.iter_mut().take(self.used);
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
        let links = if is_in_place::<S>() { rooms } else { rooms * 3 };
        self.slots.reserve(rooms);
        self.links.reserve(links.saturating_sub(self.links.as_slice().len()));
        while self.links.as_slice().len() < links && self.links.try_push(None).is_ok() {}
        self.links.as_mut_slice().fill(None);
        for link in (0..self.used).filter_map(Link::new) {
            if let Some(Entry { times, tag, .. }) = self.get_mut(link) {
                let tag = *tag;
                each(times, link);
                self.chain(link, tag);
            }
        }
    }

    /// Puts an entry into a vacant slot.
    pub(super) fn put(&mut self, key: K, value: V, times: Times, tag: S::Link) -> Result<S::Link, (K, V)> {
        let Some(link) = self.vacate() else { return Err((key, value)) };
        self.set(link, Entry { key, value, times, tag, next: Default::default() });
        self.len += 1;
        Ok(link)
    }

    /// A slot without an entry, and in no chain.
    fn vacate(&mut self) -> Option<S::Link> {
        if let Some(link) = self.vacant {
            self.vacant = self.next(link);
            return Some(link);
        }
        if self.is_crowded() {
            return None;
        }
        let link = Link::new(self.used)?;
        if self.used == self.slots.entries() {
            self.slots.add_row()?;
        }
        self.used += 1;
        Some(link)
    }

    /// Puts an entry into that slot, and first into its chain.
    fn set(&mut self, link: S::Link, entry: Entry<K, V, S::Link>) {
        let tag = entry.tag;
        if let Some(slot) = self.slots.get_mut(link.index()) {
            *slot = Slot::Taken(entry);
            self.chain(link, tag);
        }
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, link: S::Link) -> Option<Entry<K, V, S::Link>> {
        let tag = self.get(link)?.tag;
        let next = self.vacant.replace(link);
        self.len = self.len.saturating_sub(1);
        self.unset(link, tag, next)
    }

    /// Takes an entry out of that slot, and out of its chain.
    fn unset(&mut self, link: S::Link, tag: S::Link, next_vacant: Option<S::Link>) -> Option<Entry<K, V, S::Link>> {
        self.unchain(link, tag);
        let chains = self.chains();
        let slot = self.slots.get_mut(link.index())?;
        let mut vacant: Slot<K, V, S::Link> = Slot::default();
        let beside = self.links.as_mut_slice().get_mut(chains + link.index());
        let next = if is_in_place::<S>() { vacant.next_mut().as_mut().first_mut() } else { beside };
        *next? = next_vacant;
        // Moved once, as a whole: what was written in pieces is slow to load.
        match replace(slot, vacant) {
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
            let Some(from) = Link::new(self.used) else { return };
            let Some(tag) = self.get(from).map(|entry| entry.tag) else { continue };
            // There is one: there are more slots before it than other entries.
            while matches!(self.slots.get(gap), Some(Slot::Taken(_))) {
                gap += 1;
            }
            let (Some(entry), Some(to)) = (self.unset(from, tag, None), Link::new(gap)) else { return };
            moved(&entry.times, from, to);
            self.set(to, entry);
        }
    }

    /// Puts a slot first into the chain to which that tag leads.
    fn chain(&mut self, link: S::Link, tag: S::Link) {
        let Some(head) = self.head_mut(tag) else { return };
        let first = head.replace(link.with_tag(tag, Self::BITS));
        if let Some(next) = self.next_mut(link) {
            *next = first;
        }
    }

    /// Takes it out.
    fn unchain(&mut self, link: S::Link, tag: S::Link) -> Option<()> {
        let next = self.next(link);
        let sought = Some(link.with_tag(tag, Self::BITS));
        let mut before = self.head_mut(tag)?;
        while *before != sought {
            let link = (*before)?.without_tag(Self::BITS)?;
            before = self.next_mut(link)?;
        }
        *before = next;
        Some(())
    }
}

impl<K, V, L: Link> Slot<K, V, L> {
    const fn next(&self) -> &L::Within {
        match self {
            Self::Vacant { next } | Self::Taken(Entry { next, .. }) => next,
        }
    }

    const fn next_mut(&mut self) -> &mut L::Within {
        match self {
            Self::Vacant { next } | Self::Taken(Entry { next, .. }) => next,
        }
    }
}

impl<K, V, L: Link> Default for Slot<K, V, L> {
    fn default() -> Self {
        Self::Vacant { next: L::Within::default() }
    }
}
