//! The line of those who wait: by rank, and of one rank in order of coming.

use super::called::Called;
use super::lanes::{Lanes, Place, Rank, Slot, Standing};
use crate::storage::{Link, Slots, Storage};

/// Names an entry of a line, and finds nobody once that has been removed. Its generation is wide, since the handle of a spawned job keeps it while the job runs, and others wait at its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<L> {
    link: L,
    generation: u32,
}

/// Who waits, in a slab: lanes of one rank each, in a tree of which the highest is the root.
///
/// The next one is found in constant time. Coming, going, and leaving from anywhere take constant time where all ranks are equal; else a step for each lane on the way down, of which there are about as many as the
/// logarithm of the number of ranks that wait, and never more than 64.
///
/// An entry is *in the line* until it is [called](Line::call_front), and keeps its slot until it is removed. A job that was called may be [recalled](Line::recall).
pub(super) struct Line<T, S: Storage> {
    lanes: Lanes<S::Link>,
    called: Called<S::Link>,
    /// The first of the vacant slots, which are chained by `next`.
    vacant: Option<S::Link>,
    slots: S::Slots<Slot<T, S::Link>>,
}

impl<T, S: Storage> Line<T, S> {
    /// A line without anybody, which allocates nothing.
    pub(super) const fn new() -> Self {
        Self { lanes: Lanes { highest: None }, called: Called { last: None }, vacant: None, slots: S::Slots::EMPTY }
    }

    /// Adds an entry behind all of its rank, and of higher ones. It comes back if the storage has no room.
    pub(super) fn push(&mut self, rank: Rank, entry: T) -> Result<Key<S::Link>, T> {
        let Some(link) = self.take_vacant() else { return Err(entry) };
        let slots = self.slots.as_mut_slice();
        let Some(slot) = slots.get_mut(link.index()) else { return Err(entry) };
        slot.entry = Some(entry);
        slot.rank = rank;
        let generation = slot.generation;
        self.lanes.enter(slots, link);
        Ok(Key { link, generation })
    }

    /// How many slots there are; where an entry finds none, all are taken: by those in the line, and those who were called and have not been removed.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.slots.as_slice().len()).unwrap_or(u32::MAX)
    }

    /// The rank of the first.
    #[inline]
    pub(super) fn front(&self) -> Option<Rank> {
        self.slots.as_slice().get(self.lanes.highest?.index()).map(|slot| slot.rank)
    }

    /// Takes the first out of the line.
    pub(super) fn call_front(&mut self) -> Option<&mut T> {
        let first = self.lanes.highest?;
        let slots = self.slots.as_mut_slice();
        self.lanes.leave(slots, first);
        if let Rank::Job(_) = slots.get(first.index())?.rank {
            self.called.add(slots, first);
        }
        slots.get_mut(first.index())?.entry.as_mut()
    }

    /// Puts all jobs back that were called and not removed: each before those of its rank, in the order in which they stood there. How many they are.
    pub(super) fn recall(&mut self) -> u32 {
        let slots = self.slots.as_mut_slice();
        let mut recalled = 0;
        while let Some(last) = self.called.last {
            self.called.remove(slots, last);
            self.lanes.enter_first(slots, last);
            recalled += 1;
        }
        recalled
    }

    /// An entry, and the rank with which it was called, if it was.
    pub(super) fn get_mut(&mut self, key: Key<S::Link>) -> Option<(&mut T, Option<Rank>)> {
        let slot = self.slots.as_mut_slice().get_mut(key.link.index()).filter(|slot| slot.generation == key.generation)?;
        let called = (slot.standing == Standing::Called).then_some(slot.rank);
        slot.entry.as_mut().map(|entry| (entry, called))
    }

    /// Takes an entry out, wherever it stands; with the rank with which it was called, if it was.
    pub(super) fn remove(&mut self, key: Key<S::Link>) -> Option<(T, Option<Rank>)> {
        let (_, called) = self.get_mut(key)?;
        let slots = self.slots.as_mut_slice();
        match called {
            None => self.lanes.leave(slots, key.link),
            Some(Rank::Job(_)) => self.called.remove(slots, key.link),
            Some(Rank::Drained | Rank::Idle | Rank::Cancelled) => {}
        }
        let slot = slots.get_mut(key.link.index())?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.vacant;
        self.vacant = Some(key.link);
        slot.entry.take().map(|entry| (entry, called))
    }

    /// Gives each lane another rank, and joins those whose ranks are the same then, the higher one before the lower.
    pub(super) fn regroup(&mut self, group: impl Fn(Rank) -> Rank) {
        let slots = self.slots.as_mut_slice();
        let mut before = Lanes { highest: self.lanes.highest.take() };
        while let Some(leader) = before.highest {
            let Some(slot) = slots.get_mut(leader.index()) else { return };
            slot.rank = group(slot.rank);
            let lower = slot.lower;
            before.fill(slots, Place::Root, lower);
            self.lanes.hang(slots, leader);
        }
    }

    fn take_vacant(&mut self) -> Option<S::Link> {
        match self.vacant {
            Some(link) => {
                self.vacant = self.slots.as_mut_slice().get_mut(link.index())?.next.take();
                Some(link)
            }
            None => Link::new(self.slots.as_slice().len()).filter(|_| self.slots.try_push(Slot::VACANT).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::VecDeque;
    use std::vec::Vec;

    use aplomb_sim::{Explore, Sim};

    use super::super::lanes::validate;
    use super::*;
    use crate::storage::Inline;

    /// What a line is, slow and obvious.
    struct Model<L> {
        /// In the order in which they are called.
        line: VecDeque<(Rank, u32, Key<L>)>,
        called: Vec<(Rank, u32, Key<L>)>,
        gone: Vec<Key<L>>,
    }

    impl<L: Link> Model<L> {
        fn push(&mut self, rank: Rank, entry: u32, key: Key<L>) {
            let behind = self.line.iter().position(|(other, ..)| *other < rank).unwrap_or(self.line.len());
            self.line.insert(behind, (rank, entry, key));
        }

        fn any_key(&self, sim: Sim) -> Option<Key<L>> {
            let present = self.line.iter().chain(&self.called).map(|(.., key)| *key);
            let keys: Vec<Key<L>> = present.chain(self.gone.iter().copied()).collect();
            keys.get(usize::try_from(sim.choose(keys.len().max(1) as u64)).unwrap()).copied()
        }

        /// Who that is, and whether it was called.
        fn find(&self, key: Key<L>) -> Option<(u32, Option<Rank>)> {
            let called = self.called.iter().find(|(.., other)| *other == key).map(|(rank, entry, _)| (*entry, Some(*rank)));
            called.or_else(|| self.line.iter().find(|(.., other)| *other == key).map(|(_, entry, _)| (*entry, None)))
        }

        fn remove(&mut self, key: Key<L>) {
            self.line.retain(|(.., other)| *other != key);
            self.called.retain(|(.., other)| *other != key);
            self.gone.push(key);
        }

        fn recall(&mut self) -> usize {
            let (jobs, others) = self.called.drain(..).partition(|(rank, ..)| matches!(rank, Rank::Job(_)));
            let jobs: Vec<_> = jobs;
            self.called = others;
            // Each before all of its rank, the last one first.
            for (rank, entry, key) in jobs.iter().rev() {
                let before = self.line.iter().position(|(other, ..)| other <= rank).unwrap_or(self.line.len());
                self.line.insert(before, (*rank, *entry, *key));
            }
            jobs.len()
        }

        fn regroup(&mut self, group: impl Fn(Rank) -> Rank) {
            self.line.iter_mut().for_each(|(rank, ..)| *rank = group(*rank));
            self.line.make_contiguous().sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
        }
    }

    /// Does the same to a line with room for so many and to the model.
    fn play<S: Storage>(sim: Sim, capacity: usize) {
        // From all alike to all different.
        let ranks = 1 << sim.choose(7);
        let mut line: Line<u32, S> = Line::new();
        let mut model = Model { line: VecDeque::new(), called: Vec::new(), gone: Vec::new() };
        for step in 0..80 {
            match sim.choose(9) {
                0..=3 => {
                    let priority = i32::try_from(sim.choose(ranks)).unwrap() - 2;
                    let rank = if sim.chance(1, 8) { Rank::Drained } else { Rank::Job(priority) };
                    match line.push(rank, step) {
                        Ok(key) => model.push(rank, step, key),
                        Err(entry) => assert_eq!((entry, model.line.len() + model.called.len()), (step, capacity)),
                    }
                }
                4 => {
                    let called = line.call_front().copied();
                    let expected = model.line.pop_front();
                    assert_eq!(called, expected.map(|(_, entry, _)| entry), "step {step}");
                    model.called.extend(expected);
                }
                5 | 6 => {
                    let Some(key) = model.any_key(sim) else { continue };
                    assert_eq!(line.get_mut(key).map(|(entry, called)| (*entry, called)), model.find(key));
                    assert_eq!(line.remove(key), model.find(key));
                    model.remove(key);
                }
                7 => assert_eq!(line.recall() as usize, model.recall(), "step {step}"),
                _ => {
                    let cancels = sim.chance(1, 2);
                    let group = |rank| match rank {
                        Rank::Job(_) if cancels => Rank::Cancelled,
                        Rank::Drained => Rank::Idle,
                        other => other,
                    };
                    line.regroup(group);
                    model.regroup(group);
                }
            }
            validate(&line.lanes, line.slots.as_slice(), model.line.len());
            assert_eq!(line.front(), model.line.front().map(|(rank, ..)| *rank), "step {step}");
        }
        while let Some((_, entry, _)) = model.line.pop_front() {
            assert_eq!(line.call_front(), Some(&mut { entry }));
        }
        assert_eq!(line.call_front(), None);
    }

    #[test]
    fn a_line_in_place_does_what_the_model_does() {
        Explore::new().run(|sim| async move { play::<Inline<6>>(sim, 6) });
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn a_line_on_the_heap_does_what_the_model_does() {
        Explore::new().run(|sim| async move { play::<crate::storage::Heap>(sim, usize::MAX) });
    }

    #[test]
    fn one_who_waits_takes_what_the_docs_say() {
        use core::task::Waker;
        let slot = size_of::<Slot<Waker, <Inline<4> as Storage>::Link>>();
        assert_eq!(slot, if cfg!(target_pointer_width = "64") { 40 } else { 32 });
    }
}
