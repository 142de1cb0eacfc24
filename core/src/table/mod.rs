//! Tables by key, for all patterns that keep something for each: a hash table, and what comes first in it.

mod earliest;
mod marks;

use core::hint::black_box;
use core::num::NonZeroU32;

use crate::platform::SMALL;
use crate::storage::{Rows, Storage};

pub(crate) use self::earliest::{BLOCK, Earliest};
use self::marks::{Mark, Marks, Window};

/// A hash table with open addressing: an entry is found where its hash points, or a little behind. A look-up goes by a byte of each hash, and so mostly touches one entry.
///
/// It is given hashes and asks for equality; it calls nothing else of the keys. Entries move when one before them is taken out, and whoever keeps an index is told. On the heap it grows with its entries, by a quarter, so that it is neither crowded nor large: what is looked up lies in a cache or it does not. Then all of them move.
pub(crate) struct Table<K, V, S: Storage> {
    slots: Slots<K, V, S>,
    /// Of the slots.
    marks: Marks<S>,
    len: usize,
}

type Slots<K, V, S> = <S as Storage>::Rows<Option<Entry<K, V>>>;

pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    /// Of the hash, what leads here, and is compared before the key is.
    tag: NonZeroU32,
}

/// An entry has moved.
pub(crate) struct Moved {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl<K, V, S: Storage> Table<K, V, S> {
    /// A table without entries, which allocates nothing.
    pub(crate) const fn new() -> Self {
        Self { slots: Rows::EMPTY, marks: Marks::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.marks.len()
    }

    /// Where an entry with that hash belongs.
    pub(crate) fn home(&self, hash: u64) -> usize {
        home(tag(hash), self.slots()).unwrap_or(0)
    }

    /// The entry with that hash whose key is the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<usize> {
        let tag = tag(hash);
        let mut walk = self.walk(tag)?;
        if !SMALL {
            // Where most entries lie: asked for beside the marks, not only once those are there, since of a large table both are far away.
            black_box(matches!(self.slots.get(walk.start), Some(Some(_))));
        }
        loop {
            let window = walk.window();
            for index in window.marked(Mark::of(tag.get())).map(|behind| walk.start + behind) {
                if let Some(Some(entry)) = self.slots.get(index)
                    && entry.tag == tag
                    && is_it(&entry.key)
                {
                    return Some(index);
                }
            }
            if window.vacant().is_some() {
                return None;
            }
            walk.go_on()?;
        }
    }

    /// From where that tag belongs on; `None` if there are no slots.
    #[inline]
    fn walk(&self, tag: NonZeroU32) -> Option<Walk<'_, S>> {
        let slots = self.slots();
        home(tag, slots).map(|start| Walk { marks: &self.marks, start, left: slots })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Entry<K, V>> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// Adds an entry of a key that is not there, to a table of at most `capacity`. It comes back if there is no room.
    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V, capacity: usize) -> Result<usize, Entry<K, V>> {
        let entry = Entry { key, value, tag: tag(hash) };
        if self.len >= capacity {
            return Err(entry);
        }
        let index = self.put(entry)?;
        self.len += 1;
        Ok(index)
    }

    /// Puts an entry into the first vacant slot from its home on.
    fn put(&mut self, entry: Entry<K, V>) -> Result<usize, Entry<K, V>> {
        let vacant = self.walk(entry.tag).and_then(Walk::vacant);
        let Some((index, slot)) = vacant.and_then(|index| Some((index, self.slots.get_mut(index)?))) else {
            return Err(entry);
        };
        self.marks.take(index, Mark::of(entry.tag.get()));
        *slot = Some(entry);
        Ok(index)
    }

    /// Makes the table larger if another entry would make it crowded, and the storage and `capacity` allow for it. Whether it did: then every entry has moved.
    pub(crate) fn grow(&mut self, capacity: usize) -> bool {
        let (slots, most) = (self.slots(), capacity.saturating_add(capacity / 4).saturating_add(1));
        if self.len.saturating_add(1).saturating_mul(5) <= slots.saturating_mul(4) {
            return false;
        }
        // In place, all the room is there from the start.
        let wanted = if S::CAPACITY < usize::MAX {
            S::CAPACITY
        } else {
            // Or as many more as fill the last row.
            let row = Slots::<K, V, S>::ROW;
            slots.saturating_add(slots / 4).max(16).min(most).div_ceil(row).saturating_mul(row)
        };
        if wanted <= slots {
            return false;
        }
        // In place, it is there before the first entry comes, and nothing is moved.
        if S::CAPACITY < usize::MAX {
            self.make(wanted);
            return true;
        }
        let mut larger = Self::new();
        larger.make(wanted);
        for slot in self.slots.iter_mut() {
            if let Some(entry) = slot.take() {
                // There is room for more than there are.
                let _moved = larger.put(entry);
            }
        }
        larger.len = self.len;
        *self = larger;
        true
    }

    /// Makes so many slots, where there were none.
    fn make(&mut self, slots: usize) {
        self.marks.make(slots);
        self.slots.reserve(slots);
        while self.slots.entries() < slots && self.slots.add_row().is_some() {}
    }

    /// All entries, and where they are.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Entry<K, V>)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(index, slot)| slot.as_mut().map(|entry| (index, entry)))
    }

    /// Takes an entry out, and closes the gap: each entry behind it that may stand there moves.
    pub(crate) fn remove(&mut self, index: usize, mut moved: impl FnMut(Moved, &V)) -> Option<Entry<K, V>> {
        let removed = self.slots.get_mut(index)?.take()?;
        self.len = self.len.saturating_sub(1);
        let (slots, count) = (&mut self.slots, self.marks.len());
        let (mut gap, mut next) = (index, after(index, count));
        for _ in 1..count {
            let Some(Some(entry)) = slots.get(next) else { break };
            let home = home(entry.tag, count)?;
            if distance(home, next, count) >= distance(gap, next, count) {
                moved(Moved { from: next, to: gap }, &entry.value);
                self.marks.take(gap, Mark::of(entry.tag.get()));
                let entry = slots.get_mut(next)?.take();
                *slots.get_mut(gap)? = entry;
                gap = next;
            }
            next = after(next, count);
        }
        self.marks.vacate(gap);
        Some(removed)
    }
}

/// A way past all marks, a window at a time.
struct Walk<'t, S: Storage> {
    marks: &'t Marks<S>,
    /// Where the window begins.
    start: usize,
    /// How many slots have not been passed, those in the window included.
    left: usize,
}

impl<S: Storage> Walk<'_, S> {
    #[inline]
    fn window(&self) -> Window {
        self.marks.window(self.start)
    }

    /// To the next window, unless all slots have been seen.
    #[inline]
    fn go_on(&mut self) -> Option<()> {
        let slots = self.marks.len();
        let end = slots.min(self.start + Window::LEN);
        self.left = self.left.checked_sub(end - self.start).filter(|left| *left > 0)?;
        self.start = if end < slots { end } else { 0 };
        Some(())
    }

    /// The first slot that is vacant.
    fn vacant(mut self) -> Option<usize> {
        loop {
            if let Some(behind) = self.window().vacant() {
                return Some(self.start + behind);
            }
            self.go_on()?;
        }
    }
}

/// Where an entry belongs among so many, without a division.
#[inline]
fn home(tag: NonZeroU32, slots: usize) -> Option<usize> {
    let slots = u64::try_from(slots).ok().filter(|slots| *slots > 0)?;
    usize::try_from((u64::from(tag.get()) * slots) >> 32).ok()
}

#[inline]
const fn after(index: usize, slots: usize) -> usize {
    if index + 1 < slots { index + 1 } else { 0 }
}

/// From one slot on to another, around the end.
const fn distance(from: usize, to: usize, slots: usize) -> usize {
    if to >= from { to - from } else { to + slots - from }
}

/// The upper half of the hash. The lower one is for who divides a table.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a half is what is wanted")]
const fn tag(hash: u64) -> NonZeroU32 {
    match NonZeroU32::new((hash >> 32) as u32) {
        Some(tag) => tag,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;
    use std::vec::Vec;

    use super::*;
    use crate::storage::Inline;

    fn play<S: Storage>(seed: u64, capacity: usize, keys: u8) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::<u8, u32, S>::new();
        // Values, and where they are.
        let mut model: HashMap<u8, (u32, usize)> = HashMap::new();
        // Few hashes, so that many collide, at the table's end too; or else some that are near each other.
        let hash = |key: u8| match keys {
            0..=12 => u64::from(key % 4) << 62 | 0xfff0_0000_0000_0000 >> (key % 5),
            _ => u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 0xf000_0000_0000_0000 << (key % 3 * 30),
        };
        for step in 0..20 * u32::from(keys) {
            let key = random.u8(0..keys);
            let found = table.find(hash(key), |known| *known == key);
            assert_eq!(found, model.get(&key).map(|(_, index)| *index), "seed {seed} step {step}");
            if random.bool() {
                let full = model.len() == capacity;
                if found.is_none() {
                    if table.grow(capacity) {
                        for (index, entry) in table.iter_mut() {
                            model.get_mut(&entry.key).unwrap().1 = index;
                        }
                    }
                    match table.insert(hash(key), key, step, capacity) {
                        Ok(index) => {
                            assert!(!full);
                            model.insert(key, (step, index));
                        }
                        Err(entry) => assert!(full && entry.key == key && entry.value == step),
                    }
                }
            } else if let Some((value, index)) = model.remove(&key) {
                let removed = table.remove(index, |Moved { from, to }, value| {
                    let moved = model.values_mut().find(|(_, index)| *index == from).unwrap();
                    assert_eq!(moved.0, *value);
                    moved.1 = to;
                });
                let removed = removed.unwrap();
                assert_eq!((removed.key, removed.value), (key, value));
            }
            assert_eq!(table.len(), model.len());
            for (key, (value, index)) in &model {
                let entry = table.get_mut(*index).unwrap();
                assert_eq!((&entry.key, &entry.value), (key, value));
                assert_eq!(table.find(hash(*key), |known| known == key), Some(*index), "seed {seed} step {step}");
            }
            let occupied: Vec<usize> = (0..table.slots()).filter(|index| table.get_mut(*index).is_some()).collect();
            assert_eq!(occupied.len(), model.len());
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn entries_that_divide_a_line_lie_in_one() {
        /// How many entries lie across two lines, and how large each is.
        fn across<K, V>() -> (usize, usize) {
            let mut table = Table::<K, V, crate::storage::Heap>::new();
            table.make(1_024);
            let size = size_of::<Option<Entry<K, V>>>();
            let across = (0..1_024).filter(|index| {
                let at = core::ptr::from_ref(table.slots.get(*index).unwrap()).addr();
                at / 64 != (at + size - 1) / 64
            });
            (across.count(), size)
        }
        assert_eq!(across::<u64, [u32; 5]>(), (0, 32));
        assert_eq!(across::<u64, u32>(), (0, 16));
    }

    #[test]
    fn does_what_a_map_does() {
        for seed in 0..500 {
            play::<Inline<8>>(seed, 8, 12);
            // More than are looked at at once, and no multiple of that.
            play::<Inline<11>>(seed, 11, 12);
            #[cfg(feature = "alloc")]
            play::<crate::storage::Heap>(seed, 8, 12);
            #[cfg(feature = "alloc")]
            play::<crate::storage::Heap>(seed, 12, 12);
        }
        // Several rows, after growing several times.
        for seed in 0..5 {
            play::<Inline<100>>(seed, 100, 120);
            #[cfg(feature = "alloc")]
            play::<crate::storage::Heap>(seed, 100, 120);
        }
    }
}
