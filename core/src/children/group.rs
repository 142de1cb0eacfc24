use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::pinned::{PinnedStorage, Places};
use super::{AT_FIRST, Children};
use crate::panicking::clear_at_panic;
use crate::storage::{Link, Slots};

pin_project! {
    /// Futures that are polled in one task, each with a tag by which its output is known.
    ///
    /// A future that is ready at its first poll takes no slot and no lock: the place and the waker with which it was polled are there for the next one. A slot that has been used is used again, so that nothing is allocated for each future.
    ///
    /// # Examples
    ///
    /// At most two of five at once, in place:
    ///
    /// ```
    /// use aplomb::children::{FutureGroup, Turn};
    /// use aplomb::{Inline, ParentWaker};
    /// use core::{future::poll_fn, pin::pin, task::Poll};
    ///
    /// let mut pauses = [30, 10, 30, 20, 5].into_iter().enumerate();
    /// let mut group = pin!(FutureGroup::<_, usize, ParentWaker, Inline<2>>::new(2));
    /// let mut ended = Vec::new();
    /// aplomb_sim::block_on(poll_fn(|cx| {
    ///     let mut turn = Turn::new();
    ///     while let Some((index, ())) = group.as_mut().next_ended(&mut turn, cx) {
    ///         ended.push(index);
    ///     }
    ///     while let Some(vacancy) = group.as_mut().vacancy() {
    ///         let Some((index, pause)) = pauses.next() else { break };
    ///         let pause = aplomb_sim::sleep(core::time::Duration::from_millis(pause));
    ///         if vacancy.admit(index, pause, &mut turn, cx).is_some() {
    ///             ended.push(index);
    ///         }
    ///     }
    ///     if group.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    /// }));
    /// assert_eq!(ended, [1, 0, 2, 4, 3]);
    /// ```
    pub struct FutureGroup<F, T, C, S: PinnedStorage> {
        #[pin]
        places: S::Places<F>,
        // One of each slot that has been used.
        entries: S::Slots<Entry<T, S::Link>>,
        // The first of the free ones among them: the last that was used, which the processor still remembers.
        free: Option<S::Link>,
        occupied: usize,
        children: C,
    }
}

/// Whose a slot is.
enum Entry<T, L> {
    Free { next: Option<L> },
    Taken { tag: T },
}

/// One poll of the task: made anew for each, and handed to all that is done to a group meanwhile.
#[derive(Debug, Default)]
pub struct Turn {
    /// The group knows whom to wake.
    begun: bool,
}

impl Turn {
    /// A poll that has just begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: false }
    }
}

impl<F, T, C: Children, S: PinnedStorage> FutureGroup<F, T, C, S> {
    /// How many futures there can be.
    pub const CAPACITY: usize = <S::Places<F> as Places<F>>::MOST;

    /// A group without futures, of which so many are expected to be there at once. Nothing is allocated yet.
    #[must_use]
    pub fn new(expected: usize) -> Self {
        Self { places: Places::new(expected), entries: Slots::EMPTY, free: None, occupied: 0, children: C::EMPTY }
    }

    /// Drops all futures, also if one of them panics at that.
    pub fn clear(self: Pin<&mut Self>) {
        clear_at_panic(self, Self::clear, |mut group| {
            // One that has panicked at its first poll may lie behind the last entry.
            for slot in 0..=group.entries.as_slice().len() {
                let mut this = group.as_mut().project();
                if let Some(mut place) = this.places.as_mut().place(slot)
                    && place.is_some()
                {
                    // Given up first, and then dropped.
                    let tag = release(this.entries, this.free, this.occupied, slot);
                    place.set(None);
                    drop(tag);
                }
            }
        });
    }

    /// Room for one more, if there is any.
    #[inline]
    #[must_use]
    pub fn vacancy(self: Pin<&mut Self>) -> Option<Vacancy<'_, F, T, C, S>> {
        let this = self.project();
        let (slot, place) = match *this.free {
            Some(free) => (free.index(), this.places.place(free.index())?),
            None => (this.entries.as_slice().len(), this.places.make(this.entries.as_slice().len())?),
        };
        Some(Vacancy { slot, place, entries: this.entries, free: this.free, occupied: this.occupied, children: this.children })
    }

    /// How many futures there are.
    pub const fn len(&self) -> usize {
        self.occupied
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.occupied == 0
    }
}

impl<F: Future, T, C: Children, S: PinnedStorage> FutureGroup<F, T, C, S> {
    /// Polls those that can go on, until one has ended: its tag, and its output. It has been dropped by then. `None` when no more of them end in this turn.
    ///
    /// In each turn in which the group is not empty, it is to be called until it says so before the task waits.
    #[inline]
    pub fn next_ended(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> Option<(T, F::Output)> {
        if self.occupied == 0 { None } else { self.poll_woken(turn, cx) }
    }

    fn poll_woken(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> Option<(T, F::Output)> {
        let mut this = self.project();
        loop {
            // Those first that were left from the turn before, in which somebody else ended.
            let Some(slot) = this.children.next_ready() else {
                if turn.begun || *this.occupied == 0 {
                    return None;
                }
                turn.begun = true;
                this.children.begin(this.entries.as_slice().len(), cx.waker());
                continue;
            };
            let Some(mut place) = this.places.as_mut().place(slot) else { continue };
            let Some(future) = place.as_mut().as_pin_mut() else { continue };
            let Poll::Ready(output) = this.children.poll_child(slot, cx, |cx| future.poll(cx)) else { continue };
            let tag = release(this.entries, this.free, this.occupied, slot);
            place.set(None);
            if let Some(tag) = tag {
                return Some((tag, output));
            }
        }
    }
}

/// Takes the slot back from whom it belongs to.
fn release<T, L: Link>(
    entries: &mut impl Slots<Entry<T, L>>,
    free: &mut Option<L>,
    occupied: &mut usize,
    slot: usize,
) -> Option<T> {
    let entry = entries.as_mut_slice().get_mut(slot).filter(|entry| matches!(entry, Entry::Taken { .. }))?;
    let Entry::Taken { tag } = mem::replace(entry, Entry::Free { next: *free }) else { return None };
    *free = L::new(slot);
    *occupied = occupied.saturating_sub(1);
    Some(tag)
}

/// Room in a [`FutureGroup`] for one more.
pub struct Vacancy<'g, F, T, C, S: PinnedStorage> {
    slot: usize,
    place: Pin<&'g mut Option<F>>,
    entries: &'g mut S::Slots<Entry<T, S::Link>>,
    free: &'g mut Option<S::Link>,
    occupied: &'g mut usize,
    children: &'g mut C,
}

impl<F: Future, T, C: Children, S: PinnedStorage> Vacancy<'_, F, T, C, S> {
    /// Polls the future. Either it is ready: then there is its output, and the room still; or it is kept.
    #[inline]
    pub fn admit(mut self, tag: T, future: F, turn: &mut Turn, cx: &mut Context<'_>) -> Option<(F::Output, Self)> {
        self.place.set(Some(future));
        if let Some(future) = self.place.as_mut().as_pin_mut()
            && let Poll::Ready(output) = self.children.poll_child(self.slot, cx, |cx| future.poll(cx))
        {
            self.place.set(None);
            return Some((output, self));
        }
        self.keep(tag, turn, cx);
        None
    }

    fn keep(self, tag: T, turn: &mut Turn, cx: &mut Context<'_>) {
        let taken = Entry::Taken { tag };
        if let Some(entry) = self.entries.as_mut_slice().get_mut(self.slot) {
            if let Entry::Free { next } = mem::replace(entry, taken) {
                *self.free = next;
            }
        } else {
            if self.slot == 0 {
                self.entries.reserve(AT_FIRST);
            }
            // There are as many entries as places.
            let _full = self.entries.try_push(taken);
        }
        *self.occupied = self.occupied.saturating_add(1);
        if !turn.begun {
            turn.begun = true;
            // It may have woken itself already, when nobody knew yet whom to tell.
            if self.children.listen(cx.waker()) {
                cx.waker().wake_by_ref();
            }
        }
    }
}

impl<F, T, C, S: PinnedStorage> fmt::Debug for FutureGroup<F, T, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureGroup").field("len", &self.occupied).finish_non_exhaustive()
    }
}

impl<F, T, C, S: PinnedStorage> fmt::Debug for Vacancy<'_, F, T, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacancy").field("slot", &self.slot).finish_non_exhaustive()
    }
}
