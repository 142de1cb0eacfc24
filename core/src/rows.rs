use crate::storage::{Slots, Storage};

/// The slots of a table, in [rows](Storage::Row): one each in place, and on the heap as many as fill lines of the cache.
pub(crate) struct Rows<T: Default, S: Storage> {
    rows: S::Slots<S::Row<T>>,
}

impl<T: Default, S: Storage> Rows<T, S> {
    /// How many slots a row has.
    const ROW: usize = size_of::<S::Row<T>>() / size_of::<T>();

    pub(crate) const fn new() -> Self {
        Self { rows: S::Slots::EMPTY }
    }

    /// So many slots, or as many more as fill the last row.
    pub(crate) const fn filled(slots: usize) -> usize {
        slots.div_ceil(Self::ROW).saturating_mul(Self::ROW)
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.as_slice().len() * Self::ROW
    }

    /// Makes so many slots, which fill rows, where there were none.
    pub(crate) fn make(&mut self, slots: usize) {
        self.reserve(slots);
        while self.len() < slots && self.add_row().is_some() {}
    }

    /// Makes room for so many slots in all, and not for more.
    pub(crate) fn reserve(&mut self, slots: usize) {
        self.rows.reserve(slots.div_ceil(Self::ROW).saturating_sub(self.rows.as_slice().len()));
    }

    /// Adds a row of slots, if there is room.
    pub(crate) fn add_row(&mut self) -> Option<()> {
        self.rows.try_push(S::Row::default()).ok()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.rows.as_slice().get(index / Self::ROW)?.as_ref().get(index % Self::ROW)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.rows.as_mut_slice().get_mut(index / Self::ROW)?.as_mut().get_mut(index % Self::ROW)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.as_mut_slice().iter_mut().flat_map(AsMut::as_mut)
    }
}
