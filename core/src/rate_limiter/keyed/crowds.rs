use crate::rate_limiter::line::Crowd;
use crate::storage::{Link, Slots, Storage};

/// Those who run and wait, of the few keys where somebody does. They stay where they are while their keys move in the table.
pub(super) struct Crowds<S: Storage> {
    slots: S::Slots<Slot<S::Link>>,
    /// The first of the vacant slots.
    vacant: Option<S::Link>,
}

struct Slot<L> {
    crowd: Crowd<L>,
    /// Where the key is.
    index: usize,
    generation: u16,
    /// Of a vacant slot.
    next: Option<L>,
}

/// Where a crowd is, as long as there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<L> {
    link: L,
    generation: u16,
}

impl<S: Storage> Crowds<S> {
    pub(super) const fn new() -> Self {
        Self { slots: S::Slots::EMPTY, vacant: None }
    }

    /// Those of a line.
    #[inline]
    pub(super) fn get(&self, link: Option<S::Link>) -> Crowd<S::Link> {
        let slot = link.and_then(|link| self.slots.as_slice().get(link.index()));
        slot.map_or(Crowd::NONE, |slot| slot.crowd)
    }

    /// How many slots have been used so far.
    pub(super) fn slots(&self) -> usize {
        self.slots.as_slice().len()
    }

    /// Those of a slot; nobody, if it is vacant.
    pub(super) fn at(&self, slot: usize) -> Crowd<S::Link> {
        self.get(Link::new(slot))
    }

    /// Where the key of a slot is, that is not vacant.
    pub(super) fn index_at(&self, slot: usize) -> Option<usize> {
        self.slots.as_slice().get(slot).map(|slot| slot.index)
    }

    /// Changes each.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut Crowd<S::Link>)) {
        self.slots.as_mut_slice().iter_mut().for_each(|slot| change(&mut slot.crowd));
    }

    /// Where the key of a crowd is.
    pub(super) fn index(&self, place: Place<S::Link>) -> Option<usize> {
        let slot = self.slots.as_slice().get(place.link.index())?;
        (slot.generation == place.generation).then_some(slot.index)
    }

    pub(super) fn place(&self, link: S::Link) -> Option<Place<S::Link>> {
        self.slots.as_slice().get(link.index()).map(|slot| Place { link, generation: slot.generation })
    }

    /// The key of a crowd has moved.
    pub(super) fn follow(&mut self, link: S::Link, index: usize) {
        if let Some(slot) = self.slots.as_mut_slice().get_mut(link.index()) {
            slot.index = index;
        }
    }

    /// Puts those of a line back, whose key is at `index`, and says where they are; nowhere, if there are none. There is room for as many as there are keys.
    pub(super) fn set(&mut self, link: Option<S::Link>, crowd: Crowd<S::Link>, index: usize) -> Option<S::Link> {
        let link = link.or_else(|| self.take_vacant())?;
        let slot = self.slots.as_mut_slice().get_mut(link.index())?;
        (slot.crowd, slot.index) = (crowd, index);
        if crowd.is_none() {
            slot.generation = slot.generation.wrapping_add(1);
            slot.next = self.vacant.replace(link);
            return None;
        }
        Some(link)
    }

    fn take_vacant(&mut self) -> Option<S::Link> {
        if let Some(link) = self.vacant {
            self.vacant = self.slots.as_mut_slice().get_mut(link.index())?.next.take();
            return Some(link);
        }
        let link = Link::new(self.slots.as_slice().len())?;
        let slot = Slot { crowd: Crowd::NONE, index: 0, generation: 0, next: None };
        self.slots.try_push(slot).ok().map(|()| link)
    }
}
