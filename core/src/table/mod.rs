//! Tables by key, for all patterns that keep something for each: a hash table whose entries stay where they are, and who is to be forgotten first.

mod soonest;

use crate::storage::{Link, Slots, Storage};

pub(crate) use self::soonest::{Comes, Soonest};

/// A hash table: chains through a slab, so that an entry keeps its place as long as it lives, and both lie in the same storage.
///
/// It is given hashes and asks for equality; it calls nothing else of the keys.
pub(crate) struct Table<K, V, S: Storage> {
    /// The first entry of each chain.
    chains: S::Slots<Option<S::Link>>,
    slots: S::Slots<Slot<K, V, S::Link>>,
    /// The first of the vacant slots, which are chained by `next`.
    vacant: Option<S::Link>,
    len: usize,
}

/// A place in a table.
struct Slot<K, V, L> {
    /// Vacant slots have none.
    entry: Option<Entry<K, V>>,
    tag: u32,
    generation: u16,
    next: Option<L>,
}

pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// Where an entry is, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<L> {
    link: L,
    generation: u16,
}

impl<K, V, S: Storage> Table<K, V, S> {
    /// A table without entries, which allocates nothing.
    pub(crate) const fn new() -> Self {
        Self { chains: S::Slots::EMPTY, slots: S::Slots::EMPTY, vacant: None, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The entry with that hash whose key is the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<Place<S::Link>> {
        let mut next = *self.chains.as_slice().get(chain(hash, self.chains.as_slice().len())?)?;
        while let Some(link) = next {
            let slot = self.slots.as_slice().get(link.index())?;
            if slot.tag == tag(hash) && slot.entry.as_ref().is_some_and(|entry| is_it(&entry.key)) {
                return Some(Place { link, generation: slot.generation });
            }
            next = slot.next;
        }
        None
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place<S::Link>) -> Option<&mut Entry<K, V>> {
        let slot = self.slots.as_mut_slice().get_mut(place.link.index())?;
        if slot.generation == place.generation { slot.entry.as_mut() } else { None }
    }

    /// Adds an entry of a key that is not there, to a table of at most `capacity`.
    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V, capacity: usize) -> Result<Place<S::Link>, Entry<K, V>> {
        let entry = Entry { key, value };
        if self.len >= capacity {
            return Err(entry);
        }
        self.make_chains(capacity);
        let Some(link) = self.take_vacant() else { return Err(entry) };
        let Some(index) = chain(hash, self.chains.as_slice().len()) else { return Err(entry) };
        let next = self.chains.as_mut_slice().get_mut(index).and_then(|head| head.replace(link));
        let Some(slot) = self.slots.as_mut_slice().get_mut(link.index()) else { return Err(entry) };
        let generation = slot.generation;
        *slot = Slot { entry: Some(entry), tag: tag(hash), generation, next };
        self.len += 1;
        Ok(Place { link, generation })
    }

    /// Takes an entry out, whose key has that hash.
    pub(crate) fn remove(&mut self, hash: u64, place: Place<S::Link>) -> Option<Entry<K, V>> {
        self.get_mut(place)?;
        let index = chain(hash, self.chains.as_slice().len())?;
        let head = *self.chains.as_slice().get(index)?;
        let slots = self.slots.as_mut_slice();
        let after = slots.get(place.link.index())?.next;
        if head == Some(place.link) {
            *self.chains.as_mut_slice().get_mut(index)? = after;
        } else {
            let mut before = head?;
            while slots.get(before.index())?.next != Some(place.link) {
                before = slots.get(before.index())?.next?;
            }
            slots.get_mut(before.index())?.next = after;
        }
        let slot = slots.get_mut(place.link.index())?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.vacant.replace(place.link);
        self.len = self.len.saturating_sub(1);
        slot.entry.take()
    }

    /// All values.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.as_mut_slice().iter_mut().filter_map(|slot| slot.entry.as_mut()).map(|entry| &mut entry.value)
    }

    /// How many slots have been used so far.
    pub(crate) fn slots(&self) -> usize {
        self.slots.as_slice().len()
    }

    /// The entry in a slot.
    pub(crate) fn place_at(&self, index: usize) -> Option<Place<S::Link>> {
        let slot = self.slots.as_slice().get(index).filter(|slot| slot.entry.is_some())?;
        Link::new(index).map(|link| Place { link, generation: slot.generation })
    }

    /// Twice as many chains as entries, if the storage has room for them: made once, so that nothing is ever moved.
    fn make_chains(&mut self, capacity: usize) {
        if self.chains.as_slice().is_empty() {
            while self.chains.as_slice().len() < capacity.saturating_mul(2) && self.chains.try_push(None).is_ok() {}
        }
    }

    fn take_vacant(&mut self) -> Option<S::Link> {
        if let Some(link) = self.vacant {
            self.vacant = self.slots.as_mut_slice().get_mut(link.index())?.next.take();
            return Some(link);
        }
        let link = Link::new(self.slots.as_slice().len())?;
        let slot = Slot { entry: None, tag: 0, generation: 0, next: None };
        self.slots.try_push(slot).ok().map(|()| link)
    }
}

/// Which of so many chains: by the upper half of the hash, without a division.
#[inline]
fn chain(hash: u64, chains: usize) -> Option<usize> {
    let chains = u64::try_from(chains).ok().filter(|chains| *chains > 0)?;
    usize::try_from(((hash >> 32) * chains) >> 32).ok()
}

/// What is compared before the key is: the lower half of the hash.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "that half is what is wanted")]
const fn tag(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;
    use std::vec::Vec;

    use super::*;
    use crate::storage::Inline;

    impl<K, V, S: Storage> Table<K, V, S> {
        /// Each slot is in one chain, or vacant.
        fn validate(&self) {
            let slots = self.slots.as_slice();
            let mut seen = std::vec![false; slots.len()];
            let mut occupied = 0;
            for head in self.chains.as_slice() {
                let mut next = *head;
                while let Some(link) = next {
                    let slot = &slots[link.index()];
                    assert!(slot.entry.is_some() && !core::mem::replace(&mut seen[link.index()], true));
                    occupied += 1;
                    next = slot.next;
                }
            }
            assert_eq!(occupied, self.len);
            let mut next = self.vacant;
            while let Some(link) = next {
                let slot = &slots[link.index()];
                assert!(slot.entry.is_none() && !core::mem::replace(&mut seen[link.index()], true));
                next = slot.next;
            }
            assert!(seen.into_iter().all(|seen| seen), "every slot is somewhere");
        }
    }

    fn play<S: Storage>(seed: u64, capacity: usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::<u8, u32, S>::new();
        let mut model: HashMap<u8, (u32, Place<S::Link>)> = HashMap::new();
        let mut gone: Vec<Place<S::Link>> = Vec::new();
        // Few hashes, so that chains are long.
        let hash = |key: u8| u64::from(key % 3) << 62 | u64::from(key % 5);
        for step in 0..200 {
            let key = random.u8(0..12);
            let found = table.find(hash(key), |known| *known == key);
            assert_eq!(found, model.get(&key).map(|(_, place)| *place), "seed {seed} step {step}");
            if random.bool() {
                let full = model.len() == capacity;
                if found.is_none() {
                    match table.insert(hash(key), key, step, capacity) {
                        Ok(place) => {
                            assert!(!full && !gone.contains(&place));
                            model.insert(key, (step, place));
                        }
                        Err(entry) => assert!(full && entry.key == key && entry.value == step),
                    }
                }
            } else if let Some((value, place)) = model.remove(&key) {
                let entry = table.remove(hash(key), place).unwrap();
                assert_eq!((entry.key, entry.value), (key, value));
                gone.push(place);
            }
            assert!(gone.iter().all(|place| table.get_mut(*place).is_none()), "a place that is gone finds nothing");
            table.validate();
            let mut values: Vec<u32> = table.values_mut().map(|value| *value).collect();
            let mut expected: Vec<u32> = model.values().map(|(value, _)| *value).collect();
            values.sort_unstable();
            expected.sort_unstable();
            assert_eq!(values, expected);
        }
    }

    #[test]
    fn does_what_a_map_does() {
        for seed in 0..300 {
            play::<Inline<8>>(seed, 8);
            #[cfg(feature = "alloc")]
            play::<crate::storage::Heap>(seed, 8);
        }
    }
}
