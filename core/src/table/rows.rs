use crate::storage::{Slots, Storage};

/// The slots of a table, in [rows](Storage::Row): one each in place, and on the heap as many as fill lines of the cache.
pub(super) struct Rows<T: Default, S: Storage> {
    rows: S::Slots<S::Row<T>>,
}

impl<T: Default, S: Storage> Rows<T, S> {
    /// How many slots a row has.
    const ROW: usize = size_of::<S::Row<T>>() / size_of::<T>();

    pub(super) const fn new() -> Self {
        Self { rows: S::Slots::EMPTY }
    }

    /// So many slots, or as many more as fill the last row.
    pub(super) const fn filled(slots: usize) -> usize {
        slots.div_ceil(Self::ROW).saturating_mul(Self::ROW)
    }

    /// Makes so many slots, which fill rows, where there were none.
    pub(super) fn make(&mut self, slots: usize) {
        let rows = slots.div_ceil(Self::ROW);
        self.rows.reserve(rows);
        for _ in 0..rows {
            if self.rows.try_push(S::Row::default()).is_err() {
                return;
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.rows.as_slice().get(index / Self::ROW)?.as_ref().get(index % Self::ROW)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.rows.as_mut_slice().get_mut(index / Self::ROW)?.as_mut().get_mut(index % Self::ROW)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.as_mut_slice().iter_mut().flat_map(AsMut::as_mut)
    }
}
