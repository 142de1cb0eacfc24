//! The flight table: of those who ask for the same at once, one flies, and the others wait for what it brings.

mod berths;
mod role;

use core::task::Waker;

pub(crate) use self::berths::Berths;
pub(crate) use self::role::{Aborts, Ended, News, Role, Stands};
pub use self::role::{Board, Flights};
use crate::storage::{Link, Slots, Storage};
use crate::sync::wait_list::{Asked, Key, Queue, Removed, Slab, Turn};

/// Flights by key, and who waits for each.
///
/// A flight is found by its key as long as it is *listed*; one that is off the list (its key was forgotten) goes on for those who have it, if its leader has been polled. It is over when its leader has landed, or has left and nobody waits. A leader that leaves hands over to who waited longest, with what it had begun, if that is a `W`.
///
/// It lives behind a lock, where no foreign code may run but `Eq` of keys: keys, wakers and values are handed out, to be dropped, woken and cloned outside.
pub struct FlightTable<K, T, S: Storage, W> {
    flights: Berths<Flight<K, S::Link>, S>,
    /// The first one of each chain of those that are listed.
    heads: S::Slots<Option<S::Link>>,
    seats: Slab<Seat<T, W>, S>,
    waiting: u32,
    /// Of the newest flight.
    stamp: u32,
}

struct Flight<K, L> {
    /// As long as it is listed.
    key: Option<K>,
    /// Of the hash, what leads to its chain, and is compared before the key is.
    tag: L,
    /// The next one of its chain.
    next: Option<L>,
    followers: Queue<L>,
    /// Whether its leader has been polled: nobody waits for one that may never be.
    has_begun: bool,
    stamp: u32,
}

/// A flight, and the link to it.
type Linked<'f, K, L> = (L, &'f Flight<K, L>);

/// What a follower has been given.
enum Seat<T, W> {
    Nothing,
    Lead(Option<W>),
    Landed(T),
}

/// Leads a flight. Who has it ends it, in one way or another; once it is over, it is nobody's, whoever is where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket<L> {
    berth: L,
    stamp: u32,
}

/// Where a follower waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<L> {
    flight: L,
    key: Key<L>,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) flights: usize,
    pub(crate) waiting: u32,
}

/// How many places are looked through at once, at most.
const AT_ONCE: usize = 128;

/// What becomes of one who comes.
pub(crate) enum Boarded<L> {
    /// There is such a flight, and it waits.
    Follows(Place<L>),
    /// There was none: it begins one.
    Leads(Ticket<L>),
    /// There is none, nor a key for one.
    Unlisted,
    /// All waiting places are taken: so many.
    QueueFull(u32),
    /// There are as many flights as may be.
    Full,
}

/// What a follower learns.
pub(crate) enum Learnt<T, W, L> {
    /// It waits on, and is heard when there is news if its waker is the one that is known.
    Waits {
        is_heard: bool,
    },
    Landed(T),
    Leads(Ticket<L>, Option<W>),
}

/// What becomes free when somebody leaves; to be dropped outside the lock, the waker of who leads now to be woken.
pub(crate) struct Left<K, T, W> {
    pub(crate) leads: Option<Waker>,
    /// Whether who leaves has led, or was to.
    pub(crate) has_led: bool,
    /// What had landed for who leaves.
    pub(crate) landed: Option<T>,
    _rest: (Option<K>, Option<W>, Option<Waker>),
}

/// A flight that has landed.
pub(crate) struct Landed<K> {
    /// Its key, unless it was off the list before.
    pub(crate) key: Option<K>,
    /// How many wait for what it brings. If anybody does, it is over when all have it.
    pub(crate) awaited: u32,
}

impl<K, T, S: Storage, W> FlightTable<K, T, S, W> {
    pub(crate) const fn new() -> Self {
        Self { flights: Berths::new(), heads: S::Slots::EMPTY, seats: Slab::new(), waiting: 0, stamp: 0 }
    }

    /// How many are under way, listed or not, and how many wait in all.
    pub(crate) const fn len(&self) -> (usize, u32) {
        (self.flights.len(), self.waiting)
    }

    /// Whether a flight is listed.
    #[inline]
    pub(crate) fn is_listed(&self, hash: u64, is_it: impl FnMut(&K) -> bool) -> bool {
        self.find(hash, is_it).is_some()
    }

    /// Whether a flight is listed, of which only the ticket is known.
    pub(crate) fn is_kept(&mut self, ticket: Ticket<S::Link>) -> bool {
        self.flight(ticket).is_some_and(|flight| flight.key.is_some())
    }

    /// Takes a seat on a listed flight; or begins one, if its key is at hand. Of key and waker, what is not needed stays where it is.
    #[inline]
    pub(crate) fn board(
        &mut self,
        hash: u64,
        key: &mut Option<K>,
        is_it: impl FnMut(&K) -> bool,
        waker: &mut Option<Waker>,
        limits: Limits,
    ) -> Boarded<S::Link> {
        let Some(link) = self.find(hash, is_it) else {
            return match key {
                Some(_) => self.begin(hash, key, limits).map_or(Boarded::Full, Boarded::Leads),
                None => Boarded::Unlisted,
            };
        };
        if self.waiting >= limits.waiting {
            return Boarded::QueueFull(self.waiting);
        }
        // Whoever is listed is under way, and whoever comes has a waker.
        let (Some(flight), Some(given)) = (self.flights.get_mut(link), waker.take()) else { return Boarded::Unlisted };
        match self.seats.push(&mut flight.followers, Seat::Nothing, given) {
            Ok(key) => {
                self.waiting += 1;
                Boarded::Follows(Place { flight: link, key })
            }
            Err(full) => {
                *waker = Some(full.0);
                Boarded::QueueFull(self.seats.places())
            }
        }
    }

    /// Begins a flight for a key that is not listed. The key stays where it is if there are as many as may be.
    pub(crate) fn begin(&mut self, hash: u64, key: &mut Option<K>, limits: Limits) -> Option<Ticket<S::Link>> {
        if key.is_none() || self.flights.len() >= limits.flights {
            return None;
        }
        let (tag, stamp) = (Link::of_hash(hash), self.stamp.wrapping_add(1));
        let new = Flight { key: None, tag, next: None, followers: Queue::new(), has_begun: true, stamp };
        let berth = self.flights.take(new)?;
        self.stamp = stamp;
        self.grow();
        if let (Some(head), Some(flight)) = (head(&mut self.heads, tag), self.flights.get_mut(berth)) {
            (flight.key, flight.next) = (key.take(), head.replace(berth));
        }
        Some(Ticket { berth, stamp })
    }

    /// Makes more chains if there are more flights than those.
    fn grow(&mut self) {
        let flights = self.flights.places();
        if self.heads.as_slice().len() < flights {
            self.rechain(flights);
        }
    }

    #[cold]
    fn rechain(&mut self, flights: usize) {
        // In place, all the room is there from the start.
        let chains = if S::CAPACITY < usize::MAX { S::CAPACITY } else { flights.saturating_mul(4).max(16) };
        while self.heads.as_slice().len() < chains && self.heads.try_push(None).is_ok() {}
        self.heads.as_mut_slice().fill(None);
        for (link, flight) in self.flights.iter_mut().filter(|(_, flight)| flight.key.is_some()) {
            if let Some(head) = head(&mut self.heads, flight.tag) {
                flight.next = head.replace(link);
            }
        }
    }

    /// Says whether the leader of a flight has been polled.
    pub(crate) fn set_begun(&mut self, ticket: Ticket<S::Link>, has_begun: bool) {
        if let Some(flight) = self.flight(ticket) {
            flight.has_begun = has_begun;
        }
    }

    /// Asks for news.
    #[inline]
    pub(crate) fn ask(&mut self, place: Place<S::Link>, waker: &Waker) -> Learnt<T, W, S::Link> {
        match self.seats.ask(place.key, waker) {
            Asked::Waits { is_heard } => Learnt::Waits { is_heard },
            Asked::Granted(Seat::Landed(outcome)) => Learnt::Landed(outcome),
            Asked::Granted(Seat::Lead(work)) => self.leads(place, work),
            // Neither happens: nobody is granted nothing, and who has a place is known.
            Asked::Granted(Seat::Nothing) | Asked::Unknown => Learnt::Waits { is_heard: true },
        }
    }

    /// Asks for news, and is woken through that waker if there is none. A waker comes back that is not needed.
    pub(crate) fn listen(&mut self, place: Place<S::Link>, waker: Waker) -> (Learnt<T, W, S::Link>, Option<Waker>) {
        match self.seats.poll(place.key, waker) {
            Turn::Granted { payload: Seat::Landed(outcome), unused } => (Learnt::Landed(outcome), unused),
            Turn::Granted { payload: Seat::Lead(work), unused } => (self.leads(place, work), unused),
            // Nobody is granted nothing, and who has a place is known: so it waits.
            Turn::Granted { payload: Seat::Nothing, unused } | Turn::Waiting { unused } => {
                (Learnt::Waits { is_heard: true }, unused)
            }
            Turn::Unknown { unused } => (Learnt::Waits { is_heard: true }, Some(unused)),
        }
    }

    /// A follower has been granted the lead: the flight is there, since it has one who leads.
    fn leads(&mut self, place: Place<S::Link>, work: Option<W>) -> Learnt<T, W, S::Link> {
        match self.ticket(place.flight) {
            Some(ticket) => Learnt::Leads(ticket, work),
            None => Learnt::Waits { is_heard: true },
        }
    }

    /// A follower leaves, wherever it stands. If it was to lead, the next one does.
    pub(crate) fn leave(&mut self, place: Place<S::Link>) -> Left<K, T, W> {
        let mut nobody = Queue::new();
        let granted = self.seats.is_granted(place.key);
        let queue = match self.flights.get_mut(place.flight) {
            // Who has been granted something is in no queue; by now the flight may be another one's.
            Some(flight) if !granted => &mut flight.followers,
            _ => &mut nobody,
        };
        let Some(Removed { payload, granted, waker }) = self.seats.remove(queue, place.key) else { return Left::NOTHING };
        if !granted {
            self.waiting = self.waiting.saturating_sub(1);
        }
        match payload {
            Seat::Nothing => Left { _rest: (None, None, waker), ..Left::NOTHING },
            Seat::Landed(outcome) => Left { landed: Some(outcome), _rest: (None, None, waker), ..Left::NOTHING },
            // Its waker has been woken with the grant.
            Seat::Lead(work) => match self.ticket(place.flight) {
                Some(ticket) => self.abandon(ticket, work),
                None => Left::of_work(work),
            },
        }
    }

    /// A leader leaves before its flight has landed. Who waited longest leads, and goes on with the work if there is any; if nobody waits, the flight is over.
    pub(crate) fn abandon(&mut self, ticket: Ticket<S::Link>, work: Option<W>) -> Left<K, T, W> {
        let Some(flight) = self.flights.get_mut(ticket.berth).filter(|flight| flight.stamp == ticket.stamp) else {
            return Left::of_work(work);
        };
        let Some(first) = self.seats.front_mut(&flight.followers) else {
            return Left { has_led: true, _rest: (self.end(ticket.berth), work, None), ..Left::NOTHING };
        };
        *first = Seat::Lead(work);
        self.waiting = self.waiting.saturating_sub(1);
        Left { leads: self.seats.grant_front(&mut flight.followers), has_led: true, ..Left::NOTHING }
    }

    /// A flight has landed: whoever comes from now on begins another one.
    #[inline]
    pub(crate) fn land(&mut self, ticket: Ticket<S::Link>) -> Landed<K> {
        let Some(flight) = self.flight(ticket) else { return Landed { key: None, awaited: 0 } };
        let awaited = flight.followers.len();
        let key = if awaited == 0 { self.end(ticket.berth) } else { self.unlist(ticket.berth) };
        Landed { key, awaited }
    }

    /// Gives outcomes to those who have waited longest, one to each; their wakers take the outcomes' place. How many wait still: if nobody does, the flight is over.
    pub(crate) fn give<const N: usize>(
        &mut self,
        ticket: Ticket<S::Link>,
        outcomes: &mut heapless::Vec<T, N>,
        wakers: &mut heapless::Vec<Waker, N>,
    ) -> u32 {
        let Some(flight) = self.flights.get_mut(ticket.berth).filter(|flight| flight.stamp == ticket.stamp) else { return 0 };
        while let Some(first) = self.seats.front_mut(&flight.followers) {
            let Some(outcome) = outcomes.pop() else { return flight.followers.len() };
            *first = Seat::Landed(outcome);
            self.waiting = self.waiting.saturating_sub(1);
            // There is room for as many as there were outcomes.
            let _full = self.seats.grant_front(&mut flight.followers).map(|waker| wakers.push(waker));
        }
        self.flights.vacate(ticket.berth);
        0
    }

    /// Takes the flight of a key off the list. Its key comes back.
    pub(crate) fn forget(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) -> Option<K> {
        let link = self.find(hash, is_it)?;
        self.dismiss(link)
    }

    /// As [`forget`](Self::forget), if its leader has not been polled.
    pub(crate) fn take_over(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) -> Option<K> {
        let link = self.find(hash, is_it)?;
        if self.flights.get_mut(link)?.has_begun { None } else { self.end(link) }
    }

    /// Takes the next flight off the list, from a place on. Its key comes back, if there was one among those that are looked at once; and where to go on.
    pub(crate) fn forget_from(&mut self, place: usize) -> Option<(Option<K>, usize)> {
        let end = self.flights.places().min(place.saturating_add(AT_ONCE));
        for place in place..end {
            if let Some(key) = Link::new(place).and_then(|berth| self.dismiss(berth)) {
                return Some((Some(key), place + 1));
            }
        }
        (place < end).then_some((None, end))
    }

    /// Where a flight is that is listed.
    #[inline]
    fn find(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<S::Link> {
        // Mostly nothing is under way.
        if self.flights.len() == 0 {
            return None;
        }
        let (tag, heads) = (Link::of_hash(hash), self.heads.as_slice());
        let mut next = *heads.get(S::Link::place(tag, heads.len()))?;
        while let Some((link, flight)) = self.tagged(tag, next) {
            if flight.key.as_ref().is_some_and(&mut is_it) {
                return Some(link);
            }
            next = flight.next;
        }
        None
    }

    /// The next one with this tag in a chain.
    // On small machines it is not stamped out with whatever is looked for.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn tagged(&self, tag: S::Link, mut next: Option<S::Link>) -> Option<Linked<'_, K, S::Link>> {
        while let Some(link) = next {
            let flight = self.flights.get(link)?;
            if flight.tag == tag {
                return Some((link, flight));
            }
            next = flight.next;
        }
        None
    }

    /// A flight that is not over.
    #[inline]
    fn flight(&mut self, ticket: Ticket<S::Link>) -> Option<&mut Flight<K, S::Link>> {
        self.flights.get_mut(ticket.berth).filter(|flight| flight.stamp == ticket.stamp)
    }

    /// Of the flight that is there now.
    fn ticket(&mut self, berth: S::Link) -> Option<Ticket<S::Link>> {
        self.flights.get_mut(berth).map(|flight| Ticket { berth, stamp: flight.stamp })
    }

    /// A flight is over, for which nobody waits. Its key comes back, if it was listed.
    fn end(&mut self, berth: S::Link) -> Option<K> {
        let key = self.unlist(berth);
        self.flights.vacate(berth);
        key
    }

    /// Takes a flight off the list. If its leader has not been polled, nobody waits, nobody can find it any more to take it over, and so it is over.
    fn dismiss(&mut self, berth: S::Link) -> Option<K> {
        if self.flights.get_mut(berth)?.has_begun { self.unlist(berth) } else { self.end(berth) }
    }

    fn unlist(&mut self, berth: S::Link) -> Option<K> {
        let flight = self.flights.get_mut(berth)?;
        let (key, tag, next) = (flight.key.take()?, flight.tag, flight.next);
        let mut before = None;
        if let Some(head) = head(&mut self.heads, tag) {
            if *head == Some(berth) {
                *head = next;
                return Some(key);
            }
            before = *head;
        }
        while let Some(flight) = before.and_then(|before| self.flights.get_mut(before)) {
            if flight.next == Some(berth) {
                flight.next = next;
                break;
            }
            before = flight.next;
        }
        Some(key)
    }
}

/// Where the chain of a tag begins.
#[inline]
fn head<L: Link, S: Slots<Option<L>>>(heads: &mut S, tag: L) -> Option<&mut Option<L>> {
    let heads = heads.as_mut_slice();
    heads.get_mut(tag.place(heads.len()))
}

impl<K, T, W> Left<K, T, W> {
    const NOTHING: Self = Self { leads: None, has_led: false, landed: None, _rest: (None, None, None) };

    fn of_work(work: Option<W>) -> Self {
        Self { has_led: true, _rest: (None, work, None), ..Self::NOTHING }
    }
}

#[cfg(test)]
mod tests;
