use core::task::Waker;

use super::event::Cause;
use super::keep::CloneOf;
use crate::storage::{Slots, Storage};
use crate::sync::flights::Berths;
use crate::sync::wait_list::{Key, Queue, Removed, Slab, Turn};
use crate::time::Instant;

/// By which rules batches are made.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "they are the names of settings")]
pub(super) struct Terms {
    pub(super) max_items: u32,
    pub(super) max_weight: u64,
    /// Nanoseconds.
    pub(super) max_wait: u64,
    pub(super) max_waiting: u32,
    pub(super) max_concurrent: u32,
}

/// The line of those who wait for a start, and the batches under way; `T` is what a caller ends with.
///
/// The first in the line looks at the time, for all: there is one timer. Whoever starts a batch, the first or the one that fills it, leaves its seat, and leads; the others keep theirs until they have their results.
pub(super) struct Machine<I, T, S: Storage> {
    line: Queue<S::Link>,
    /// Of the line.
    weight: u64,
    running: Berths<Queue<S::Link>, S>,
    seats: Slab<Seat<I, T, S::Link>, S>,
    /// How many have come.
    came: u64,
    /// So many of them, the first ones, go at once.
    flushed: u64,
}

enum Seat<I, T, L> {
    /// For a start.
    Waits(Waiting<I>),
    /// For a result.
    Runs {
        batch: L,
        index: u32,
        weight: u32,
        clone: Option<CloneOf<I>>,
    },
    Ended(T),
}

struct Waiting<I> {
    /// It is always there, between one lock and the next.
    item: Option<I>,
    weight: u32,
    /// If it may be started again.
    clone: Option<CloneOf<I>>,
    arrival: Arrival,
}

#[derive(Clone, Copy)]
enum Arrival {
    New {
        number: u64,
        since: Instant,
    },
    /// It was in a batch already, whose leader has left.
    Again,
}

/// Leads a batch. Who has it ends it, in one way or another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket<L> {
    batch: L,
    /// Which of the items is the leader's own.
    pub(super) index: u32,
    pub(super) items: u32,
}

/// A batch that has started.
pub(super) struct Started<I, B, L> {
    pub(super) ticket: Ticket<L>,
    pub(super) items: B,
    /// If one that is not the leader's may be started again.
    pub(super) clone: Option<CloneOf<I>>,
    pub(super) cause: Cause,
    /// The leader's own, to be dropped outside the lock.
    _unused: Option<Waker>,
}

/// What a caller is told.
pub(super) enum News<I, T, B, L> {
    Starts(Started<I, B, L>),
    /// It looks at the time.
    Looks,
    /// It is woken.
    Waits,
    Ended(T),
}

/// What becomes free when somebody leaves, to be dropped outside the lock; and who is to look at the line now.
pub(super) struct Left<I, T, L> {
    pub(super) looks: Option<Waker>,
    _rest: Option<Removed<Seat<I, T, L>>>,
}

type NewsOf<I, T, S> = News<I, T, <S as Storage>::Slots<I>, <S as Storage>::Link>;
type StartedOf<I, S> = Started<I, <S as Storage>::Slots<I>, <S as Storage>::Link>;

/// A caller that has come: where it sits, what it is told, and who is to be woken.
pub(super) type Entered<I, T, S> = (Key<<S as Storage>::Link>, NewsOf<I, T, S>, Option<Waker>);

/// When to look again, or the batch that has started.
type Looked<I, S> = Result<Instant, StartedOf<I, S>>;

/// There is no place, and so many wait, or have all that there are. The waker comes back.
pub(super) struct Full(pub(super) u32, pub(super) Waker);

impl<I, T, S: Storage> Machine<I, T, S> {
    pub(super) const fn new() -> Self {
        Self { line: Queue::new(), weight: 0, running: Berths::new(), seats: Slab::new(), came: 0, flushed: 0 }
    }

    /// How many wait for a start, and how many batches are under way.
    pub(super) const fn counts(&self) -> (u32, usize) {
        (self.line.len(), self.running.len())
    }

    /// A caller comes. If there is a place, its item is taken.
    pub(super) fn enter(
        &mut self,
        terms: &Terms,
        item: &mut Option<I>,
        weight: u32,
        clone: Option<CloneOf<I>>,
        since: Instant,
        waker: Waker,
    ) -> Result<Entered<I, T, S>, Full> {
        let waiting = self.line.len();
        if waiting >= terms.max_waiting {
            return Err(Full(waiting, waker));
        }
        let number = self.came.wrapping_add(1);
        let waits = Seat::Waits(Waiting { item: None, weight, clone, arrival: Arrival::New { number, since } });
        let key = match self.seats.push(&mut self.line, waits, waker) {
            Ok(key) => key,
            Err(full) => return Err(Full(self.seats.places(), full.0)),
        };
        if let Some(Seat::Waits(waits)) = self.seats.get_mut(key) {
            waits.item = item.take();
        }
        self.came = number;
        self.weight = self.weight.saturating_add(weight.into());
        let (news, looks) = match self.due(terms) {
            // What was handed back is for the first in the line, who has been told.
            Some(cause) if cause != Cause::Handover && self.has_room(terms) && self.is_one_batch(terms) => {
                let started = self.start(terms, key, cause);
                (started.map_or(News::Waits, News::Starts), None)
            }
            // It starts none itself: the first in the line does, of the next batch.
            Some(_) if self.has_room(terms) => (News::Waits, self.first_waker()),
            None if waiting == 0 => (News::Looks, None),
            Some(_) | None => (News::Waits, None),
        };
        Ok((key, news, looks))
    }

    /// Asks for news, and is woken through that waker if there is none. A waker comes back that is not needed, and that of whoever is to look at the line now.
    pub(super) fn ask(
        &mut self,
        terms: &Terms,
        key: Key<S::Link>,
        waker: Waker,
    ) -> (NewsOf<I, T, S>, Option<Waker>, Option<Waker>) {
        let unused = match self.seats.poll(key, waker) {
            Turn::Granted { payload: Seat::Ended(outcome), unused } => return (News::Ended(outcome), unused, None),
            Turn::Waiting { unused } | Turn::Granted { unused, .. } => unused,
            // Neither happens: nobody is granted anything else, and who has a seat is known.
            Turn::Unknown { unused } => Some(unused),
        };
        if !self.seats.is_front(&self.line, key) || !self.has_room(terms) {
            return (News::Waits, unused, None);
        }
        let at_once = (terms.max_wait == 0).then_some(Cause::Time);
        let Some(cause) = self.due(terms).or(at_once) else { return (News::Looks, unused, None) };
        let started = self.start(terms, key, cause);
        (started.map_or(News::Waits, News::Starts), unused, self.first_waker())
    }

    /// A caller looks at the time. When it is to look again, if it is still the first in the line; or its batch starts.
    pub(super) fn look(&mut self, terms: &Terms, key: Key<S::Link>, now: Instant) -> (Looked<I, S>, Option<Waker>) {
        if !self.seats.is_front(&self.line, key) || !self.has_room(terms) {
            return (Ok(Instant::MAX), None);
        }
        let Some(Seat::Waits(Waiting { arrival: Arrival::New { since, .. }, .. })) = self.seats.front_mut(&self.line) else {
            return (Ok(Instant::MAX), None);
        };
        // Time that ran backwards is no time.
        *since = now.min(*since);
        let until = since.saturating_add_nanos(terms.max_wait);
        if until.is_never() || now < until {
            return (Ok(until), None);
        }
        match self.start(terms, key, Cause::Time) {
            Some(started) => (Err(started), self.first_waker()),
            None => (Ok(Instant::MAX), None),
        }
    }

    /// All who wait go at once, as soon as there is room for them. Whether there is anybody, and who is to be woken.
    pub(super) fn flush(&mut self) -> (bool, Option<Waker>) {
        self.flushed = self.came;
        (!self.line.is_empty(), self.first_waker())
    }

    /// A caller leaves that has a seat.
    pub(super) fn leave(&mut self, key: Key<S::Link>) -> Left<I, T, S::Link> {
        let was_first = self.seats.is_front(&self.line, key);
        let removed = match self.seats.get_mut(key) {
            Some(Seat::Waits(Waiting { weight, .. })) => {
                self.weight = self.weight.saturating_sub((*weight).into());
                self.seats.remove(&mut self.line, key)
            }
            Some(Seat::Runs { batch, .. }) => {
                let batch = *batch;
                self.running.get_mut(batch).and_then(|members| self.seats.remove(members, key))
            }
            // It is in no queue any more.
            Some(Seat::Ended(_)) => self.seats.remove(&mut Queue::new(), key),
            None => None,
        };
        let looks = if was_first { self.first_waker() } else { None };
        Left { looks, _rest: removed }
    }

    /// Gives outcomes to those whose items are the ones from `first` on; their wakers take the outcomes' place. What remains is that of callers who have left.
    pub(super) fn give<const N: usize>(
        &mut self,
        ticket: Ticket<S::Link>,
        first: u32,
        outcomes: &mut heapless::Vec<Option<T>, N>,
        wakers: &mut heapless::Vec<Waker, N>,
    ) {
        let Some(members) = self.running.get_mut(ticket.batch) else { return };
        for (index, outcome) in (first..).zip(outcomes) {
            // If it is not the first one's, its caller has left.
            let Some(seat) = self.seats.front_mut(members) else { return };
            if !matches!(*seat, Seat::Runs { index: its, .. } if its == index) {
                continue;
            }
            let Some(outcome) = outcome.take() else { continue };
            *seat = Seat::Ended(outcome);
            // There is room for as many as there are outcomes.
            let _full = self.seats.grant_front(members).map(|waker| wakers.push(waker));
        }
    }

    /// A leader leaves before its batch has ended, and hands back the items that it has kept and that may be started again: those who still wait for them come first in the line, and go at once. How many there are.
    pub(super) fn hand_back(&mut self, ticket: Ticket<S::Link>, mut take: impl FnMut(u32) -> Option<I>) -> u32 {
        let Some(members) = self.running.get_mut(ticket.batch) else { return 0 };
        let (mut again, mut more) = (Queue::new(), 0_u64);
        self.seats.move_where(members, &mut again, |seat| {
            let Seat::Runs { index, weight, clone: clone @ Some(_), .. } = *seat else { return false };
            let item @ Some(_) = take(index) else { return false };
            more = more.saturating_add(weight.into());
            *seat = Seat::Waits(Waiting { item, weight, clone, arrival: Arrival::Again });
            true
        });
        self.weight = self.weight.saturating_add(more);
        let items = again.len();
        self.seats.prepend(&mut self.line, again);
        items
    }

    /// Who of a batch has no result yet.
    pub(super) fn remaining(&mut self, ticket: Ticket<S::Link>) -> u32 {
        self.running.get_mut(ticket.batch).map_or(0, |members| members.len())
    }

    /// Gives the first of those who have none yet an outcome, whichever item is its own.
    pub(super) fn give_up(&mut self, ticket: Ticket<S::Link>, outcome: T) -> (Option<Waker>, Option<T>) {
        let Some(members) = self.running.get_mut(ticket.batch) else { return (None, Some(outcome)) };
        let Some(seat) = self.seats.front_mut(members) else { return (None, Some(outcome)) };
        *seat = Seat::Ended(outcome);
        (self.seats.grant_front(members), None)
    }

    /// A batch is over, and nobody is in it any more. Who is to look at the line now.
    pub(super) fn end(&mut self, terms: &Terms, ticket: Ticket<S::Link>) -> Option<Waker> {
        let was_full = !self.has_room(terms);
        self.running.vacate(ticket.batch);
        if was_full || self.due(terms) == Some(Cause::Handover) { self.first_waker() } else { None }
    }

    /// Why the first in the line may start, whatever the time.
    fn due(&self, terms: &Terms) -> Option<Cause> {
        let Some(Seat::Waits(first)) = self.seats.front(&self.line) else { return None };
        match first.arrival {
            Arrival::Again => Some(Cause::Handover),
            Arrival::New { number, .. } if number <= self.flushed => Some(Cause::Flush),
            Arrival::New { .. } if self.line.len() >= terms.max_items => Some(Cause::Count),
            Arrival::New { .. } if self.weight >= terms.max_weight => Some(Cause::Weight),
            Arrival::New { .. } => None,
        }
    }

    /// Whether one more batch may be under way.
    fn has_room(&self, terms: &Terms) -> bool {
        let most = usize::try_from(terms.max_concurrent).unwrap_or(usize::MAX).min(S::CAPACITY);
        self.running.len() < most
    }

    /// Whether all who wait go into one batch.
    fn is_one_batch(&self, terms: &Terms) -> bool {
        self.line.len() == 1 || (self.line.len() <= terms.max_items && self.weight <= terms.max_weight)
    }

    fn first_waker(&mut self) -> Option<Waker> {
        self.seats.take_front_waker(&self.line)
    }

    /// Takes as many as go into one batch from the front of the line. One of them leads.
    fn start(&mut self, terms: &Terms, leader: Key<S::Link>, cause: Cause) -> Option<StartedOf<I, S>> {
        let batch = self.running.take(Queue::new())?;
        let (mut members, mut unused, mut any_clone) = (Queue::new(), None, None);
        let mut ticket = Ticket { batch, index: 0, items: 0 };
        let (mut items, mut heavy) = (<S::Slots<I> as Slots<I>>::EMPTY, 0_u64);
        items.reserve(usize::try_from(self.line.len().min(terms.max_items)).unwrap_or(0));
        while let Some(Seat::Waits(first)) = self.seats.front_mut(&self.line) {
            let (weight, clone, is_full) = (first.weight, first.clone, ticket.items >= terms.max_items);
            heavy = heavy.saturating_add(weight.into());
            if ticket.items > 0 && (is_full || heavy > terms.max_weight) {
                break;
            }
            // There is room for as many as may be in a batch.
            let _full = first.item.take().map(|item| items.try_push(item));
            self.weight = self.weight.saturating_sub(weight.into());
            let index = ticket.items;
            ticket.items = ticket.items.saturating_add(1);
            if self.seats.is_front(&self.line, leader) {
                ticket.index = index;
                unused = self.seats.pop_front(&mut self.line).and_then(|removed| removed.waker);
            } else if let Some(first) = self.seats.front_mut(&self.line) {
                *first = Seat::Runs { batch, index, weight, clone };
                any_clone = any_clone.or(clone);
                self.seats.move_front(&mut self.line, &mut members);
            }
        }
        if let Some(place) = self.running.get_mut(batch) {
            *place = members;
        }
        Some(Started { ticket, items, clone: any_clone, cause, _unused: unused })
    }
}

#[cfg(test)]
mod tests;
