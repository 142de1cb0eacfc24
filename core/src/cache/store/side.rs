use core::ops::Range;

use super::newcomers::Gone;
use super::slots::is_in_place;
use crate::storage::{Link, Slots, Storage};
use crate::time::Instant;

/// How many slots have an end together.
pub(super) const BLOCK: usize = 32;

/// How many blocks are looked through at once, at most.
pub(super) const BLOCKS: usize = 4;

/// Four words.
const NODE: usize = 4;

/// Two words.
const PLACE: usize = 2;

/// What is kept beside the slots, in words: when something ends in a block of them, who is on probation, and the ghosts of who has gone. In one table of as many words as there are slots, since in place each table has room for as many as there can be slots; on the heap of a quarter more, which gives nearly each slot a ghost: with fewer, keys that come once drive others' out before those come back, and with more, too many stay that came back by chance.
pub(super) struct Side<S: Storage> {
    words: S::Slots<u16>,
    /// A bound for the whole table, before which nothing ends; it is the root of the tree of minima.
    root: Instant,
    /// Of the tree, how many blocks it is for.
    blocks: usize,
    /// How many there are places for on probation.
    places: usize,
    /// The first on probation, and how many there are.
    first: usize,
    waiting: usize,
    /// Which of its places the next ghost takes.
    turn: bool,
}

impl<S: Storage> Side<S> {
    pub(super) const fn new() -> Self {
        Self { words: S::Slots::EMPTY, root: Instant::ORIGIN, blocks: 0, places: 0, first: 0, waiting: 0, turn: false }
    }

    /// Is for so many slots from now on. Of what is in them, the ends are to be told anew; ghosts are gone.
    pub(super) fn grow(&mut self, slots: usize) {
        // In place, there is no room for more.
        let words = if is_in_place::<S>() { slots } else { slots.saturating_add(slots / 4) };
        while self.words.as_slice().len() < words && self.words.try_push(0).is_ok() {}
        self.blocks = slots.div_ceil(BLOCK);
        self.places = if slots < NODE { 0 } else { hundredth(slots).max(1) };
        self.root = Instant::MAX;
        let tree = self.tree();
        for (index, word) in self.words.as_mut_slice().iter_mut().enumerate() {
            *word = if index < tree { u16::MAX } else { 0 };
        }
        self.end_probation();
    }

    /// The words of the tree, but for its root.
    const fn tree(&self) -> usize {
        self.blocks.saturating_sub(1) * (2 * NODE)
    }

    /// How many may be on probation, of so many entries.
    pub(super) fn probation(&self, entries: usize) -> usize {
        hundredth(entries).max(1).min(self.places)
    }

    fn ghosts(&self) -> Range<usize> {
        let from = self.tree() + self.places * PLACE;
        from..self.words.as_slice().len().max(from)
    }
}

/// When entries end: a bound for each block of slots, before which nothing of it does, and a tree of their minima.
///
/// Whoever moves an end back need not tell: the bound holds on. Whoever moves one forward [tells](Side::lower). Only the block that stands first is looked through, when one is wanted, and its bound set right.
impl<S: Storage> Side<S> {
    /// Something in that slot ends at `at`, or later.
    pub(super) fn lower(&mut self, slot: usize, at: Instant) {
        let mut node = self.node(slot / BLOCK);
        while self.at(node) > at {
            self.put(node, at);
            match parent(node) {
                Some(parent) => node = parent,
                None => return,
            }
        }
    }

    /// In what block something may have ended.
    #[inline]
    pub(super) fn ended(&self, now: Instant) -> Option<usize> {
        if self.root > now || self.root.is_never() {
            return None;
        }
        let (mut node, blocks) = (0_usize, self.blocks);
        while node + 1 < blocks {
            let left = 2 * node + 1;
            node = if self.at(left) <= now { left } else { left + 1 };
        }
        Some(node + 1 - blocks.max(1))
    }

    /// Nothing in that block ends before `at`.
    pub(super) fn set(&mut self, block: usize, at: Instant) {
        let mut node = self.node(block);
        self.put(node, at);
        while let Some(parent) = parent(node) {
            let earlier = self.at(2 * parent + 1).min(self.at(2 * parent + 2));
            self.put(parent, earlier);
            node = parent;
        }
    }

    fn node(&self, block: usize) -> usize {
        self.blocks.saturating_add(block).saturating_sub(1)
    }

    fn at(&self, node: usize) -> Instant {
        let Some(begin) = node.checked_sub(1).map(|node| node * NODE) else { return self.root };
        match self.words.as_slice().get(begin..begin + NODE) {
            Some(&[a, b, c, d]) => {
                let [a, b, c, d] = [a, b, c, d].map(u64::from);
                Instant::from_nanos(a | b << 16 | c << 32 | d << 48)
            }
            _ => Instant::MAX,
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a word of it is what is wanted")]
    fn put(&mut self, node: usize, at: Instant) {
        let Some(begin) = node.checked_sub(1).map(|node| node * NODE) else {
            self.root = at;
            return;
        };
        if let Some([a, b, c, d]) = self.words.as_mut_slice().get_mut(begin..begin + NODE) {
            let nanos = at.as_nanos();
            (*a, *b, *c, *d) = (nanos as u16, (nanos >> 16) as u16, (nanos >> 32) as u16, (nanos >> 48) as u16);
        }
    }
}

fn parent(node: usize) -> Option<usize> {
    node.checked_sub(1).map(|node| node / 2)
}

/// Who is on probation, first come first out. A slot may have been given to another one meanwhile.
impl<S: Storage> Side<S> {
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) const fn is_full(&self) -> bool {
        self.waiting >= self.places
    }

    /// Nobody is any more.
    pub(super) const fn end_probation(&mut self) {
        (self.first, self.waiting) = (0, 0);
    }

    /// Puts one at the end, if there is a place.
    pub(super) fn push(&mut self, link: S::Link) {
        if self.is_full() {
            return;
        }
        let index = u32::try_from(link.index()).unwrap_or(u32::MAX);
        let place = self.place(self.first + self.waiting);
        if let Some([low, high]) = self.words.as_mut_slice().get_mut(place) {
            let [a, b, c, d] = index.to_le_bytes();
            (*low, *high) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            self.waiting += 1;
        }
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<S::Link> {
        if self.waiting == 0 {
            return None;
        }
        let Some(&[low, high]) = self.words.as_slice().get(self.place(self.first)) else { return None };
        self.waiting -= 1;
        self.first = if self.first + 1 < self.places { self.first + 1 } else { 0 };
        Link::new(usize::try_from(u32::from(low) | u32::from(high) << 16).ok()?)
    }

    fn place(&self, number: usize) -> Range<usize> {
        let places = self.places;
        let number = if number < places { number } else { number - places };
        let from = self.tree() + number * PLACE;
        from..from + PLACE
    }
}

/// Ghosts: words of the tags of who has gone. Each has two places, and takes one by turns: so a younger ghost takes an older one's place, and no two keep each other out for good.
impl<S: Storage> Side<S> {
    pub(super) fn leave_ghost(&mut self, tag: S::Link, gone: Gone) {
        self.turn = !self.turn;
        let turn = self.turn;
        if let Some(ghost) = self.ghost(tag, turn) {
            let gone = match gone {
                Gone::Newcomer => 1,
                Gone::Regular => 2,
                Gone::Uncounted => 3,
            };
            *ghost = word(tag) | gone;
        }
    }

    /// Whose ghost it was, if there was one.
    pub(super) fn take_ghost(&mut self, tag: S::Link) -> Option<Gone> {
        [false, true].into_iter().find_map(|place| {
            let ghost = self.ghost(tag, place)?;
            let gone = match *ghost ^ word(tag) {
                1 => Gone::Newcomer,
                2 => Gone::Regular,
                3 => Gone::Uncounted,
                _ => return None,
            };
            *ghost = 0;
            Some(gone)
        })
    }

    fn ghost(&mut self, tag: S::Link, other: bool) -> Option<&mut u16> {
        let ghosts = self.ghosts();
        let number = if other { elsewhere(tag, ghosts.len()) } else { tag.place(ghosts.len()) };
        self.words.as_mut_slice().get_mut(ghosts)?.get_mut(number)
    }
}

/// Other bits than lead to a ghost's place. The last two are left to who has gone, and are zero where there is no ghost.
#[allow(clippy::cast_possible_truncation, reason = "a word of it is what is wanted")]
fn word<L: Link>(tag: L) -> u16 {
    ((tag.index() as u32).wrapping_mul(0x9e37_79b1) >> 16) as u16 & !3
}

/// Another place than its hash points to.
#[allow(clippy::cast_possible_truncation, reason = "a place lies within so many")]
fn elsewhere<L: Link>(tag: L, places: usize) -> usize {
    let mixed = (tag.index() as u32).wrapping_mul(0x85eb_ca6b) ^ 0x5bd1_e995;
    ((u64::from(mixed) * places as u64) >> 32) as usize
}

/// Without a division, for processors that have none. No table has so many slots that it would overflow.
fn hundredth(slots: usize) -> usize {
    usize::try_from((slots as u64).saturating_mul(41) >> 12).unwrap_or(slots)
}
