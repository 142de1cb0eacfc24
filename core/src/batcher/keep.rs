/// Makes a clone of an item.
pub(super) type CloneOf<I> = fn(&I) -> I;

/// Whether an item may be started again, when who led its batch was dropped: [`Again`], or [`Once`].
pub trait Keep<I> {
    /// What makes the clones from which it is.
    #[doc(hidden)]
    const CLONE: Option<CloneOf<I>>;
}

/// Of a call: if who leads its batch is dropped, its item is started [again](super::Batcher::call).
#[derive(Debug, Clone, Copy)]
pub struct Again;

/// Of a call: its item is [never started twice](super::Batcher::call_once).
#[derive(Debug, Clone, Copy)]
pub struct Once;

impl<I: Clone> Keep<I> for Again {
    const CLONE: Option<CloneOf<I>> = Some(I::clone);
}

impl<I> Keep<I> for Once {
    const CLONE: Option<CloneOf<I>> = None;
}
