//! Who is woken when one of several operations in one task can go on.
//!
//! A future that polls others (a pool, a parallel map, a hedge) keeps them in numbered slots and a [`Children`] beside them, which tells it at each poll which slots are worth polling. A
//! [`FutureGroup`] is both, for futures that come and go.
//!
//! There are two ways to wake, and the platform chooses:
//!
//! - `OwnWakers` (with `alloc`, where the processor has compare-and-swap): each slot has a waker of its own, made once and used for every operation that passes through the slot. A wake costs O(1)
//!   however many slots there are, and nothing is allocated for an operation.
//! - [`ParentWaker`]: every child is polled, with the task's own waker, at every poll. It is right for up to some sixteen children, and the only way on embassy, whose timer queue finds its entry through the
//!   task's waker and panics at a foreign one.
//!
//! Where the futures lie, [`PinnedStorage`] says: in place, or on the heap.

mod group;
#[cfg(feature = "alloc")]
mod heap;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod own;
mod pinned;

use core::task::{Context, Waker};

pub use group::{FutureGroup, Turn, Vacancy};
#[cfg(feature = "alloc")]
pub use heap::HeapPlaces;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use own::OwnWakers;
pub use pinned::{Pair, PinnedStorage, Places};

/// For how many slots room is made with the first one, where it is made as it is needed.
const AT_FIRST: usize = 16;

/// Keeps account of which children are to be polled.
///
/// # Examples
///
/// The skeleton of a future that polls `children`:
///
/// ```
/// use aplomb::children::Children;
/// use core::{future::Future, pin::Pin, task::{Context, Poll}};
///
/// fn poll_all<C: Children, F: Future + Unpin>(wakers: &mut C, children: &mut [Option<F>], cx: &mut Context<'_>) -> Poll<()> {
///     wakers.begin(children.len(), cx.waker());
///     while let Some(index) = wakers.next_ready() {
///         let Some(slot) = children.get_mut(index) else { continue };
///         let Some(child) = slot.as_mut() else { continue };
///         if wakers.poll_child(index, cx, |cx| Pin::new(child).poll(cx)).is_ready() {
///             *slot = None;
///         }
///     }
///     if children.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
/// }
/// ```
pub trait Children {
    /// An account without children, which allocates nothing.
    const EMPTY: Self;

    /// Begins a poll of the parent, which has `slots` slots and is to be woken through `parent`. Slots that are new to the account are to be polled.
    fn begin(&mut self, slots: usize, parent: &Waker);

    /// The next slot to poll. A slot comes at most once in a poll of the parent; one whose child has ended may come too.
    fn next_ready(&mut self) -> Option<usize>;

    /// Polls the child in `slot`, with the waker that belongs to it. A slot is new to the account until then, if it is the one after the last: a new child may be polled before the parent's next poll begins.
    fn poll_child<R>(&mut self, slot: usize, parent: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R;

    /// Says, in a poll that was not begun since there were no children, that there are some now, and whom they wake. Answers whether one of them has to be polled again already.
    fn listen(&mut self, parent: &Waker) -> bool;
}

/// Every child is polled at every poll, with the waker of the task.
#[derive(Debug, Default)]
pub struct ParentWaker {
    slots: usize,
    next: usize,
}

impl Children for ParentWaker {
    const EMPTY: Self = Self { slots: 0, next: 0 };

    fn begin(&mut self, slots: usize, _parent: &Waker) {
        *self = Self { slots, next: 0 };
    }

    fn next_ready(&mut self) -> Option<usize> {
        let slot = self.next;
        (slot < self.slots).then(|| {
            self.next += 1;
            slot
        })
    }

    fn poll_child<R>(&mut self, _slot: usize, parent: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
        poll(parent)
    }

    fn listen(&mut self, _parent: &Waker) -> bool {
        false
    }
}
