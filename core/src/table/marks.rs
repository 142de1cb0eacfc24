use crate::storage::{Slots, Storage};

/// A byte for each slot, side by side: vacant, or some bits of the entry's hash. A look-up goes through as many at once as fit a word, and then to one entry, mostly; of a large table these lie in a nearer cache than the entries do.
pub(super) struct Marks<S: Storage> {
    bytes: S::Slots<u8>,
}

/// What is in a slot; never [`VACANT`] if it is an entry.
#[derive(Clone, Copy)]
pub(super) struct Mark(u8);

const VACANT: u8 = 0;
/// An entry's mark has this bit.
const TAKEN: u8 = 0x80;

const WORD: usize = size_of::<usize>();
const FIRST_BITS: usize = usize::MAX / 0xff;
const LAST_BITS: usize = FIRST_BITS << 7;

impl Mark {
    /// Of the lowest bits of a tag, since the highest ones have led to the slot.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the lowest bits are what is wanted")]
    pub(super) const fn of(tag: u32) -> Self {
        Self(tag as u8 | TAKEN)
    }
}

/// The marks from one slot on.
#[derive(Clone, Copy)]
pub(super) struct Window {
    word: usize,
}

impl Window {
    /// How many slots it shows, unless the table ends before that.
    pub(super) const LEN: usize = WORD;

    /// Which of these slots have the mark: all that do, and seldom one behind such a one that does not.
    #[inline]
    pub(super) fn marked(self, Mark(mark): Mark) -> impl Iterator<Item = usize> {
        let differing = self.word ^ (usize::from(mark) * FIRST_BITS);
        bytes_of(differing.wrapping_sub(FIRST_BITS) & !differing & LAST_BITS)
    }

    /// The first one that is vacant.
    #[inline]
    pub(super) fn vacant(self) -> Option<usize> {
        bytes_of(!self.word & LAST_BITS).next()
    }
}

/// In which bytes there is a bit, from the first one on.
#[inline]
fn bytes_of(mut bits: usize) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let byte = (bits != 0).then(|| bits.trailing_zeros() as usize / 8);
        bits &= bits.wrapping_sub(1);
        byte
    })
}

impl<S: Storage> Marks<S> {
    /// How many bytes lie behind the last slot, as if it were taken, so that there is a whole word from each on. In place there is no room for them.
    const BEHIND: usize = if S::CAPACITY < usize::MAX { 0 } else { WORD - 1 };

    pub(super) const fn new() -> Self {
        Self { bytes: S::Slots::EMPTY }
    }

    /// Makes so many slots, which are vacant, where there were none.
    pub(super) fn make(&mut self, slots: usize) {
        let bytes = slots.saturating_add(Self::BEHIND);
        self.bytes.reserve(bytes);
        for byte in 0..bytes {
            if self.bytes.try_push(if byte < slots { VACANT } else { TAKEN }).is_err() {
                return;
            }
        }
    }

    /// How many slots there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.as_slice().len().saturating_sub(Self::BEHIND)
    }

    /// What is in the slots from `start` on. Behind the last one, all looks taken.
    #[inline]
    pub(super) fn window(&self, start: usize) -> Window {
        let marks = self.bytes.as_slice();
        let word = marks.get(start..start.wrapping_add(WORD)).and_then(|bytes| bytes.first_chunk());
        Window { word: usize::from_le_bytes(word.copied().unwrap_or_else(|| last(marks, start))) }
    }

    pub(super) fn take(&mut self, slot: usize, Mark(mark): Mark) {
        self.set(slot, mark);
    }

    pub(super) fn vacate(&mut self, slot: usize) {
        self.set(slot, VACANT);
    }

    fn set(&mut self, slot: usize, mark: u8) {
        if let Some(byte) = self.bytes.as_mut_slice().get_mut(slot) {
            *byte = mark;
        }
    }
}

#[cold]
fn last(marks: &[u8], start: usize) -> [u8; WORD] {
    let mut bytes = [TAKEN; WORD];
    for (byte, mark) in bytes.iter_mut().zip(marks.iter().skip(start)) {
        *byte = *mark;
    }
    bytes
}
