extern crate std;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::task::Waker;
use std::{format, vec::Vec};

use super::{Full, Left, Machine, News, Started, Terms, Ticket};
use crate::batcher::keep::{Again, CloneOf, Keep, Once};
use crate::storage::{Inline, Storage};
use crate::sync::wait_list::Key;
use crate::time::{Instant, ms, nanos};

type Here = Inline<4>;
type Link = <Here as Storage>::Link;

const TERMS: Terms = Terms { max_items: 3, max_weight: 10, max_wait: nanos(ms(100)), max_waiting: 4, max_concurrent: u32::MAX };

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

    fn tell(&mut self, caller: u32, news: News<u32, u32, <Here as Storage>::Slots<u32>, Link>) -> String {
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

    fn start(&mut self, caller: u32, started: Started<u32, <Here as Storage>::Slots<u32>, Link>) -> String {
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
        self.enter_by(Again::CLONE, caller, weight, at)
    }

    /// The same, of one whose item may go but once.
    fn enter_once(&mut self, caller: u32) -> String {
        self.enter_by(Once::CLONE, caller, 1, 0)
    }

    fn enter_by(&mut self, clone: Option<CloneOf<u32>>, caller: u32, weight: u32, at: u64) -> String {
        let mut item = Some(caller);
        let since = Instant::ORIGIN + ms(at);
        match self.machine.enter(&self.terms, &mut item, weight, clone, since, Waker::noop().clone()) {
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

    /// The leader leaves, and hands its items back, but for those that may go but once: they have nothing. How many wait for another start.
    fn hand_back(&mut self, leader: u32) -> u32 {
        let Some((ticket, items)) = self.led.remove(&leader) else { return 0 };
        let take = |index| items.get(usize::try_from(index).unwrap_or(usize::MAX)).copied();
        let again = self.machine.hand_back(ticket, take);
        for _ in 0..self.machine.remaining(ticket) {
            let _ = self.machine.give_up(ticket, 0);
        }
        let _looks = self.machine.end(&self.terms, ticket);
        again
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
    assert_eq!(desk.come(&[4, 5, 6, 7, 8]), ["looks", "waits", "full: 4", "full: 4", "full: 4"], "two have their seats still");
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
fn what_may_go_but_once_is_not_handed_back() {
    let mut desk = Desk::new(TERMS);
    assert_eq!((desk.enter(1, 1, 0), desk.enter_once(2)), ("looks".to_string(), "waits".to_string()));
    assert_eq!(desk.enter(3, 1, 0), "starts [1, 2, 3]: Count");
    assert_eq!(desk.hand_back(3), 1);
    assert_eq!((desk.ask(2), desk.ask(1)), ("has 0".to_string(), "starts [1]: Handover".to_string()));
    assert_eq!(desk.machine.counts(), (0, 1));
}

#[test]
fn a_newcomer_does_not_take_what_was_handed_back() {
    let mut desk = Desk::new(TERMS);
    desk.come(&[1, 2, 3]);
    assert_eq!(desk.hand_back(3), 2);
    assert_eq!(desk.enter(4, 1, 0), "waits");
    assert_eq!(desk.ask(1), "starts [1, 2, 4]: Handover");
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
