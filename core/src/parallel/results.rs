use super::window::Window;
use crate::storage::{Slots, Storage};

/// What results are gathered in: a `Vec` on the heap, a `heapless::Vec` in place, or an [`Array`].
pub trait Results {
    /// Where they lie meanwhile.
    type Storage: Storage;
    /// What they are, in the end.
    type Of<T>;

    /// All of them.
    fn finish<T>(results: <Self::Storage as Storage>::Slots<T>) -> Option<Self::Of<T>>;
}

impl<S: Storage> Results for S {
    type Storage = S;
    type Of<T> = S::Slots<T>;

    fn finish<T>(results: S::Slots<T>) -> Option<S::Slots<T>> {
        Some(results)
    }
}

/// As many results as there are items: `[T; N]`.
#[derive(Debug, Clone, Copy)]
pub struct Array<const N: usize>;

impl<const N: usize> Results for Array<N> {
    type Storage = crate::storage::Inline<N>;
    type Of<T> = [T; N];

    fn finish<T>(results: heapless::Vec<T, N>) -> Option<[T; N]> {
        results.into_array().ok()
    }
}

/// Results that are being gathered.
pub(super) struct Gathered<T, S: Storage> {
    done: S::Slots<T>,
    /// Those of items before which others have not ended yet.
    early: Window<T, S>,
}

impl<T, S: Storage> Gathered<T, S> {
    pub(super) const EMPTY: Self = Self { done: Slots::EMPTY, early: Window::EMPTY };

    /// So many are expected at least. No more room is made for that than one may guess at: an iterator may know of more than is ever asked of it.
    pub(super) fn expect(&mut self, results: usize) {
        const MOST_BYTES: usize = 1 << 20;
        let most = MOST_BYTES.checked_div(size_of::<T>()).unwrap_or_default();
        self.done.reserve(results.min(most));
    }

    /// Adds one at the end.
    ///
    /// # Errors
    ///
    /// It comes back if there is no room.
    #[inline]
    pub(super) fn push(&mut self, result: T) -> Result<(), T> {
        self.done.try_push(result)
    }

    /// Adds that of the item at `index`.
    ///
    /// # Errors
    ///
    /// It comes back if there is no room.
    #[inline]
    pub(super) fn insert(&mut self, index: usize, result: T) -> Result<(), T> {
        match index.checked_sub(self.done.as_slice().len()) {
            Some(ahead @ 1..) => return self.early.keep(ahead, result),
            _ => self.done.try_push(result)?,
        }
        self.early.step();
        while let Some(result) = self.early.take_next() {
            self.done.try_push(result)?;
        }
        Ok(())
    }

    pub(super) fn into_done(self) -> S::Slots<T> {
        self.done
    }
}
