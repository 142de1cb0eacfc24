use core::task::Waker;

use super::event::Cause;
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
    },
    Ended(T),
}

struct Waiting<I> {
    /// It is always there, between one lock and the next.
    item: Option<I>,
    weight: u32,
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
pub(super) struct Started<B, L> {
    pub(super) ticket: Ticket<L>,
    pub(super) items: B,
    pub(super) cause: Cause,
    /// The leader's own, to be dropped outside the lock.
    _unused: Option<Waker>,
}

/// What a caller is told.
pub(super) enum News<T, B, L> {
    Starts(Started<B, L>),
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

type NewsOf<I, T, S> = News<T, <S as Storage>::Slots<I>, <S as Storage>::Link>;

/// A caller that has come: where it sits, what it is told, and who is to be woken.
pub(super) type Entered<I, T, S> = (Key<<S as Storage>::Link>, NewsOf<I, T, S>, Option<Waker>);

/// When to look again, or the batch that has started.
type Looked<I, S> = Result<Instant, Started<<S as Storage>::Slots<I>, <S as Storage>::Link>>;

/// There is no place, and so many wait. The waker comes back.
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
        since: Instant,
        waker: Waker,
    ) -> Result<Entered<I, T, S>, Full> {
        let waiting = self.line.len();
        if waiting >= terms.max_waiting {
            return Err(Full(waiting, waker));
        }
        let number = self.came.wrapping_add(1);
        let waits = Seat::Waits(Waiting { item: None, weight, arrival: Arrival::New { number, since } });
        let key = self.seats.push(&mut self.line, waits, waker).map_err(|full| Full(waiting, full.0))?;
        if let Some(Seat::Waits(waits)) = self.seats.get_mut(key) {
            waits.item = item.take();
        }
        self.came = number;
        self.weight = self.weight.saturating_add(weight.into());
        let (news, looks) = match self.due(terms) {
            Some(cause) if self.has_room(terms) && self.is_one_batch(terms) => {
                let started = self.start(terms, key, cause);
                (started.map_or(News::Waits, News::Starts), None)
            }
            // It is in none of the batches that could start: the first in the line is in the next one.
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

    /// A batch is over, and all have their results. Who is to look at the line now.
    pub(super) fn end(&mut self, terms: &Terms, ticket: Ticket<S::Link>) -> Option<Waker> {
        let was_full = !self.has_room(terms);
        self.running.vacate(ticket.batch);
        if was_full { self.first_waker() } else { None }
    }

    /// A leader leaves before its batch has ended, and hands the items back: those who still wait for them come first in the line, and go at once. How many there are, and who is to look at the line now.
    pub(super) fn hand_back(
        &mut self,
        terms: &Terms,
        ticket: Ticket<S::Link>,
        mut take: impl FnMut(u32) -> Option<I>,
    ) -> (u32, Option<Waker>) {
        let Some(members) = self.running.get_mut(ticket.batch).copied() else { return (0, None) };
        let mut more: u64 = 0;
        self.seats.for_each(&members, |seat| {
            if let Seat::Runs { index, weight, .. } = *seat {
                more = more.saturating_add(weight.into());
                *seat = Seat::Waits(Waiting { item: take(index), weight, arrival: Arrival::Again });
            }
        });
        self.weight = self.weight.saturating_add(more);
        self.seats.prepend(&mut self.line, members);
        let looks = self.end(terms, ticket);
        (members.len(), if members.is_empty() { looks } else { looks.or_else(|| self.first_waker()) })
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
    fn start(&mut self, terms: &Terms, leader: Key<S::Link>, cause: Cause) -> Option<Started<S::Slots<I>, S::Link>> {
        let batch = self.running.take(Queue::new())?;
        let (mut members, mut unused) = (Queue::new(), None);
        let mut ticket = Ticket { batch, index: 0, items: 0 };
        let (mut items, mut heavy) = (<S::Slots<I> as Slots<I>>::EMPTY, 0_u64);
        items.reserve(usize::try_from(self.line.len().min(terms.max_items)).unwrap_or(0));
        while let Some(Seat::Waits(first)) = self.seats.front_mut(&self.line) {
            let (weight, is_full) = (first.weight, ticket.items >= terms.max_items);
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
                *first = Seat::Runs { batch, index, weight };
                self.seats.move_front(&mut self.line, &mut members);
            }
        }
        if let Some(place) = self.running.get_mut(batch) {
            *place = members;
        }
        Some(Started { ticket, items, cause, _unused: unused })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::task::Waker;
    use std::{format, vec::Vec};

    use super::{Full, Left, Machine, News, Started, Terms, Ticket};
    use crate::storage::{Inline, Storage};
    use crate::sync::wait_list::Key;
    use crate::time::{Instant, ms, nanos};

    type Here = Inline<4>;
    type Link = <Here as Storage>::Link;

    const TERMS: Terms =
        Terms { max_items: 3, max_weight: 10, max_wait: nanos(ms(100)), max_waiting: 4, max_concurrent: u32::MAX };

    /// A machine, and who sits where in it. Callers are known by their items; a batch, by who leads it.
    struct Desk {
        machine: Machine<u32, u32, Here>,
        terms: Terms,
        seats: BTreeMap<u32, Key<Link>>,
        led: BTreeMap<u32, (Ticket<Link>, Vec<u32>)>,
    }

    impl Desk {
        fn new(terms: Terms) -> Self {
            Self { machine: Machine::new(), terms, seats: BTreeMap::new(), led: BTreeMap::new() }
        }

        fn tell(&mut self, caller: u32, news: News<u32, <Here as Storage>::Slots<u32>, Link>) -> String {
            match news {
                News::Starts(started) => self.start(caller, started),
                News::Looks => "looks".to_string(),
                News::Waits => "waits".to_string(),
                News::Ended(outcome) => {
                    self.seats.remove(&caller);
                    format!("has {outcome}")
                }
            }
        }

        fn start(&mut self, caller: u32, started: Started<<Here as Storage>::Slots<u32>, Link>) -> String {
            let Started { ticket, items, cause, .. } = started;
            let items: Vec<u32> = items.into_iter().collect();
            assert_eq!(items.len(), usize::try_from(ticket.items).unwrap_or(usize::MAX));
            assert_eq!(items.get(usize::try_from(ticket.index).unwrap_or(usize::MAX)), Some(&caller), "its own item");
            self.seats.remove(&caller);
            let told = format!("starts {items:?}: {cause:?}");
            self.led.insert(caller, (ticket, items));
            told
        }

        fn enter(&mut self, caller: u32, weight: u32, at: u64) -> String {
            let mut item = Some(caller);
            let since = Instant::ORIGIN + ms(at);
            match self.machine.enter(&self.terms, &mut item, weight, since, Waker::noop().clone()) {
                Ok((key, news, looks)) => {
                    self.seats.insert(caller, key);
                    let told = self.tell(caller, news);
                    if looks.is_some() { format!("{told}, the first looks") } else { told }
                }
                Err(Full(waiting, _)) => format!("full: {waiting}"),
            }
        }

        /// Those come, one after the other.
        fn come(&mut self, callers: &[u32]) -> Vec<String> {
            callers.iter().map(|caller| self.enter(*caller, 1, 0)).collect()
        }

        fn ask(&mut self, caller: u32) -> String {
            let Some(key) = self.seats.get(&caller) else { return "has no seat".to_string() };
            let (news, _unused, _looks) = self.machine.ask(&self.terms, *key, Waker::noop().clone());
            self.tell(caller, news)
        }

        fn look(&mut self, caller: u32, at: u64) -> String {
            let Some(key) = self.seats.get(&caller) else { return "has no seat".to_string() };
            match self.machine.look(&self.terms, *key, Instant::ORIGIN + ms(at)).0 {
                Ok(Instant::MAX) => "never".to_string(),
                Ok(until) => format!("at {}", until.as_nanos() / 1_000_000),
                Err(started) => self.start(caller, started),
            }
        }

        /// Whether another one is to look at the line now.
        fn leave(&mut self, caller: u32) -> bool {
            let Some(key) = self.seats.remove(&caller) else { return false };
            let Left { looks, .. } = self.machine.leave(key);
            looks.is_some()
        }

        /// The batch of that leader ends, with ten times each item. Whether the first in the line is to look now.
        fn end(&mut self, leader: u32) -> bool {
            let Some((ticket, items)) = self.led.remove(&leader) else { return false };
            let mut outcomes: heapless::Vec<_, 4> = items.iter().map(|item| Some(10 * item)).collect();
            let mut wakers = heapless::Vec::<Waker, 4>::new();
            if let Some(own) = outcomes.get_mut(usize::try_from(ticket.index).unwrap_or(usize::MAX)) {
                *own = None;
            }
            self.machine.give(ticket, 0, &mut outcomes, &mut wakers);
            self.machine.end(&self.terms, ticket).is_some()
        }

        /// The leader leaves, and hands its items back. How many wait for another start.
        fn hand_back(&mut self, leader: u32) -> u32 {
            let Some((ticket, items)) = self.led.remove(&leader) else { return 0 };
            let take = |index| items.get(usize::try_from(index).unwrap_or(usize::MAX)).copied();
            self.machine.hand_back(&self.terms, ticket, take).0
        }
    }

    #[test]
    fn whoever_fills_a_batch_starts_it() {
        let mut desk = Desk::new(TERMS);
        assert_eq!(desk.come(&[1, 2, 3, 4]), ["looks", "waits", "starts [1, 2, 3]: Count", "looks"]);
        assert_eq!(desk.machine.counts(), (1, 1));
    }

    #[test]
    fn what_no_longer_fits_begins_the_next_batch() {
        let mut desk = Desk::new(TERMS);
        assert_eq!(desk.enter(1, 4, 0), "looks");
        assert_eq!(desk.enter(2, 6, 0), "starts [1, 2]: Weight", "as heavy as may be");
        assert_eq!(desk.enter(3, 4, 0), "looks");
        assert_eq!(desk.enter(4, 7, 0), "waits, the first looks");
        assert_eq!((desk.ask(3), desk.ask(4)), ("starts [3]: Weight".to_string(), "looks".to_string()));
        assert_eq!(desk.enter(5, 3, 0), "starts [4, 5]: Weight");
        assert_eq!(desk.enter(6, 99, 0), "starts [6]: Weight", "alone, if it is too heavy for any");
    }

    #[test]
    fn a_look_that_comes_early_is_harmless_and_a_late_one_only_late() {
        let mut desk = Desk::new(TERMS);
        assert_eq!(desk.enter(1, 1, 10), "looks");
        assert_eq!(desk.enter(2, 1, 60), "waits");
        assert_eq!((desk.look(1, 50), desk.look(1, 109)), ("at 110".to_string(), "at 110".to_string()));
        assert_eq!(desk.look(2, 500), "never", "it is not the first");
        assert_eq!(desk.look(1, 110), "starts [1, 2]: Time");
        assert_eq!(desk.enter(3, 1, 200), "looks");
        assert_eq!(desk.look(3, 9_000), "starts [3]: Time");
    }

    #[test]
    fn time_that_ran_backwards_is_no_time() {
        let mut desk = Desk::new(TERMS);
        assert_eq!(desk.enter(1, 1, 1_000), "looks");
        assert_eq!((desk.look(1, 20), desk.look(1, 119)), ("at 120".to_string(), "at 120".to_string()));
        assert_eq!(desk.look(1, 120), "starts [1]: Time");
    }

    #[test]
    fn who_leaves_takes_its_item_and_the_next_one_looks() {
        let mut desk = Desk::new(TERMS);
        desk.come(&[1, 2]);
        assert!(!desk.leave(2), "it was not the first");
        assert_eq!(desk.enter(3, 1, 0), "waits");
        assert!(desk.leave(1));
        assert_eq!((desk.ask(3), desk.look(3, 100)), ("looks".to_string(), "starts [3]: Time".to_string()));
        assert_eq!(desk.machine.counts(), (0, 1));
    }

    #[test]
    fn a_flush_starts_what_has_come_by_then() {
        let mut desk = Desk::new(TERMS);
        assert!(!desk.machine.flush().0, "nobody waits");
        desk.come(&[1, 2]);
        let (waits, looks) = desk.machine.flush();
        assert!(waits && looks.is_some());
        assert_eq!(desk.ask(1), "starts [1, 2]: Flush");
        assert_eq!(desk.enter(3, 1, 0), "looks", "it has come later");
    }

    #[test]
    fn what_comes_while_there_is_no_room_is_collected() {
        let mut desk = Desk::new(Terms { max_concurrent: 1, ..TERMS });
        desk.come(&[1, 2, 3]);
        assert_eq!(
            desk.come(&[4, 5, 6, 7, 8]),
            ["looks", "waits", "full: 2", "full: 2", "full: 2"],
            "two have their seats still"
        );
        assert_eq!((desk.ask(4), desk.look(4, 900)), ("waits".to_string(), "never".to_string()));
        assert!(desk.end(3));
        assert_eq!((desk.ask(1), desk.ask(2)), ("has 10".to_string(), "has 20".to_string()));
        assert_eq!(desk.look(4, 900), "starts [4, 5]: Time");
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut desk = Desk::new(Terms { max_items: 2, max_waiting: 2, max_concurrent: 1, ..TERMS });
        assert_eq!(desk.come(&[1, 2, 3, 4, 5]), ["looks", "starts [1, 2]: Count", "looks", "waits", "full: 2"]);
    }

    #[test]
    fn who_has_left_has_no_result_and_the_others_have_their_own() {
        let mut desk = Desk::new(TERMS);
        desk.come(&[1, 2, 3]);
        assert!(!desk.leave(1));
        assert!(!desk.end(3), "there was room all the time");
        assert_eq!((desk.ask(2), desk.ask(2)), ("has 20".to_string(), "has no seat".to_string()));
        assert_eq!(desk.machine.counts(), (0, 0));
    }

    #[test]
    fn what_is_handed_back_comes_first_and_goes_at_once() {
        let mut desk = Desk::new(TERMS);
        desk.come(&[1, 2, 3]);
        assert_eq!(desk.enter(4, 1, 0), "looks");
        assert_eq!(desk.hand_back(3), 2);
        assert_eq!(desk.machine.counts(), (3, 0));
        assert_eq!((desk.ask(2), desk.ask(4)), ("waits".to_string(), "waits".to_string()));
        assert_eq!(desk.ask(1), "starts [1, 2, 4]: Handover");
        assert!(!desk.leave(4), "its item is under way");
        assert_eq!(desk.hand_back(1), 1);
        assert_eq!(desk.ask(2), "starts [2]: Handover");
    }

    #[test]
    fn what_is_given_up_ends_for_all_who_are_in_it() {
        let mut desk = Desk::new(TERMS);
        desk.come(&[1, 2, 3]);
        let (ticket, _) = desk.led.remove(&3).unwrap_or_else(|| unreachable!());
        assert_eq!(desk.machine.remaining(ticket), 2);
        for _ in 0..3 {
            let _ = desk.machine.give_up(ticket, 0);
        }
        assert_eq!(desk.machine.remaining(ticket), 0);
        assert_eq!((desk.ask(1), desk.ask(2)), ("has 0".to_string(), "has 0".to_string()));
    }
}
