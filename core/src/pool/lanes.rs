//! The tree of lanes, of which the line is made.

use crate::storage::Link;

/// Who stands before whom: the highest is the first in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Waits for all others to be gone.
    Drained,
    /// Waits for a place, with this priority.
    Job(i32),
    /// Has seen all others gone, and is to be told.
    Idle,
    /// Will get no place, and is to be told.
    Cancelled,
}

impl Rank {
    /// The way down the tree of lanes to this rank, from that depth on. Different ranks have different ways, which part soon.
    fn way(self, depth: u32) -> Way {
        let number = match self {
            Self::Drained => 0,
            Self::Idle => 1,
            Self::Cancelled => 2,
            Self::Job(priority) => (1 << 32) | u64::from(priority.cast_unsigned()),
        };
        // An odd factor, so that no two become one; the golden ratio, so that neighbours part in the first bits (Knuth, TAOCP 3, 6.4).
        Way(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).checked_shl(depth).unwrap_or(0))
    }
}

/// Left or right, bit by bit.
struct Way(u64);

impl Way {
    fn turn<L>(&mut self, below: L) -> Place<L> {
        let place = if self.0 >> 63 == 1 { Place::Right(below) } else { Place::Left(below) };
        self.0 <<= 1;
        place
    }
}

/// Lanes of one rank each, in a treap without chance: the highest of all is the root, and the others hang to its left or right by the bits of a number that is made from their rank.
///
/// Its methods take the slots as a slice, so that they are compiled once for all capacities.
pub(super) struct Lanes<L> {
    pub(super) highest: Option<L>,
}

pub(super) struct Slot<T, L> {
    /// Vacant slots have none.
    pub(super) entry: Option<T>,
    /// Of the first of a lane, and of who was called.
    pub(super) rank: Rank,
    /// A lane is a ring, which its first leads. Jobs that were called are a [list](super::called::Called).
    pub(super) next: Option<L>,
    pub(super) previous: Option<L>,
    /// The lanes below the one that this leads.
    pub(super) lower: Lower<L>,
    pub(super) generation: u32,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The first of a lane.
    Leads,
    /// In a lane, and not the first.
    Follows,
    /// No longer in the line.
    Called,
}

#[derive(Clone, Copy)]
pub(super) struct Lower<L> {
    pub(super) left: Option<L>,
    pub(super) right: Option<L>,
}

impl<L> Lower<L> {
    const NONE: Self = Self { left: None, right: None };
}

/// Where a lane hangs in the tree.
#[derive(Clone, Copy)]
pub(super) enum Place<L> {
    Root,
    Left(L),
    Right(L),
}

impl<T, L> Slot<T, L> {
    pub(super) const VACANT: Self = Self {
        entry: None,
        rank: Rank::Drained,
        next: None,
        previous: None,
        lower: Lower::NONE,
        generation: 0,
        standing: Standing::Called,
    };
}

impl<L: Link> Lanes<L> {
    /// Lets one in, behind all of its rank.
    pub(super) fn enter<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let Some(slot) = slots.get_mut(link.index()) else { return };
        slot.standing = Standing::Leads;
        (slot.next, slot.previous) = (Some(link), Some(link));
        self.hang(slots, link);
    }

    /// Lets one in, before all of its rank.
    pub(super) fn enter_first<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        self.enter(slots, link);
        let Some(&Slot { standing: Standing::Follows, next: Some(leader), .. }) = slots.get(link.index()) else { return };
        let Some(&Slot { rank, lower, .. }) = slots.get(leader.index()) else { return };
        let Some(place) = self.place_of(slots, leader, rank) else { return };
        // The last of a ring is next to its first: it only has to lead.
        if let Some(slot) = slots.get_mut(leader.index()) {
            (slot.lower, slot.standing) = (Lower::NONE, Standing::Follows);
        }
        if let Some(slot) = slots.get_mut(link.index()) {
            (slot.lower, slot.standing) = (lower, Standing::Leads);
        }
        self.put(slots, place, Some(link));
    }

    /// Hangs a lane into the tree, or joins it to the one of its rank.
    pub(super) fn hang<T>(&mut self, slots: &mut [Slot<T, L>], leader: L) {
        let (mut hung, mut place, mut depth) = (leader, Place::Root, 0);
        let Some(mut rank) = rank_of(slots, leader) else { return };
        let mut way = rank.way(depth);
        while let Some(there) = self.at(slots, place) {
            let Some(slot) = slots.get_mut(there.index()) else { return };
            if slot.rank == rank {
                return join(slots, there, hung);
            }
            let mut upper = there;
            if slot.rank < rank {
                // The higher one has the place, and the other goes on down in its stead.
                let (lower, lower_rank) = (slot.lower, slot.rank);
                self.put(slots, place, Some(hung));
                set_lower(slots, hung, lower);
                upper = hung;
                (hung, rank, way) = (there, lower_rank, lower_rank.way(depth));
            }
            place = way.turn(upper);
            depth += 1;
        }
        set_lower(slots, hung, Lower::NONE);
        self.put(slots, place, Some(hung));
    }

    /// Takes one out of its lane. Who stood behind it leads now, if it did.
    pub(super) fn leave<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let Some(slot) = slots.get_mut(link.index()) else { return };
        let (led, rank, lower) = (slot.standing == Standing::Leads, slot.rank, slot.lower);
        let (next, previous) = (slot.next.take(), slot.previous.take());
        slot.standing = Standing::Called;
        slot.lower = Lower::NONE;
        let place = if led { self.place_of(slots, link, rank) } else { None };
        let successor = next.filter(|next| *next != link);
        if let (Some(next), Some(previous)) = (successor, previous) {
            tie(slots, previous, next);
        }
        let Some(place) = place else { return };
        let Some(next) = successor else { return self.fill(slots, place, lower) };
        if let Some(slot) = slots.get_mut(next.index()) {
            (slot.rank, slot.lower, slot.standing) = (rank, lower, Standing::Leads);
        }
        self.put(slots, place, Some(next));
    }

    /// Fills a place with the higher of the lanes below it, and the place that that one leaves, and so on down.
    pub(super) fn fill<T>(&mut self, slots: &mut [Slot<T, L>], place: Place<L>, lower: Lower<L>) {
        let (mut place, mut lower) = (place, lower);
        loop {
            let Lower { left, right } = lower;
            let ranks = [left, right].map(|link| link.and_then(|link| rank_of(slots, link)));
            let left_rises = matches!(ranks, [left, right] if left > right);
            let riser = if left_rises { left } else { right };
            self.put(slots, place, riser);
            let Some(riser) = riser else { return };
            let Some(slot) = slots.get_mut(riser.index()) else { return };
            lower = slot.lower;
            if left_rises {
                slot.lower.right = right;
                place = Place::Left(riser);
            } else {
                slot.lower.left = left;
                place = Place::Right(riser);
            }
        }
    }

    /// Where the lane hangs that this one leads.
    fn place_of<T>(&self, slots: &[Slot<T, L>], leader: L, rank: Rank) -> Option<Place<L>> {
        let (mut place, mut way) = (Place::Root, rank.way(0));
        loop {
            let there = self.at(slots, place)?;
            if there == leader {
                return Some(place);
            }
            place = way.turn(there);
        }
    }

    fn at<T>(&self, slots: &[Slot<T, L>], place: Place<L>) -> Option<L> {
        match place {
            Place::Root => self.highest,
            Place::Left(upper) => slots.get(upper.index())?.lower.left,
            Place::Right(upper) => slots.get(upper.index())?.lower.right,
        }
    }

    fn put<T>(&mut self, slots: &mut [Slot<T, L>], place: Place<L>, leader: Option<L>) {
        match place {
            Place::Root => self.highest = leader,
            Place::Left(upper) => {
                if let Some(slot) = slots.get_mut(upper.index()) {
                    slot.lower.left = leader;
                }
            }
            Place::Right(upper) => {
                if let Some(slot) = slots.get_mut(upper.index()) {
                    slot.lower.right = leader;
                }
            }
        }
    }
}

fn rank_of<T, L: Link>(slots: &[Slot<T, L>], leader: L) -> Option<Rank> {
    slots.get(leader.index()).map(|slot| slot.rank)
}

fn set_lower<T, L: Link>(slots: &mut [Slot<T, L>], leader: L, lower: Lower<L>) {
    if let Some(slot) = slots.get_mut(leader.index()) {
        slot.lower = lower;
    }
}

/// Makes two neighbours in a ring.
fn tie<T, L: Link>(slots: &mut [Slot<T, L>], previous: L, next: L) {
    if let Some(slot) = slots.get_mut(previous.index()) {
        slot.next = Some(next);
    }
    if let Some(slot) = slots.get_mut(next.index()) {
        slot.previous = Some(previous);
    }
}

/// Puts a lane behind another.
fn join<T, L: Link>(slots: &mut [Slot<T, L>], leader: L, behind: L) {
    let last_of = |slots: &[Slot<T, L>], leader: L| slots.get(leader.index()).and_then(|slot| slot.previous);
    let (Some(last), Some(very_last)) = (last_of(slots, leader), last_of(slots, behind)) else { return };
    tie(slots, last, behind);
    tie(slots, very_last, leader);
    if let Some(slot) = slots.get_mut(behind.index()) {
        slot.standing = Standing::Follows;
        slot.lower = Lower::NONE;
    }
}

/// Each lane is a ring, higher than those below it, and hangs where its rank leads; so many stand in all of them.
#[cfg(test)]
pub(super) fn validate<T, L: Link>(lanes: &Lanes<L>, slots: &[Slot<T, L>], standing: usize) {
    extern crate std;

    fn below<T, L: Link>(lanes: &Lanes<L>, slots: &[Slot<T, L>], place: Place<L>, ranks: &mut std::vec::Vec<Rank>) -> usize {
        let Some(leader) = lanes.at(slots, place) else { return 0 };
        let slot = &slots[leader.index()];
        assert!(slot.standing == Standing::Leads && slot.entry.is_some());
        assert!(!ranks.contains(&slot.rank), "two lanes of {:?}", slot.rank);
        ranks.push(slot.rank);
        let found = match lanes.place_of(slots, leader, slot.rank) {
            Some(Place::Root) => lanes.highest,
            Some(Place::Left(upper)) => slots[upper.index()].lower.left,
            Some(Place::Right(upper)) => slots[upper.index()].lower.right,
            None => None,
        };
        assert_eq!(found, Some(leader), "{:?} is found by its rank", slot.rank);
        let (mut count, mut link) = (1, leader);
        while let Some(next) = slots[link.index()].next.filter(|next| *next != leader) {
            assert_eq!(slots[next.index()].previous, Some(link));
            assert!(slots[next.index()].standing == Standing::Follows && slots[next.index()].entry.is_some());
            (link, count) = (next, count + 1);
        }
        assert_eq!((slots[link.index()].next, slot.previous), (Some(leader), Some(link)), "a ring");
        for side in [Place::Left(leader), Place::Right(leader)] {
            if let Some(lower) = lanes.at(slots, side) {
                assert!(slots[lower.index()].rank < slot.rank, "{:?} is above a higher one", slot.rank);
            }
            count += below(lanes, slots, side, ranks);
        }
        count
    }
    assert_eq!(below(lanes, slots, Place::Root, &mut std::vec::Vec::new()), standing);
}
