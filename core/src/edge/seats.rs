use core::mem::replace;
use core::task::Waker;

use crate::storage::{Link, Slots, Storage};

/// Where callers sit that share: a slab of seats, linked into rings. Who waits for the same sits in one ring, and a ring is known by a seat of it, which needs no head: whoever leaves unlinks itself, whatever it waited for.
///
/// From a seat, [`next`](Seats::next) goes to newer ones, and from the newest to the oldest. All of it takes constant time.
pub(super) struct Seats<T, S: Storage> {
    /// The first of the vacant seats, which are chained by `next`.
    vacant: Option<S::Link>,
    taken: u32,
    slots: S::Slots<Seat<T, S::Link>>,
}

/// A caller's place. Only who sits there gives it back, so that nobody finds another one in it.
pub(super) struct Seat<T, L> {
    pub(super) phase: Phase<T>,
    pub(super) waker: Option<Waker>,
    /// In which order callers came.
    call: u64,
    next: Option<L>,
    previous: Option<L>,
}

/// How far a caller is.
pub(super) enum Phase<T> {
    Vacant,
    /// For a start, for the result of another one's run, or to learn that it was cancelled.
    Waiting,
    /// Its operation runs, for all of its ring.
    Running,
    Done(T),
    Cancelled,
}

impl<T, S: Storage> Seats<T, S> {
    pub(super) const fn new() -> Self {
        Self { vacant: None, taken: 0, slots: S::Slots::EMPTY }
    }

    pub(super) const fn taken(&self) -> u32 {
        self.taken
    }

    /// A seat, in a ring of its own.
    pub(super) fn sit(&mut self, call: u64, phase: Phase<T>, waker: Option<Waker>) -> Result<S::Link, Option<Waker>> {
        let link = match self.vacant {
            Some(link) => link,
            None => match Link::new(self.slots.as_slice().len()) {
                Some(link) if self.slots.try_push(Seat::VACANT).is_ok() => link,
                _ => return Err(waker),
            },
        };
        if let Some(seat) = self.seat(link) {
            let vacant = seat.next;
            *seat = Seat { phase, waker, call, next: Some(link), previous: Some(link) };
            self.vacant = vacant;
            self.taken += 1;
        }
        Ok(link)
    }

    pub(super) fn seat(&mut self, link: S::Link) -> Option<&mut Seat<T, S::Link>> {
        self.slots.as_mut_slice().get_mut(link.index())
    }

    pub(super) fn take_waker(&mut self, link: S::Link) -> Option<Waker> {
        self.seat(link)?.waker.take()
    }

    /// The next in its ring; none if it is alone.
    pub(super) fn next(&self, link: S::Link) -> Option<S::Link> {
        self.slots.as_slice().get(link.index())?.next.filter(|next| *next != link)
    }

    /// The one before it in its ring; none if it is alone.
    pub(super) fn previous(&self, link: S::Link) -> Option<S::Link> {
        self.slots.as_slice().get(link.index())?.previous.filter(|previous| *previous != link)
    }

    /// Joins two rings, each known by its newest, and returns the newest of both. The younger ring comes after the older one.
    pub(super) fn join(&mut self, one: Option<S::Link>, other: Option<S::Link>) -> Option<S::Link> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        let (older, younger) = if self.call(one) < self.call(other) { (one, other) } else { (other, one) };
        let (oldest, youngest_first) =
            (self.slots.as_slice().get(older.index())?.next?, self.slots.as_slice().get(younger.index())?.next?);
        self.link(older, youngest_first);
        self.link(younger, oldest);
        Some(younger)
    }

    /// Sits down before the one at `at`, which does not become another one's newest by that.
    pub(super) fn join_before(&mut self, at: S::Link, link: S::Link) {
        let before = self.previous(at).unwrap_or(at);
        self.link(before, link);
        self.link(link, at);
    }

    /// Takes a seat out of its ring, into one of its own. The one before it, unless it was alone.
    pub(super) fn part(&mut self, link: S::Link) -> Option<S::Link> {
        let (next, previous) = (self.next(link)?, self.previous(link)?);
        self.link(previous, next);
        self.link(link, link);
        Some(previous)
    }

    /// Gives a seat back that is alone. What it held comes back, to be dropped outside the lock.
    pub(super) fn vacate(&mut self, link: S::Link) -> (Phase<T>, Option<Waker>) {
        let vacant = self.vacant;
        let Some(seat) = self.seat(link) else { return (Phase::Vacant, None) };
        let left = replace(seat, Seat { next: vacant, ..Seat::VACANT });
        self.vacant = Some(link);
        self.taken = self.taken.saturating_sub(1);
        (left.phase, left.waker)
    }

    fn call(&self, link: S::Link) -> u64 {
        self.slots.as_slice().get(link.index()).map_or(0, |seat| seat.call)
    }

    fn link(&mut self, from: S::Link, to: S::Link) {
        if let Some(seat) = self.seat(from) {
            seat.next = Some(to);
        }
        if let Some(seat) = self.seat(to) {
            seat.previous = Some(from);
        }
    }
}

impl<T, L> Seat<T, L> {
    const VACANT: Self = Self { phase: Phase::Vacant, waker: None, call: 0, next: None, previous: None };
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use aplomb_sim::{Explore, Sim};

    use super::*;
    use crate::storage::Inline;

    /// A ring from its oldest to its newest, each with when it came.
    type Ring<L> = Vec<(L, u64)>;

    fn at(sim: Sim, length: usize) -> usize {
        usize::try_from(sim.choose(u64::try_from(length).unwrap())).unwrap()
    }

    fn validate<S: Storage>(seats: &Seats<u64, S>, rings: &[Ring<S::Link>]) {
        for ring in rings {
            for (&(seat, _), &(next, _)) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                let alone = ring.len() == 1;
                assert_eq!(seats.next(seat), (!alone).then_some(next));
                assert_eq!(seats.previous(next), (!alone).then_some(seat));
            }
        }
        assert_eq!(seats.taken() as usize, rings.iter().map(Vec::len).sum::<usize>());
        let (mut vacant, mut next) = (0, seats.vacant);
        while let Some(link) = next {
            let seat = &seats.slots.as_slice()[link.index()];
            assert!(matches!(seat.phase, Phase::Vacant) && seat.waker.is_none());
            (vacant, next) = (vacant + 1, seat.next);
        }
        assert_eq!(seats.taken() as usize + vacant, seats.slots.as_slice().len());
    }

    /// Does the same to seats with room for so many and to rings that are lists.
    fn play<S: Storage>(sim: Sim, capacity: usize) {
        let mut seats: Seats<u64, S> = Seats::new();
        let mut rings: Vec<Ring<S::Link>> = Vec::new();
        for call in 1..60 {
            match sim.choose(5) {
                0 | 1 => match seats.sit(call, Phase::Done(call), Some(Waker::noop().clone())) {
                    Ok(link) => rings.push(std::vec![(link, call)]),
                    Err(waker) => assert!(waker.is_some() && seats.taken() as usize == capacity),
                },
                2 if rings.len() > 1 => {
                    let one = rings.swap_remove(at(sim, rings.len()));
                    let other = rings.swap_remove(at(sim, rings.len()));
                    let newest = |ring: &Ring<S::Link>| *ring.last().unwrap();
                    let joined = seats.join(Some(newest(&one).0), Some(newest(&other).0));
                    let (older, younger) = if newest(&one).1 < newest(&other).1 { (one, other) } else { (other, one) };
                    assert_eq!(joined, Some(newest(&younger).0));
                    rings.push([older, younger].concat());
                }
                3 if !rings.is_empty() => {
                    let Ok(link) = seats.sit(call, Phase::Done(call), None) else { continue };
                    let index = at(sim, rings.len());
                    let ring = &mut rings[index];
                    let place = at(sim, ring.len());
                    seats.join_before(ring[place].0, link);
                    ring.insert(place, (link, call));
                }
                4 if !rings.is_empty() => {
                    let index = at(sim, rings.len());
                    let ring = &mut rings[index];
                    let place = at(sim, ring.len());
                    let (link, call) = ring.remove(place);
                    let previous = ring.get(place.checked_sub(1).unwrap_or(ring.len().saturating_sub(1)));
                    assert_eq!(seats.part(link), previous.map(|(link, _)| *link));
                    assert!(matches!(seats.vacate(link), (Phase::Done(held), _) if held == call));
                    rings.retain(|ring| !ring.is_empty());
                }
                _ => {}
            }
            validate(&seats, &rings);
        }
    }

    #[test]
    fn seats_in_place_do_what_lists_do() {
        Explore::new().run(|sim| async move { play::<Inline<6>>(sim, 6) });
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn seats_on_the_heap_do_what_lists_do() {
        Explore::new().run(|sim| async move { play::<crate::storage::Heap>(sim, usize::MAX) });
    }
}
