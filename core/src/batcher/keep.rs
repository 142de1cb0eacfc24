use crate::storage::{Slots, Storage};

/// Whether the items of a batch are kept while it runs: [`Again`], or [`Once`].
pub trait Keep<I, S: Storage> {
    /// What is kept.
    #[doc(hidden)]
    type Kept;

    /// Nothing yet.
    #[doc(hidden)]
    const NOTHING: Self::Kept;

    /// Keeps the items of a batch.
    #[doc(hidden)]
    fn keep(kept: &mut Self::Kept, items: &S::Slots<I>);

    /// Takes an item out again, if they are kept.
    #[doc(hidden)]
    fn take(kept: &mut Self::Kept, index: u32) -> Option<I>;

    /// Whether any are.
    #[doc(hidden)]
    fn is_kept(kept: &Self::Kept) -> bool;
}

/// Of a call: if it leads and is dropped, the others' items are started [again](super::Batcher::call).
#[derive(Debug, Clone, Copy)]
pub struct Again;

/// Of a call: if it leads and is dropped, [nothing starts twice](super::Batcher::call_once).
#[derive(Debug, Clone, Copy)]
pub struct Once;

impl<I: Clone, S: Storage> Keep<I, S> for Again {
    type Kept = S::Slots<Option<I>>;

    const NOTHING: Self::Kept = <S::Slots<Option<I>> as Slots<Option<I>>>::EMPTY;

    fn keep(kept: &mut Self::Kept, items: &S::Slots<I>) {
        let items = items.as_slice();
        // Of one alone, nobody else waits.
        if let [_, _, ..] = items {
            kept.reserve(items.len());
            for item in items {
                // There is as much room as for the items themselves.
                let _full = kept.try_push(Some(item.clone()));
            }
        }
    }

    fn take(kept: &mut Self::Kept, index: u32) -> Option<I> {
        kept.as_mut_slice().get_mut(usize::try_from(index).ok()?)?.take()
    }

    fn is_kept(kept: &Self::Kept) -> bool {
        !kept.as_slice().is_empty()
    }
}

impl<I, S: Storage> Keep<I, S> for Once {
    type Kept = ();

    const NOTHING: () = ();

    fn keep((): &mut (), _items: &S::Slots<I>) {}

    fn take((): &mut (), _index: u32) -> Option<I> {
        None
    }

    fn is_kept((): &()) -> bool {
        false
    }
}
