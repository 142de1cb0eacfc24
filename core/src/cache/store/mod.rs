//! Where entries lie: who is found by which key, and who has to make room.

mod newcomers;
mod side;
mod slots;
#[cfg(test)]
mod tests;

use core::mem::replace;

use self::newcomers::Newcomers;
use self::side::{BLOCK, BLOCKS, Side};
use self::slots::{Chained, is_in_place};
pub(super) use self::slots::{Entry, most};
use super::event::Removal;
use super::rules::{Rules, Times};
use crate::storage::{Link, Slots, Storage};
use crate::time::Instant;

/// Entries by key, in slots that they keep for as long as they are there. A machine: it is given hashes, equality, times, and when an entry is of no use any more; and it gives back what has to go.
///
/// # How room is made
///
/// What has ended goes first, if looking through few blocks of slots finds it. Else it is S3-FIFO (Yang and others, 2023), with parts of other sizes: whoever comes when room is scarce is on *probation*, for as long as it takes to fill a hundredth of the room. Who is not used meanwhile goes, and leaves a *ghost*; who is, or comes back while its ghost is there, is a *regular*.
/// The hand of a clock goes round over the regulars, and takes who has not been used since, or has been passed over as often as it was, three times at most. It looks at few at a time: if all of them were used, the one goes that was so least. `benches/benches/hit_ratio.rs` has it beside others.
///
/// Where popularity shifts, a hundredth is too short a probation: then [newcomers](Newcomers) stay as regulars though nobody used them. Whether it does is told by ghosts, of regulars too.
///
/// A hit counts in its own slot, and touches nothing else. Where most slots are vacant, since few heavy entries have taken the place of many light ones, the hand would pass over gaps: entries are moved together first.
///
/// # What it takes
///
/// Beside its key and value, an entry in place takes 16 bytes of a slot, 2 of the heads of chains, 2 beside the slots, and 4 for its weight: 24. On the heap it is 16 of a slot, so that one with two numbers of 64 bits lies on one line of the processor's cache; 8 of heads, 4 for the next one of its chain, and 2.5; and 4 where something is weighed.
pub(super) struct Store<K, V, S: Storage> {
    slots: Chained<K, V, S>,
    side: Side<S>,
    /// Of all slots up to the last whose entry does not weigh 1.
    weights: S::Slots<u32>,
    weight: u64,
    /// Where the hand is.
    hand: usize,
    newcomers: Newcomers,
    /// Whether somebody has had to go.
    is_scarce: bool,
}

/// An entry to be.
pub(super) struct New<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) times: Times,
    pub(super) weight: u32,
    /// When it is of no use any more.
    pub(super) end: Instant,
}

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) capacity: usize,
    pub(super) max_weight: u64,
}

/// What there is of what is looked for.
pub(super) enum Sought<T> {
    Found(T),
    Nothing,
    /// So much has been looked through as is at once; there may be something in what has not.
    Unsure,
}

/// Who had to go, to be dropped outside the lock.
pub(super) struct Displaced<K, V> {
    pub(super) entry: (K, V),
    pub(super) cause: Removal,
}

/// How many slots are looked through at once, at most.
pub(super) const AT_ONCE: usize = BLOCK * BLOCKS;

/// How often an entry has been used of late, three times at most; and whether it is on probation.
const USES: u8 = 0b11;
const PROBATION: u8 = 0b100;

/// How many on probation are looked at for one that may go, and how many slots by the hand, where not all of them are vacant.
const LOOKS: usize = 64;

impl<K, V, S: Storage> Store<K, V, S> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Chained::new(),
            side: Side::new(),
            weights: S::Slots::EMPTY,
            weight: 0,
            hand: 0,
            newcomers: Newcomers::NEW,
            is_scarce: false,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn weight(&self) -> u64 {
        self.weight
    }

    /// The entry with that hash whose key is the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(&K) -> bool) -> Option<S::Link> {
        self.slots.find(Link::of_hash(hash), is_it)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, link: S::Link) -> Option<&mut Entry<K, V, S::Link>> {
        self.slots.get_mut(link)
    }

    /// If there are as many as may be, one goes.
    pub(super) fn make_place(&mut self, now: Instant, limits: Limits, rules: &Rules, gone: &mut Option<Displaced<K, V>>) {
        if self.len() >= limits.capacity {
            self.displace(None, now, rules, gone);
        }
    }

    /// Keeps an entry of a key that is not there, where there is [a place](Self::make_place).
    ///
    /// # Errors
    ///
    /// It comes back if there can be none.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        New { key, value, mut times, weight, end }: New<K, V>,
        limits: Limits,
        rules: &Rules,
    ) -> Result<(), (K, V)> {
        let tag = Link::of_hash(hash);
        if self.slots.is_crowded() {
            self.grow(limits.capacity, rules);
        }
        let on_probation = self.is_scarce && self.side.probation(self.len()) > 0 && !self.is_back(tag);
        times.set_marks(if on_probation { PROBATION } else { 0 });
        let link = self.slots.put(key, value, times, tag)?;
        if on_probation {
            self.put_on_probation(link);
        }
        self.set_weight(link, weight);
        self.side.lower(link.index(), end);
        Ok(())
    }

    /// Keeps another value for a key that is there. The old one comes back.
    pub(super) fn replace(&mut self, link: S::Link, value: V, mut times: Times, weight: u32, end: Instant) -> Option<V> {
        let entry = self.slots.get_mut(link)?;
        times.set_marks(entry.times.marks());
        entry.times = times;
        let old = replace(&mut entry.value, value);
        self.weight = self.weight.saturating_sub(u64::from(self.weight_of(link)));
        self.set_weight(link, weight);
        self.side.lower(link.index(), end);
        Some(old)
    }

    /// An entry is read, and may be.
    pub(super) fn read(&mut self, link: S::Link, now: Instant, rules: &Rules) {
        let Some(Entry { times, .. }) = self.slots.get_mut(link) else { return };
        count_use(times);
        if rules.read(times, now) {
            self.side.lower(link.index(), rules.dies_at(times));
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, link: S::Link) -> Option<Entry<K, V, S::Link>> {
        self.slots.get(link)?;
        self.weight = self.weight.saturating_sub(u64::from(self.weight_of(link)));
        self.is_scarce &= self.len() > 1;
        self.slots.take(link)
    }

    /// Makes way for so much more weight, by one; until there is room, or nobody is left. The one in whose place it comes does not make way for itself.
    pub(super) fn make_room(
        &mut self,
        weight: u32,
        replaced: Option<S::Link>,
        now: Instant,
        limits: Limits,
        rules: &Rules,
        gone: &mut Option<Displaced<K, V>>,
    ) {
        if self.weight.saturating_add(u64::from(weight)) > limits.max_weight {
            self.displace(replaced, now, rules, gone);
        }
    }

    /// Takes one out that has ended.
    pub(super) fn take_ended(&mut self, now: Instant, rules: &Rules) -> Sought<Entry<K, V, S::Link>> {
        match self.find_ended(now, rules) {
            Sought::Found(link) => self.remove(link).map_or(Sought::Nothing, Sought::Found),
            Sought::Nothing => Sought::Nothing,
            Sought::Unsure => Sought::Unsure,
        }
    }

    /// All [ends](Rules::end_now), and is found.
    pub(super) fn end_all(&mut self, rules: &Rules) {
        let Self { slots, side, .. } = self;
        for (link, entry) in slots.iter_mut() {
            rules.end_now(&mut entry.times);
            side.lower(link.index(), rules.dies_at(&entry.times));
        }
    }

    /// The last entry before a slot, and its own; or how far there is none, if that is as far as is looked at once. Entries move down only: whoever goes on from there meets all that are there all the time.
    pub(super) fn last_before(&self, slot: usize) -> Option<(usize, Option<S::Link>)> {
        let end = slot.min(self.slots.slots());
        let begin = end.saturating_sub(AT_ONCE);
        let found = (begin..end).rev().find_map(|index| {
            let link = Link::new(index)?;
            self.slots.get(link).map(|_| (index, Some(link)))
        });
        found.or((end > 0).then_some((begin, None)))
    }

    fn grow(&mut self, capacity: usize, rules: &Rules) {
        // In place, all the room is there from the start.
        let more = if is_in_place::<S>() { S::CAPACITY } else { self.slots.rooms().saturating_mul(2).max(16) };
        let rooms = more.min(capacity);
        let Self { slots, side, .. } = self;
        side.grow(rooms);
        slots.grow(rooms, |times, link| {
            // Whoever was on probation has passed: nobody knows any more in which order they came.
            times.set_marks(times.marks() & USES);
            side.lower(link.index(), rules.dies_at(times));
        });
    }

    // There are several who call it, and it is long. What has gone is put where it is wanted: to move it, piece by piece, takes longer than to find it.
    #[inline(never)]
    fn displace(&mut self, replaced: Option<S::Link>, now: Instant, rules: &Rules, gone: &mut Option<Displaced<K, V>>) {
        let link = match self.find_ended(now, rules) {
            Sought::Found(link) => Some(link),
            Sought::Nothing | Sought::Unsure => {
                self.is_scarce = true;
                let replaced = self.pack(replaced, rules);
                self.choose(replaced)
            }
        };
        let Some(entry) = link.and_then(|link| self.remove(link)) else { return };
        // One may have that was not found for it.
        let has_ended = rules.dies_at(&entry.times) <= now;
        if !has_ended && let Some(gone) = self.newcomers.gone(entry.times.marks() & PROBATION != 0, self.len()) {
            self.side.leave_ghost(entry.tag, gone);
        }
        let cause = if has_ended { Removal::Expired } else { Removal::Evicted };
        *gone = Some(Displaced { entry: (entry.key, entry.value), cause });
    }

    /// One that has ended.
    fn find_ended(&mut self, now: Instant, rules: &Rules) -> Sought<S::Link> {
        for _ in 0..BLOCKS {
            let Some(block) = self.side.ended(now) else { return Sought::Nothing };
            let mut earliest = Instant::MAX;
            let first = block.saturating_mul(BLOCK);
            for link in (first..first.saturating_add(BLOCK)).filter_map(Link::new) {
                let Some(entry) = self.slots.get(link) else { continue };
                let end = rules.dies_at(&entry.times);
                if end <= now {
                    return Sought::Found(link);
                }
                earliest = earliest.min(end);
            }
            self.side.set(block, earliest);
        }
        Sought::Unsure
    }

    /// Moves entries together where three of four slots are vacant: as many have gone as are gone through. Where the one is that is to be replaced, if one is.
    fn pack(&mut self, mut replaced: Option<S::Link>, rules: &Rules) -> Option<S::Link> {
        let Self { slots, side, weights, .. } = self;
        if slots.slots() / 4 <= slots.len().max(BLOCK) {
            return replaced;
        }
        slots.pack(|times, from, to| {
            if replaced == Some(from) {
                replaced = Some(to);
            }
            side.lower(to.index(), rules.dies_at(times));
            let weights = weights.as_mut_slice();
            let weight = weights.get(from.index()).copied();
            if let Some(slot) = weights.get_mut(to.index()) {
                *slot = weight.unwrap_or(1);
            }
        });
        // Where they lay is in the queue of who is on probation: so all have passed.
        side.end_probation();
        for (_, entry) in slots.iter_mut() {
            entry.times.set_marks(entry.times.marks() & USES);
        }
        replaced
    }

    /// One that is used least, and another one than that; of few that are looked at.
    fn choose(&mut self, replaced: Option<S::Link>) -> Option<S::Link> {
        for _ in 0..LOOKS {
            if self.side.waiting() < self.side.probation(self.len()) {
                break;
            }
            let Some(link) = self.side.pop() else { break };
            match self.slots.get_mut(link) {
                Some(entry) if entry.times.marks() & PROBATION == 0 => {}
                Some(entry) if entry.times.marks() & USES == 0 && Some(link) != replaced && !self.newcomers.stays() => {
                    return Some(link);
                }
                Some(entry) => entry.times.set_marks(0),
                None => {}
            }
        }
        let (slots, mut least) = (self.slots.slots(), None);
        // Once more than the most that an entry can be passed over.
        for look in 0..slots.saturating_mul(usize::from(USES) + 1) {
            if look >= LOOKS && least.is_some() {
                break;
            }
            let link = Link::new(self.hand);
            self.hand = if self.hand + 1 < slots { self.hand + 1 } else { 0 };
            let Some((link, entry)) = link.and_then(|link| Some((link, self.slots.get_mut(link)?))) else { continue };
            if Some(link) == replaced {
                continue;
            }
            let marks = entry.times.marks();
            if marks == 0 {
                return Some(link);
            }
            // Who is on probation is beyond any number of uses.
            if least.is_none_or(|(fewest, _)| marks < fewest) {
                least = Some((marks, link));
            }
            if marks <= USES {
                entry.times.set_marks(marks - 1);
            }
        }
        least.map(|(_, link)| link)
    }

    /// Whether it was a newcomer that has gone, and is a regular for that.
    fn is_back(&mut self, tag: S::Link) -> bool {
        self.side.take_ghost(tag).is_some_and(|gone| self.newcomers.back(gone))
    }

    fn put_on_probation(&mut self, link: S::Link) {
        if self.side.is_full()
            && let Some(first) = self.side.pop().and_then(|first| self.slots.get_mut(first))
        {
            // Another one has made room: it has passed.
            first.times.set_marks(0);
        }
        self.side.push(link);
    }

    pub(super) fn weight_of(&self, link: S::Link) -> u32 {
        self.weights.as_slice().get(link.index()).copied().unwrap_or(1)
    }

    fn set_weight(&mut self, link: S::Link, weight: u32) {
        self.weight = self.weight.saturating_add(u64::from(weight));
        while weight != 1 && self.weights.as_slice().len() <= link.index() && self.weights.try_push(1).is_ok() {}
        if let Some(slot) = self.weights.as_mut_slice().get_mut(link.index()) {
            *slot = weight;
        }
    }
}

/// It was hit.
#[inline]
pub(super) const fn count_use(times: &mut Times) {
    let marks = times.marks();
    if marks & USES < USES {
        times.set_marks(marks + 1);
    }
}
