#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "alloc")]
use crate::platform::SMALL;

/// The entries of a table by key: they are added in rows, looked at and changed in place, and never taken out again.
///
/// # Examples
///
/// ```
/// use aplomb::storage::{Heap, Inline, Rows, Storage};
///
/// fn added<S: Storage>() -> usize {
///     let mut entries = S::Rows::<Option<u64>>::EMPTY;
///     entries.add_row();
///     entries.entries()
/// }
/// assert_eq!((added::<Inline<2>>(), added::<Heap>()), (1, 16));
/// ```
pub trait Rows<T> {
    /// No entries, for which nothing is allocated.
    const EMPTY: Self;

    /// How many entries are added at once.
    const ROW: usize = 1;

    /// How many entries there are.
    fn entries(&self) -> usize;

    /// The entry at `index`.
    fn get(&self, index: usize) -> Option<&T>;

    /// The entry at `index`, to be changed.
    fn get_mut(&mut self, index: usize) -> Option<&mut T>;

    /// All entries, to be changed.
    fn iter_mut<'r>(&'r mut self) -> impl Iterator<Item = &'r mut T>
    where
        T: 'r;

    /// Adds a row, if there is room.
    fn add_row(&mut self) -> Option<()>;

    /// Makes room for so many entries in all, and not for more, where room is made as it is needed.
    fn reserve(&mut self, _entries: usize) {}
}

impl<T: Default, const N: usize> Rows<T> for heapless::Vec<T, N> {
    const EMPTY: Self = Self::new();

    #[inline]
    fn entries(&self) -> usize {
        self.len()
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&T> {
        self.as_slice().get(index)
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.as_mut_slice().get_mut(index)
    }

    fn iter_mut<'r>(&'r mut self) -> impl Iterator<Item = &'r mut T>
    where
        T: 'r,
    {
        self.as_mut_slice().iter_mut()
    }

    fn add_row(&mut self) -> Option<()> {
        self.push(T::default()).ok()
    }
}

/// Entries on the heap. Where processors have a cache with lines, small ones are in rows of sixteen, the first one at the beginning of a line, the last one up to the end of one: of those that divide a line, none lies across two. Where each has a multiple of four bytes, none are lost.
///
/// Large ones, which lie on several lines anyway, are added one by one: a row of them would be long, and made on the stack.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct CacheLines<T> {
    /// Of small ones.
    rows: Vec<Row<T>>,
    large: Vec<T>,
}

#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row<T>([T; 16]);

#[cfg(feature = "alloc")]
impl<T> CacheLines<T> {
    /// Four lines are the most that an entry in a row takes.
    const IN_ROWS: bool = !SMALL && size_of::<T>() <= 256;
}

#[cfg(feature = "alloc")]
impl<T: Default> Rows<T> for CacheLines<T> {
    const EMPTY: Self = Self { rows: Vec::new(), large: Vec::new() };
    const ROW: usize = if Self::IN_ROWS { 16 } else { 1 };

    #[inline]
    fn entries(&self) -> usize {
        if Self::IN_ROWS { self.rows.len() * Self::ROW } else { self.large.len() }
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&T> {
        if Self::IN_ROWS { self.rows.get(index / Self::ROW)?.0.get(index % Self::ROW) } else { self.large.get(index) }
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if Self::IN_ROWS { self.rows.get_mut(index / Self::ROW)?.0.get_mut(index % Self::ROW) } else { self.large.get_mut(index) }
    }

    fn iter_mut<'r>(&'r mut self) -> impl Iterator<Item = &'r mut T>
    where
        T: 'r,
    {
        // One of the two is empty.
        self.rows.iter_mut().flat_map(|Row(row)| row).chain(&mut self.large)
    }

    fn add_row(&mut self) -> Option<()> {
        if Self::IN_ROWS {
            self.rows.push(Row::default());
        } else {
            self.large.push(T::default());
        }
        Some(())
    }

    fn reserve(&mut self, entries: usize) {
        if Self::IN_ROWS {
            self.rows.reserve_exact(entries.div_ceil(Self::ROW).saturating_sub(self.rows.len()));
        } else {
            self.large.reserve_exact(entries.saturating_sub(self.large.len()));
        }
    }
}

#[cfg(all(test, feature = "alloc", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn small_entries_come_by_sixteen_and_large_ones_alone() {
        /// How many entries there are when one is wanted, how many there is room for when eighteen are to be, and how many are gone through.
        fn added<T>() -> (usize, usize, usize) {
            let mut lines = CacheLines::<Option<T>>::EMPTY;
            lines.reserve(18);
            let room = lines.rows.capacity() * 16 + lines.large.capacity();
            assert!(lines.add_row().is_some() && lines.get(0).is_some());
            let entries = lines.entries();
            assert!(lines.get_mut(entries - 1).is_some() && lines.get(entries).is_none() && lines.get_mut(entries).is_none());
            (entries, room, lines.iter_mut().count())
        }
        assert_eq!(added::<[u8; 255]>(), (16, 32, 16));
        assert_eq!(added::<[u8; 256]>(), (1, 18, 1));
        assert_eq!(added::<[u8; 32_768]>(), (1, 18, 1));
    }
}
