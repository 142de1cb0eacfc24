//! A single flight does what a slow and obvious one does, whatever is done to both.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use aplomb::key::FoldHash;
use aplomb::single_flight::{Restarts, Shared, Snapshot, Succession, Survives};
use aplomb::{FlightError, Heap, Inline, SingleFlight, Storage};
use aplomb_sim::Sim;
use send_wrapper::SendWrapper;

use crate::Woken;

type Subject<W, S, const SHARDS: usize> = SingleFlight<Sim, u8, u32, u32, W, S, FoldHash, SHARDS>;
type Ended = Shared<Result<u32, FlightError<u32>>>;
type Pending<'f> = Pin<Box<dyn Future<Output = Ended> + 'f>>;

const KEYS: u8 = 4;

/// How an operation is to go on, when it is polled next.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Ends(Result<u32, u32>),
    Panics,
}

/// What is known of operations: of each that has been started, who did, and how it goes on; of each that has gone, that it has.
#[derive(Default)]
struct Operations {
    fates: BTreeMap<u32, Fate>,
    under_way: Vec<u32>,
}

/// An operation, which is that of its caller.
struct Operation {
    of: u32,
    all: Rc<RefCell<Operations>>,
}

impl Operation {
    fn start(of: u32, all: &Rc<RefCell<Operations>>) -> Self {
        all.borrow_mut().under_way.push(of);
        Self { of, all: Rc::clone(all) }
    }

    async fn ends(self) -> Result<u32, u32> {
        poll_fn(|_| {
            let fate = self.all.borrow_mut().fates.remove(&self.of);
            match fate {
                Some(Fate::Ends(outcome)) => Poll::Ready(outcome),
                Some(Fate::Panics) => resume_unwind(Box::new("as it was told")),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.all.borrow_mut().under_way.retain(|of| *of != self.of);
    }
}

/// Both kinds of single flights.
trait Kind: Succession + Sized {
    const SURVIVES: bool;

    fn run<'f, S: Storage, const SHARDS: usize>(
        flight: &'f Subject<Self, S, SHARDS>,
        key: &'f u8,
        of: u32,
        all: &Rc<RefCell<Operations>>,
    ) -> Pending<'f>;

    fn made<S: Storage, const SHARDS: usize>() -> Subject<Self, S, SHARDS>;
}

impl Kind for Restarts {
    const SURVIVES: bool = false;

    fn run<'f, S: Storage, const SHARDS: usize>(
        flight: &'f Subject<Self, S, SHARDS>,
        key: &'f u8,
        of: u32,
        all: &Rc<RefCell<Operations>>,
    ) -> Pending<'f> {
        let all = Rc::clone(all);
        Box::pin(flight.run(key, move || Operation::start(of, &all).ends()).with_shared())
    }

    fn made<S: Storage, const SHARDS: usize>() -> Subject<Self, S, SHARDS> {
        SingleFlight::new().storage().shards()
    }
}

impl Kind for Survives {
    const SURVIVES: bool = true;

    fn run<'f, S: Storage, const SHARDS: usize>(
        flight: &'f Subject<Self, S, SHARDS>,
        key: &'f u8,
        of: u32,
        all: &Rc<RefCell<Operations>>,
    ) -> Pending<'f> {
        let all = Rc::clone(all);
        Box::pin(flight.run(key, move || SendWrapper::new(Operation::start(of, &all).ends())).with_shared())
    }

    fn made<S: Storage, const SHARDS: usize>() -> Subject<Self, S, SHARDS> {
        SingleFlight::surviving().storage().shards()
    }
}

/// One flight of the model.
struct Flown {
    key: u8,
    is_listed: bool,
    leader: u32,
    /// Whose operation is under way.
    operation: Option<u32>,
    followers: VecDeque<u32>,
}

struct Caller<'f> {
    id: u32,
    future: Pending<'f>,
    woken: Arc<Woken>,
    seen: u32,
}

struct Play<'f, W: Kind, S: Storage, const SHARDS: usize> {
    flight: &'f Subject<W, S, SHARDS>,
    keys: &'f [u8],
    all: Rc<RefCell<Operations>>,
    callers: Vec<Caller<'f>>,
    flown: Vec<Flown>,
    /// What has been given to followers that have not learnt of it.
    landed: BTreeMap<u32, Result<u32, u32>>,
    flights: usize,
    waiting: usize,
    seats: usize,
    rng: fastrand::Rng,
    last: u32,
}

/// What is to come of a poll.
#[derive(Debug, PartialEq)]
enum Expected {
    Pending,
    Panics,
    Ends(Ended),
}

impl<W: Kind, S: Storage, const SHARDS: usize> Play<'_, W, S, SHARDS> {
    fn step(&mut self) {
        match self.rng.u32(0..20) {
            0..=7 if self.callers.len() < 12 => self.call(),
            8..=14 if !self.callers.is_empty() => {
                let at = self.rng.usize(0..self.callers.len());
                self.poll(at);
            }
            15..=17 if !self.callers.is_empty() => {
                let Caller { id, future, .. } = self.callers.swap_remove(self.rng.usize(0..self.callers.len()));
                drop(future);
                self.leave(id);
            }
            18 => {
                let key = self.rng.u8(0..KEYS);
                let listed = self.flown.iter_mut().find(|flown| flown.is_listed && flown.key == key);
                let was_there = listed.map(|flown| flown.is_listed = false).is_some();
                assert_eq!(self.flight.forget(&key), was_there);
            }
            _ => {}
        }
    }

    fn fate(&mut self) -> Fate {
        self.last += 1;
        match self.rng.u8(0..5) {
            0 => Fate::Panics,
            1 => Fate::Ends(Err(self.last)),
            _ => Fate::Ends(Ok(self.last)),
        }
    }

    fn call(&mut self) {
        let key = &self.keys[self.rng.usize(0..self.keys.len())];
        self.last += 1;
        let id = self.last;
        if self.rng.u8(0..3) == 0 {
            let fate = self.fate();
            self.all.borrow_mut().fates.insert(id, fate);
        }
        let seated = self.landed.len() + self.flown.iter().map(|flown| flown.followers.len()).sum::<usize>() + self.told();
        let waiting: usize = self.flown.iter().map(|flown| flown.followers.len()).sum();
        let refused = |error| Some(Expected::Ends(Shared { result: Err(error), is_shared: false }));
        let under_way = self.flown.len();
        let listed = self.flown.iter_mut().find(|flown| flown.is_listed && flown.key == *key);
        let is_there = listed.is_some();
        let refused = match listed {
            Some(_) if waiting >= self.waiting => refused(FlightError::QueueFull { waiting: u32::try_from(waiting).unwrap() }),
            Some(_) if seated >= self.seats => refused(FlightError::QueueFull { waiting: u32::try_from(self.seats).unwrap() }),
            None if under_way >= self.flights => refused(FlightError::Full { capacity: self.flights }),
            Some(flown) => {
                flown.followers.push_back(id);
                None
            }
            None => {
                let followers = VecDeque::new();
                self.flown.push(Flown { key: *key, is_listed: true, leader: id, operation: None, followers });
                None
            }
        };
        let future = W::run(self.flight, key, id, &self.all);
        self.callers.push(Caller { id, future, woken: Arc::default(), seen: 0 });
        match refused {
            Some(expected) => {
                let at = self.callers.len() - 1;
                assert_eq!(self.polled(at), expected);
                self.callers.swap_remove(at);
            }
            // It has come, and does not look a second time.
            None if is_there => assert_eq!(self.polled(self.callers.len() - 1), Expected::Pending),
            None => self.poll(self.callers.len() - 1),
        }
    }

    /// How many have been told to lead, and have not learnt of it: they have a seat still.
    fn told(&self) -> usize {
        self.callers
            .iter()
            .filter(|caller| caller.woken.0.load(Ordering::Relaxed) > caller.seen && self.leads(caller.id).is_some())
            .count()
    }

    fn leads(&self, id: u32) -> Option<usize> {
        self.flown.iter().position(|flown| flown.leader == id)
    }

    fn polled(&mut self, at: usize) -> Expected {
        let Caller { future, woken, seen, .. } = &mut self.callers[at];
        *seen = woken.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(woken));
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker)))) {
            Ok(Poll::Ready(ended)) => Expected::Ends(ended),
            Ok(Poll::Pending) => Expected::Pending,
            Err(_) => Expected::Panics,
        }
    }

    fn poll(&mut self, at: usize) {
        let id = self.callers[at].id;
        if let Some(flown) = self.leads(id)
            && self.rng.bool()
        {
            let of = self.flown[flown].operation.unwrap_or(id);
            let fate = self.fate();
            self.all.borrow_mut().fates.insert(of, fate);
        }
        let expected = if let Some(outcome) = self.landed.remove(&id) {
            Expected::Ends(Shared { result: outcome.map_err(FlightError::Failed), is_shared: true })
        } else if let Some(led) = self.leads(id) {
            let of = *self.flown[led].operation.get_or_insert(id);
            let fate = self.all.borrow().fates.get(&of).copied();
            match fate {
                None => Expected::Pending,
                Some(Fate::Panics) => {
                    self.flown[led].operation = None;
                    self.leave(id);
                    Expected::Panics
                }
                Some(Fate::Ends(outcome)) => {
                    let flown = self.flown.remove(led);
                    let is_shared = !flown.followers.is_empty();
                    self.landed.extend(flown.followers.into_iter().map(|follower| (follower, outcome)));
                    Expected::Ends(Shared { result: outcome.map_err(FlightError::Failed), is_shared })
                }
            }
        } else {
            Expected::Pending
        };
        let polled = self.polled(at);
        assert_eq!(polled, expected, "caller {id}");
        if polled != Expected::Pending {
            // It has ended, and stays pending.
            let was_kept = self.rng.bool();
            if was_kept {
                assert_eq!(self.polled(at), Expected::Pending);
            }
            self.callers.swap_remove(at);
        }
    }

    /// A caller is dropped, or has panicked.
    fn leave(&mut self, id: u32) {
        self.landed.remove(&id);
        for flown in &mut self.flown {
            flown.followers.retain(|follower| *follower != id);
        }
        if let Some(led) = self.leads(id) {
            let flown = &mut self.flown[led];
            if !W::SURVIVES {
                flown.operation = None;
            }
            match flown.followers.pop_front() {
                Some(next) => flown.leader = next,
                None => _ = self.flown.remove(led),
            }
        }
    }

    fn compare(&self) {
        let Snapshot { flights, waiting, .. } = self.flight.snapshot();
        let expected: usize = self.flown.iter().map(|flown| flown.followers.len()).sum();
        assert_eq!((flights, waiting as usize), (self.flown.len(), expected));
        let mut under_way = self.all.borrow().under_way.clone();
        let mut expected: Vec<u32> = self.flown.iter().filter_map(|flown| flown.operation).collect();
        under_way.sort_unstable();
        expected.sort_unstable();
        assert_eq!(under_way, expected);
        for caller in &self.callers {
            let is_told = self.leads(caller.id).is_some_and(|led| self.flown[led].operation != Some(caller.id))
                && caller.woken.0.load(Ordering::Relaxed) > caller.seen;
            let has_news = self.landed.contains_key(&caller.id);
            let is_woken = caller.woken.0.load(Ordering::Relaxed) > caller.seen;
            assert!(!has_news || is_woken, "who has news was woken: {}", caller.id);
            assert!(!is_woken || has_news || is_told || self.leads(caller.id).is_some(), "{}", caller.id);
        }
    }
}

fn play<W: Kind, S: Storage, const SHARDS: usize>(seed: u64, form: u64) {
    let mut rng = fastrand::Rng::with_seed(seed * 8 + form);
    let (flights, waiting) = (rng.usize(1..5), rng.usize(0..6));
    let is_limited = SHARDS == 1 && rng.bool();
    let flight = W::made::<S, SHARDS>();
    let flight = if is_limited {
        flight.capacity(flights.min(S::CAPACITY)).max_waiting(u32::try_from(waiting.min(S::CAPACITY)).unwrap())
    } else {
        flight
    };
    let room = S::CAPACITY.min(1_000_000);
    let (flights, waiting) = if is_limited { (flights.min(room), waiting.min(room)) } else { (room, usize::MAX) };
    let keys: Vec<u8> = (0..KEYS).collect();
    let all = Rc::<RefCell<Operations>>::default();
    let mut play = Play {
        flight: &flight,
        keys: &keys,
        all,
        callers: Vec::new(),
        flown: Vec::new(),
        landed: BTreeMap::new(),
        flights,
        waiting,
        seats: room,
        rng,
        last: 0,
    };
    for step in 0..80 {
        let played = catch_unwind(AssertUnwindSafe(|| {
            play.step();
            play.compare();
        }));
        if let Err(panic) = played {
            eprintln!("with APLOMB_SEED={seed}, form {form}, step {step}");
            resume_unwind(panic);
        }
    }
    drop(play);
    assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0), "APLOMB_SEED={seed}: nobody is left");
}

/// So many seeds, or the one of `APLOMB_SEED`.
fn seeds() -> std::ops::Range<u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..1_000, |seed: u64| seed..seed + 1)
}

#[test]
fn where_each_has_an_operation_of_its_own() {
    for seed in seeds() {
        play::<Restarts, Heap, 1>(seed, 0);
        play::<Restarts, Heap, 3>(seed, 1);
        play::<Restarts, Inline<5>, 1>(seed, 2);
    }
}

#[test]
fn where_operations_survive_their_callers() {
    for seed in seeds() {
        play::<Survives, Heap, 1>(seed, 3);
        play::<Survives, Heap, 3>(seed, 4);
        play::<Survives, Inline<5>, 1>(seed, 5);
    }
}
