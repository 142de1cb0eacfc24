extern crate std;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::vec::Vec;

use aplomb_sim::{Explore, Sim};

use super::*;
use crate::storage::Inline;

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "it is woken once");
    }
}

/// Few hashes, so that many keys collide.
fn hash(key: u32) -> u64 {
    u64::from(key % 2) << 62
}

/// What has been given to a follower that has not learnt of it.
enum Grant {
    Lead(Option<Rc<()>>),
    Landed(Rc<u32>),
}

enum Part<L> {
    Leads(Ticket<L>),
    Waits(Place<L>),
    Granted(Place<L>, Grant),
}

struct Caller<L> {
    part: Part<L>,
    flight: usize,
    flag: Arc<Flag>,
    /// What is known to the table.
    waker: Waker,
}

struct Flown<L> {
    key: u32,
    is_listed: bool,
    /// Of one that has landed: what it gives out.
    landed: Option<(Ticket<L>, Rc<u32>)>,
    waiting: VecDeque<usize>,
    is_over: bool,
}

/// A table, and what it is, slow and obvious. Whatever it gives is counted.
struct Play<S: Storage> {
    table: FlightTable<u32, Rc<u32>, S, Rc<()>>,
    limits: Limits,
    seats: usize,
    callers: Vec<Option<Caller<S::Link>>>,
    flights: Vec<Flown<S::Link>>,
    outcomes: Vec<Rc<u32>>,
    work: Rc<()>,
    /// Of flights that are over.
    stale: Vec<Ticket<S::Link>>,
}

impl<S: Storage> Play<S> {
    fn new(limits: Limits, seats: usize) -> Self {
        let (callers, flights, outcomes) = (Vec::new(), Vec::new(), Vec::new());
        Self { table: FlightTable::new(), limits, seats, callers, flights, outcomes, work: Rc::new(()), stale: Vec::new() }
    }

    fn waiting(&self) -> u32 {
        u32::try_from(self.flights.iter().map(|flight| flight.waiting.len()).sum::<usize>()).unwrap()
    }

    fn under_way(&self) -> usize {
        self.flights.iter().filter(|flight| !flight.is_over).count()
    }

    /// Those who have a seat: who wait, and who have been given something.
    fn seated(&self) -> usize {
        self.callers.iter().flatten().filter(|caller| !matches!(caller.part, Part::Leads(_))).count()
    }

    fn comes(&mut self, key: u32) {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let listed = self.flights.iter().position(|flight| flight.is_listed && flight.key == key);
        let is_full = self.waiting() >= self.limits.waiting || self.seated() >= self.seats;
        let (mut given, mut new) = (Some(waker.clone()), listed.map(|_| key));
        let boarded = self.table.board(hash(key), &mut new, |known| *known == key, &mut given, self.limits);
        assert_eq!(new, listed.map(|_| key), "one key has one flight");
        assert_eq!(given.is_none(), matches!(boarded, Boarded::Follows(_)), "what is not needed stays");
        match (boarded, listed) {
            (Boarded::Follows(place), Some(flight)) if !is_full => {
                self.flights[flight].waiting.push_back(self.callers.len());
                self.callers.push(Some(Caller { part: Part::Waits(place), flight, flag, waker }));
            }
            (Boarded::QueueFull(waiting), Some(_)) if is_full => {
                let may_not = self.waiting() >= self.limits.waiting;
                assert_eq!(waiting as usize, if may_not { self.waiting() as usize } else { self.seats });
            }
            (Boarded::Unlisted, None) => {
                let is_full = self.under_way() >= self.limits.flights;
                let mut new = Some(key);
                let boarded = self.table.board(hash(key), &mut new, |known| *known == key, &mut Some(waker.clone()), self.limits);
                assert_eq!(new, is_full.then_some(key), "it is taken, or stays");
                match boarded {
                    Boarded::Leads(ticket) if !is_full => {
                        let flight = self.flights.len();
                        let waiting = VecDeque::new();
                        self.flights.push(Flown { key, is_listed: true, landed: None, waiting, is_over: false });
                        self.callers.push(Some(Caller { part: Part::Leads(ticket), flight, flag, waker }));
                    }
                    Boarded::Full if is_full => {}
                    _ => panic!("full, or not: {is_full}"),
                }
            }
            _ => panic!("listed as {listed:?}, full: {is_full}"),
        }
    }

    /// The first that waits for a flight has been given something, and its waker with it.
    fn grant(&mut self, flight: usize, grant: Grant, woken: Waker) {
        let first = self.flights[flight].waiting.pop_front().expect("somebody who waits");
        let caller = self.callers[first].as_mut().unwrap();
        let Part::Waits(place) = caller.part else { panic!("it waits") };
        assert!(woken.will_wake(&caller.waker), "another one is woken");
        woken.wake();
        caller.part = Part::Granted(place, grant);
    }

    /// Whoever led a flight has left.
    fn handed_over(&mut self, flight: usize, leads: Option<Waker>, work: Option<Rc<()>>) {
        if self.flights[flight].waiting.is_empty() {
            assert!(leads.is_none());
            (self.flights[flight].is_over, self.flights[flight].is_listed) = (true, false);
        } else {
            self.grant(flight, Grant::Lead(work), leads.expect("the waker of who leads"));
        }
    }

    fn leaves(&mut self, caller: usize, with_work: bool) {
        let Some(Caller { part, flight, .. }) = self.callers[caller].take() else { return };
        match part {
            // One whose flight has landed gives out, and leaves only if that panics.
            Part::Leads(ticket) => {
                let work = with_work.then(|| Rc::clone(&self.work));
                let left = self.table.abandon(ticket, work.clone());
                self.flights[flight].landed = None;
                self.handed_over(flight, left.leads, work);
                if self.flights[flight].is_over {
                    self.stale.push(ticket);
                }
            }
            Part::Waits(place) => {
                self.flights[flight].waiting.retain(|waiting| *waiting != caller);
                assert!(self.table.leave(place).leads.is_none());
            }
            Part::Granted(place, Grant::Landed(_)) => assert!(self.table.leave(place).leads.is_none()),
            Part::Granted(place, Grant::Lead(work)) => {
                let left = self.table.leave(place);
                self.handed_over(flight, left.leads, work);
            }
        }
    }

    fn asks(&mut self, caller: usize, with_another: bool) {
        let Some(known) = &mut self.callers[caller] else { return };
        let (Part::Waits(place) | Part::Granted(place, _)) = known.part else { return };
        let given = if with_another { Waker::from(Arc::clone(&known.flag)) } else { known.waker.clone() };
        let stranger = Waker::from(Arc::new(Flag::default()));
        match (self.table.ask(place, if with_another { &stranger } else { &given }), &known.part) {
            (Learnt::Waits { is_heard }, Part::Waits(_)) => {
                assert_eq!(is_heard, !with_another);
                if with_another {
                    let (learnt, earlier) = self.table.listen(place, given.clone());
                    assert!(matches!(learnt, Learnt::Waits { .. }) && earlier.unwrap().will_wake(&known.waker));
                    known.waker = given;
                }
            }
            (Learnt::Landed(outcome), Part::Granted(_, Grant::Landed(expected))) => {
                assert!(Rc::ptr_eq(&outcome, expected) && known.flag.0.load(Ordering::Relaxed));
                self.callers[caller] = None;
            }
            (Learnt::Leads(ticket, work), Part::Granted(_, Grant::Lead(expected))) => {
                assert!(work.is_some() == expected.is_some() && known.flag.0.load(Ordering::Relaxed));
                known.part = Part::Leads(ticket);
            }
            _ => panic!("caller {caller} has learnt something else"),
        }
    }

    fn lands(&mut self, caller: usize) {
        let Some(Caller { part: Part::Leads(ticket), flight, .. }) = self.callers[caller] else { return };
        let flown = &mut self.flights[flight];
        if flown.landed.is_some() {
            return self.gives(caller);
        }
        let landed = self.table.land(ticket);
        assert_eq!(landed.awaited as usize, flown.waiting.len());
        assert_eq!(landed.key, flown.is_listed.then_some(flown.key));
        flown.is_listed = false;
        if landed.awaited == 0 {
            flown.is_over = true;
            self.callers[caller] = None;
            self.stale.push(ticket);
        } else {
            let outcome = Rc::new(u32::try_from(flight).unwrap());
            self.outcomes.push(Rc::clone(&outcome));
            flown.landed = Some((ticket, outcome));
        }
    }

    /// Gives the outcome to two of those who wait.
    fn gives(&mut self, caller: usize) {
        let Some(Caller { flight, .. }) = self.callers[caller] else { return };
        let Some((ticket, outcome)) = self.flights[flight].landed.clone() else { return };
        let (mut clones, mut wakers) = (heapless::Vec::<_, 2>::new(), heapless::Vec::<_, 2>::new());
        clones.extend([Rc::clone(&outcome), Rc::clone(&outcome)]);
        let left = self.table.give(ticket, &mut clones, &mut wakers);
        assert_eq!(clones.len() + wakers.len(), 2, "one waker for each outcome");
        for woken in wakers {
            self.grant(flight, Grant::Landed(Rc::clone(&outcome)), woken);
        }
        assert_eq!(left as usize, self.flights[flight].waiting.len());
        if left == 0 {
            (self.flights[flight].is_over, self.flights[flight].landed) = (true, None);
            self.callers[caller] = None;
            self.stale.push(ticket);
        }
    }

    /// Somebody needs the key of a flight that has not begun, or it is forgotten: it is over, also for who leads it.
    fn ends_unbegun(&mut self, caller: usize, is_forgotten: bool) {
        let Some(Caller { part: Part::Leads(ticket), flight, .. }) = self.callers[caller] else { return };
        let Flown { key, is_listed: true, .. } = self.flights[flight] else { return };
        let begun = self.table.take_over(hash(key), |known| *known == key);
        assert_eq!(begun, None, "it has begun");
        if self.flights[flight].waiting.is_empty() {
            self.table.set_begun(ticket, false);
            let is_it = |known: &u32| *known == key;
            let ended = if is_forgotten { self.table.forget(hash(key), is_it) } else { self.table.take_over(hash(key), is_it) };
            assert_eq!(ended, Some(key));
            (self.flights[flight].is_over, self.flights[flight].is_listed) = (true, false);
            self.callers[caller] = None;
            self.stale.push(ticket);
        }
    }

    /// Who comes back with the ticket of a flight that is over does nothing to the one that has its berth.
    fn comes_back(&mut self, at: usize) {
        let ticket = self.stale[at];
        assert!(!self.table.is_kept(ticket));
        self.table.set_begun(ticket, false);
        let (mut clones, mut wakers) = (heapless::Vec::<_, 1>::new(), heapless::Vec::<_, 1>::new());
        clones.extend([Rc::default()]);
        assert_eq!((self.table.give(ticket, &mut clones, &mut wakers), clones.len()), (0, 1));
        let landed = self.table.land(ticket);
        assert_eq!((landed.key, landed.awaited), (None, 0));
        assert!(self.table.abandon(ticket, None).leads.is_none());
    }

    fn forgets(&mut self, key: u32) {
        let forgotten = self.table.forget(hash(key), |known| *known == key);
        let listed = self.flights.iter_mut().find(|flight| flight.is_listed && flight.key == key);
        assert_eq!(forgotten, listed.as_ref().map(|flight| flight.key));
        if let Some(flight) = listed {
            flight.is_listed = false;
        }
    }

    fn forgets_all(&mut self) {
        let listed = self.flights.iter_mut().filter(|flight| flight.is_listed);
        let count = listed.map(|flight| flight.is_listed = false).count();
        let (mut forgotten, mut place) = (0, 0);
        while let Some((key, next)) = self.table.forget_from(place) {
            (forgotten, place) = (forgotten + usize::from(key.is_some()), next);
        }
        assert_eq!(forgotten, count);
    }

    /// How many are in a chain.
    fn chained(&self, head: Option<S::Link>) -> usize {
        let next = |link: &S::Link| self.table.flights.get(*link).unwrap().next;
        std::iter::successors(head, next).inspect(|link| assert!(self.table.flights.get(*link).unwrap().key.is_some())).count()
    }

    fn validate(&mut self) {
        assert_eq!(self.table.len(), (self.under_way(), self.waiting()));
        let mut listed = 0;
        for flight in self.flights.iter().filter(|flight| flight.is_listed) {
            assert!(self.table.find(hash(flight.key), |known| *known == flight.key).is_some());
            listed += 1;
        }
        let chained: usize = self.table.heads.as_slice().iter().map(|head| self.chained(*head)).sum();
        assert_eq!(chained, listed);
        for caller in self.callers.iter().flatten() {
            let has_been_woken = caller.flag.0.load(Ordering::Relaxed);
            match caller.part {
                Part::Waits(_) => assert!(!has_been_woken),
                Part::Granted(..) => assert!(has_been_woken),
                Part::Leads(_) => {}
            }
        }
    }

    fn plays(mut self, sim: Sim) {
        let choose = |n: usize| usize::try_from(sim.choose(u64::try_from(n).unwrap().max(1))).unwrap();
        for _ in 0..60 {
            let key = u32::try_from(choose(4)).unwrap();
            let caller = choose(self.callers.len());
            match choose(11) {
                0..=2 => self.comes(key),
                _ if self.callers.is_empty() => {}
                3 => self.leaves(caller, sim.chance(1, 2)),
                4 | 5 => self.asks(caller, sim.chance(1, 3)),
                6 | 7 => self.lands(caller),
                8 => self.ends_unbegun(caller, sim.chance(1, 2)),
                9 if self.stale.is_empty() => {}
                9 => self.comes_back(choose(self.stale.len())),
                _ if sim.chance(1, 8) => self.forgets_all(),
                _ => self.forgets(key),
            }
            self.validate();
        }
        for caller in 0..self.callers.len() {
            self.leaves(caller, false);
            self.validate();
        }
        assert_eq!(self.table.len(), (0, 0));
        assert!(self.outcomes.iter().all(|outcome| Rc::strong_count(outcome) == 1) && Rc::strong_count(&self.work) == 1);
    }
}

#[test]
fn a_table_in_place_does_what_the_model_does() {
    let limits = Limits { flights: 3, waiting: 3 };
    Explore::new().run(|sim| async move { Play::<Inline<4>>::new(limits, 4).plays(sim) });
}

#[test]
#[cfg(feature = "alloc")]
fn a_table_on_the_heap_does_what_the_model_does() {
    let limits = Limits { flights: 30, waiting: 30 };
    Explore::new().run(|sim| async move { Play::<crate::storage::Heap>::new(limits, usize::MAX).plays(sim) });
}

#[test]
fn berths_are_used_again_the_last_one_vacated_first() {
    let mut berths: Berths<char, Inline<3>> = Berths::new();
    let [a, b, c] = ['a', 'b', 'c'].map(|value| berths.take(value).unwrap());
    assert_eq!((berths.take('d'), berths.len()), (None, 3));
    berths.vacate(a);
    berths.vacate(c);
    berths.vacate(c);
    assert!(berths.get_mut(a).is_none() && berths.get_mut(c).is_none());
    assert_eq!(berths.len(), 1, "vacated once, however often it is said");
    assert_eq!((berths.take('e'), berths.take('f'), berths.take('g')), (Some(c), Some(a), None));
    assert_eq!([a, b, c].map(|link| *berths.get_mut(link).unwrap()), ['f', 'b', 'e']);
}

#[test]
fn the_empty_table_allocates_nothing_and_knows_nobody() {
    let mut table: FlightTable<u32, u32, Inline<2>, ()> = FlightTable::new();
    assert_eq!(table.len(), (0, 0));
    assert_eq!(table.forget(hash(1), |known| *known == 1), None);
    let limits = Limits { flights: 2, waiting: 2 };
    let boarded = table.board(hash(1), &mut None, |known| *known == 1, &mut Some(Waker::noop().clone()), limits);
    assert!(matches!(boarded, Boarded::Unlisted));
}
