use crate::storage::{Slots, Storage};

/// Outcomes that came before those of earlier items: a ring that begins with the next one to be handed on.
pub(crate) struct Window<T, S: Storage> {
    slots: S::Slots<Option<T>>,
    /// Where the next one's is.
    head: usize,
}

impl<T, S: Storage> Window<T, S> {
    pub(crate) const EMPTY: Self = Self { slots: Slots::EMPTY, head: 0 };

    /// Keeps the outcome of the item that comes so many after the next one. It comes back if there is no room.
    #[inline(never)]
    pub(crate) fn keep(&mut self, ahead: usize, outcome: T) -> Result<(), T> {
        if ahead >= self.slots.as_slice().len() {
            self.grow(ahead);
        }
        let length = self.slots.as_slice().len();
        if ahead >= length {
            return Err(outcome);
        }
        let to_end = length - self.head;
        let position = if ahead < to_end { self.head + ahead } else { ahead - to_end };
        if let Some(slot) = self.slots.as_mut_slice().get_mut(position) {
            *slot = Some(outcome);
        }
        Ok(())
    }

    /// The next one's outcome, if it has come already. Another is the next one then.
    #[inline]
    pub(crate) fn take_next(&mut self) -> Option<T> {
        let outcome = self.slots.as_mut_slice().get_mut(self.head)?.take()?;
        self.step();
        Some(outcome)
    }

    /// Of the outcomes that have come already, the one whose turn is next; those that come before it are no longer waited for.
    pub(crate) fn take_any(&mut self) -> Option<T> {
        for _ in 0..self.slots.as_slice().len() {
            let outcome = self.take_next();
            if outcome.is_some() {
                return outcome;
            }
            self.step();
        }
        None
    }

    /// The next one's outcome was not kept, but handed on at once.
    #[inline]
    pub(crate) fn step(&mut self) {
        self.head = if self.head + 1 < self.slots.as_slice().len() { self.head + 1 } else { 0 };
    }

    /// Makes room, by doubling, as far as there can be.
    fn grow(&mut self, ahead: usize) {
        let length = self.slots.as_slice().len();
        // In place, all the room is there from the start, and nothing is ever moved.
        let room = if S::CAPACITY < usize::MAX {
            S::CAPACITY
        } else {
            // The head lies within the ring: the compiler cannot know.
            self.slots.as_mut_slice().rotate_left(self.head.min(length));
            self.head = 0;
            ahead.saturating_add(1).max(length.saturating_mul(2))
        };
        for _ in length..room {
            if self.slots.try_push(None).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Inline;

    /// Outcomes come in every order in which those within a span may, and are handed on in theirs.
    fn check<S: Storage>(span: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut window = Window::<usize, S>::EMPTY;
        let (mut next, mut started) = (0, 0);
        let mut running = std::vec::Vec::new();
        while next < 200 {
            while started < next + span {
                running.push(started);
                started += 1;
            }
            let index = running.swap_remove(random.usize(..running.len()));
            if index == next {
                window.step();
                next += 1;
            } else {
                assert_eq!(window.keep(index - next, index), Ok(()), "seed {seed}");
            }
            while let Some(index) = window.take_next() {
                assert_eq!(index, next, "seed {seed}");
                next += 1;
            }
            assert!(!running.contains(&next) || running.len() <= span, "seed {seed}");
        }
    }

    extern crate std;

    #[test]
    fn outcomes_are_handed_on_in_their_order() {
        for seed in 0..100 {
            check::<Inline<1>>(1, seed);
            check::<Inline<8>>(7, seed);
            check::<Inline<8>>(8, seed);
            #[cfg(feature = "alloc")]
            check::<crate::storage::Heap>(20, seed);
        }
    }

    #[test]
    fn what_there_is_no_room_for_comes_back() {
        let mut window = Window::<char, Inline<2>>::EMPTY;
        assert_eq!(window.keep(1, 'b'), Ok(()));
        assert_eq!(window.keep(2, 'c'), Err('c'));
        window.step();
        assert_eq!(window.take_next(), Some('b'));
        assert_eq!(window.keep(1, 'd'), Ok(()));
        assert_eq!(window.take_next(), None);
    }
}
