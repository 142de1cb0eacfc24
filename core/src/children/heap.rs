use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;

use super::pinned::{PinnedStorage, Places};
use crate::storage::{Heap, Inline};

const EIGHT: usize = 8;

type Eight<F> = <Inline<EIGHT> as PinnedStorage>::Places<F>;

impl PinnedStorage for Heap {
    type Places<F> = HeapPlaces<F>;
}

/// Places on the heap, eight in one allocation as far as so many are expected; large ones, and the rest, one by one.
pub struct HeapPlaces<F> {
    /// How many places lie in eights when all of those have been made.
    dense: usize,
    eights: Vec<Pin<Box<Eight<F>>>>,
    ones: Vec<Pin<Box<Option<F>>>>,
}

/// Up to this size eight are made at once: they pass the stack on their way.
const LARGEST: usize = 1024;

impl<F> Places<F> for HeapPlaces<F> {
    const MOST: usize = usize::MAX;

    fn new(expected: usize) -> Self {
        let dense = if size_of::<F>() <= LARGEST { expected - expected % EIGHT } else { 0 };
        Self { dense, eights: Vec::new(), ones: Vec::new() }
    }

    #[inline]
    fn place(self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>> {
        let this = self.get_mut();
        match index.checked_sub(this.dense) {
            // By the bits of its number: a sum, not a search.
            None => this.eights.get_mut(index / EIGHT).map(|eight| {
                let four = eight.as_mut().half(index & 4 != 0);
                four.half(index & 2 != 0).half(index & 1 != 0)
            }),
            Some(index) => this.ones.get_mut(index).map(Pin::as_mut),
        }
    }

    #[cold]
    fn make(mut self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>> {
        let Self { dense, eights, ones } = &mut *self;
        if index == eights.len().saturating_mul(EIGHT).saturating_add(ones.len()) {
            if index < *dense {
                eights.push(Box::pin(Eight::new(EIGHT)));
            } else {
                ones.push(Box::pin(None));
            }
        }
        self.place(index)
    }
}

impl<F> fmt::Debug for HeapPlaces<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapPlaces").field("eights", &self.eights.len()).field("ones", &self.ones.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    use super::*;

    #[test]
    fn places_are_as_many_as_are_asked_for_and_each_another() {
        for expected in [0, 1, 7, 8, 9, 20, usize::MAX] {
            let mut places = pin!(HeapPlaces::new(expected));
            for index in 0..40 {
                places.as_mut().make(index).unwrap().set(Some(index));
            }
            for index in 0..40 {
                assert_eq!(*places.as_mut().place(index).unwrap(), Some(index));
            }
        }
    }

    #[test]
    fn only_the_next_one_is_made() {
        let mut places = pin!(HeapPlaces::<[u8; LARGEST + 1]>::new(100));
        assert!(places.as_mut().make(1).is_none() && places.as_mut().place(0).is_none());
        assert!(places.as_mut().make(0).is_some() && places.as_mut().place(0).is_some());
        assert!(places.as_mut().make(2).is_none() && places.as_mut().place(1).is_none());
    }
}
