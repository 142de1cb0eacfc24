use core::mem::replace;

use crate::storage::{Link, Slots, Storage};

/// Places that are taken and given back, in any order, each in constant time.
pub(crate) struct Berths<T, S: Storage> {
    slots: S::Slots<Berth<T, S::Link>>,
    /// The first of the vacant ones, which are chained.
    vacant: Option<S::Link>,
    taken: usize,
}

enum Berth<T, L> {
    Vacant { next: Option<L> },
    Taken(T),
}

impl<T, S: Storage> Berths<T, S> {
    pub(crate) const fn new() -> Self {
        Self { slots: S::Slots::EMPTY, vacant: None, taken: 0 }
    }

    /// How many are taken.
    pub(crate) const fn len(&self) -> usize {
        self.taken
    }

    /// How many places there are so far.
    pub(crate) fn places(&self) -> usize {
        self.slots.as_slice().len()
    }

    /// Takes a place, if there is one.
    #[inline]
    pub(crate) fn take(&mut self, value: T) -> Option<S::Link> {
        if let Some(link) = self.vacant {
            let berth = self.slots.as_mut_slice().get_mut(link.index())?;
            if let Berth::Vacant { next } = replace(berth, Berth::Taken(value)) {
                self.vacant = next;
            }
            self.taken += 1;
            return Some(link);
        }
        let link = Link::new(self.slots.as_slice().len())?;
        self.slots.try_push(Berth::Taken(value)).ok()?;
        self.taken += 1;
        Some(link)
    }

    #[inline]
    pub(crate) fn get(&self, link: S::Link) -> Option<&T> {
        match self.slots.as_slice().get(link.index())? {
            Berth::Taken(value) => Some(value),
            Berth::Vacant { .. } => None,
        }
    }

    /// All that are taken.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (S::Link, &mut T)> {
        self.slots.as_mut_slice().iter_mut().enumerate().filter_map(|(index, berth)| match berth {
            Berth::Taken(value) => Some((Link::new(index)?, value)),
            Berth::Vacant { .. } => None,
        })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, link: S::Link) -> Option<&mut T> {
        match self.slots.as_mut_slice().get_mut(link.index())? {
            Berth::Taken(value) => Some(value),
            Berth::Vacant { .. } => None,
        }
    }

    /// Gives a place back that is taken.
    #[inline]
    pub(crate) fn vacate(&mut self, link: S::Link) {
        if let Some(berth @ Berth::Taken(_)) = self.slots.as_mut_slice().get_mut(link.index()) {
            *berth = Berth::Vacant { next: self.vacant.replace(link) };
            self.taken = self.taken.saturating_sub(1);
        }
    }
}
