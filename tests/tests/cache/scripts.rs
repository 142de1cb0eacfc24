//! The cache does what a slow and obvious one does, whatever is done to both.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aplomb::time::ms;
use aplomb::{Cache, FlightError, Heap, Inline, Storage};

use crate::hand::{Wakes, clock, pass, set_clock};
use crate::model::{Age, Called, Counts, KEYS, Listed, Model, NEVER, Outcome, REFRESHER, Settings, Subject, time, weight_of};

type Pending<'c> = Pin<Box<dyn Future<Output = Outcome> + 'c>>;

/// How a fetch is to end, when it is polled next.
type Fate = Rc<Cell<Option<Outcome>>>;

fn fetch(fate: &Fate) -> impl Future<Output = Outcome> + use<> {
    let fate = Rc::clone(fate);
    poll_fn(move |_| fate.take().map_or(Poll::Pending, Poll::Ready))
}

/// One who was polled, and is pending.
struct Caller<'c> {
    id: u32,
    key: u8,
    future: Pending<'c>,
    fate: Fate,
    wakes: Arc<Wakes>,
    /// How often it had been woken when it was polled last.
    seen: u32,
    /// What was served is not what this ends with.
    is_refresh: bool,
}

impl Caller<'_> {
    fn poll(&mut self) -> Poll<Outcome> {
        self.seen = self.wakes.count();
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.wakes))))
    }
}

/// The same things are done to a cache and to the model, as a seed says.
struct Play<'c, S: Storage, F: Storage, const SHARDS: usize> {
    cache: &'c Subject<S, F, SHARDS>,
    model: Model,
    callers: Vec<Caller<'c>>,
    refresher: Option<Pin<Box<dyn Future<Output = FlightError> + 'c>>>,
    refreshes: Fate,
    rng: fastrand::Rng,
    last: u32,
}

impl<S: Storage, F: Storage, const SHARDS: usize> Play<'_, S, F, SHARDS> {
    fn step(&mut self) {
        let key = self.rng.u8(0..KEYS);
        match self.rng.u32(0..30) {
            0..=6 if self.callers.len() < 10 => self.call(key),
            7 if self.callers.len() < 10 => self.call_with_refresh(key),
            8..=12 if !self.callers.is_empty() => self.poll(),
            13 | 14 if !self.callers.is_empty() => {
                let leaves = self.callers.swap_remove(self.rng.usize(0..self.callers.len()));
                self.model.leave(leaves.id);
            }
            15 | 16 => self.insert(key),
            17 => {
                self.model.unlist(|listed| listed == key);
                let taken = self.model.entries.remove(&key).and_then(|entry| entry.outcome.ok());
                let really = self.cache.invalidate(&key);
                assert!(really == taken || self.is_small() && taken.is_none(), "{really:?} instead of {taken:?}");
            }
            18 if self.rng.bool() => {
                let rest = self.rng.u8(0..3);
                self.model.unlist(|_| true);
                let before = self.model.entries.len();
                self.model.entries.retain(|key, entry| entry.outcome.is_err() || key % 3 != rest);
                let count = self.cache.invalidate_if(|key, _| key % 3 == rest);
                assert!(count == before - self.model.entries.len() || self.is_small());
            }
            19 if self.rng.bool() => {
                self.model.unlist(|_| true);
                self.model.entries.clear();
                self.cache.clear();
                assert!(self.cache.is_empty());
            }
            19 => {
                let gone = self.model.purge();
                let count = self.cache.purge_expired();
                assert!(count == gone || self.is_small(), "{count} instead of {gone}");
            }
            20..=24 => self.pass(),
            25 => self.set_back(),
            26..=28 if !self.is_small() => self.refresh(),
            29 if !self.is_small() => {
                self.refresher = None;
                self.model.leave(REFRESHER);
            }
            _ => {}
        }
    }

    fn is_small(&self) -> bool {
        self.model.settings.capacity.is_some()
    }

    /// Mostly a moment, at times about one of the spans there are; and on to where all ends are sure.
    fn pass(&mut self) {
        let Settings { ttl, time_to_idle, stale_while_revalidate, .. } = self.model.settings;
        let most = match self.rng.u8(0..8) {
            0 => [ttl, time_to_idle, stale_while_revalidate][self.rng.usize(0..3)].min(3 * 366 * 24 * 3_600_000),
            _ => 29,
        };
        let mut time = self.rng.u64(0..=most);
        loop {
            pass(ms(time));
            self.model.now += time;
            match self.model.unsure_for() {
                Some(rest) => time = rest,
                None => return,
            }
        }
    }

    /// All shards know the present, and then the clock is set back: what has an end has ended.
    fn set_back(&mut self) {
        let _seen = self.cache.iter().count();
        let (before, after) = (clock(), self.rng.u64(0..=clock()));
        set_clock(after);
        let _seen = self.cache.iter().count();
        if after < before {
            self.model.end_all();
        }
    }

    /// Another one each time.
    fn outcome(&mut self) -> Outcome {
        self.last += 1;
        if self.rng.u8(0..3) == 0 { Err(self.last) } else { Ok(self.last) }
    }

    fn call(&mut self, key: u8) {
        let (cache, fate) = (self.cache, Fate::default());
        let fetches = Rc::clone(&fate);
        let future = Box::pin(async move { cache.get(&key, || fetch(&fetches)).await.map_err(own) });
        self.begin(key, future, fate, true, &Rc::default());
    }

    fn call_with_refresh(&mut self, key: u8) {
        let (cache, fate, handed) = (self.cache, Fate::default(), Rc::new(RefCell::new(None)));
        let (fetches, hands) = (Rc::clone(&fate), Rc::clone(&handed));
        let future = Box::pin(async move {
            let read = cache.get_with_refresh(&key, move || fetch(&fetches)).await.map_err(own)?;
            hands.replace(read.refresh.map(|refresh| -> Pending<'_> { Box::pin(refresh) }));
            Ok(read.value)
        });
        self.begin(key, future, fate, false, &handed);
    }
}

impl<'c, S: Storage, F: Storage, const SHARDS: usize> Play<'c, S, F, SHARDS> {
    fn begin(&mut self, key: u8, future: Pending<'c>, fate: Fate, queues: bool, handed: &RefCell<Option<Pending<'c>>>) {
        self.last += 1;
        let id = self.last;
        let mut caller = Caller { id, key, future, fate, wakes: Arc::default(), seen: 0, is_refresh: false };
        if self.rng.u8(0..4) == 0 {
            caller.fate.set(Some(self.outcome()));
        }
        let (ends, expected) = (caller.fate.get(), self.model.call(key, id, queues));
        let (polled, refresh) = (caller.poll(), handed.take());
        match expected {
            Called::Served { outcome, is_due } => {
                assert_eq!(polled, Poll::Ready(outcome));
                assert_eq!(refresh.is_some(), is_due && !queues, "a refresh is handed out");
            }
            Called::Leads => match ends {
                Some(outcome) => assert_eq!(polled, Poll::Ready(self.model.arrive(id, outcome))),
                None => assert!(polled.is_pending()),
            },
            Called::Follows => assert!(polled.is_pending() && caller.fate.get() == ends, "it waits"),
        }
        if let Some(future) = refresh {
            self.model.lead(key, id, false);
            self.callers.push(Caller { future, is_refresh: true, ..caller });
        } else if polled.is_pending() {
            self.callers.push(caller);
        }
    }

    fn poll(&mut self) {
        let at = self.rng.usize(0..self.callers.len());
        if self.rng.bool() {
            let outcome = self.outcome();
            self.callers[at].fate.set(Some(outcome));
        }
        let (caller, model) = (&mut self.callers[at], &mut self.model);
        let (ends, polled) = (caller.fate.get(), caller.poll());
        model.leads(caller.id).into_iter().for_each(|flight| flight.has_begun = true);
        let expected = if let Some(outcome) = model.landed.remove(&caller.id) {
            Poll::Ready(model.ended(caller.key, outcome))
        } else if let (Some(flight), Some(outcome)) = (model.leads(caller.id), ends) {
            flight.is_told = true;
            let result = model.arrive(caller.id, outcome);
            Poll::Ready(if caller.is_refresh { outcome } else { model.ended(caller.key, result) })
        } else {
            model.leads(caller.id).into_iter().for_each(|flight| flight.is_told = true);
            Poll::Pending
        };
        assert_eq!(polled, expected);
        if polled.is_ready() {
            self.callers.swap_remove(at);
        }
    }

    fn insert(&mut self, key: u8) {
        self.last += 1;
        let (value, own) = (self.last, (self.rng.u8(0..4) == 0).then(|| [0, 5, 25, NEVER][self.rng.usize(0..4)]));
        self.model.unlist(|listed| listed == key);
        self.model.put(key, Ok(value), own);
        match own {
            Some(ttl) => self.cache.insert_with_ttl(key, value, time(ttl)),
            None => self.cache.insert(key, value),
        }
        let most = self.model.settings.max_weight.map(|most| most.div_ceil(SHARDS as u64));
        if most.is_none_or(|most| u64::from(weight_of(value)) <= most) {
            assert_eq!(self.cache.peek(&key), self.model.peek(key), "the newest is there");
        }
    }

    /// Polls the refresher, which comes if there is none.
    fn refresh(&mut self) {
        if self.rng.bool() {
            let outcome = self.outcome();
            self.refreshes.set(Some(outcome));
        }
        let mut ends = self.refreshes.get();
        let (cache, fate) = (self.cache, Rc::clone(&self.refreshes));
        let run = self.refresher.get_or_insert_with(|| Box::pin(cache.run(move |_| fetch(&fate))));
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let model = &mut self.model;
        loop {
            if model.leads(REFRESHER).is_none() {
                let Some(key) = model.queue.pop_front() else { break };
                let was_queued = model.entries.get_mut(&key).is_some_and(|entry| std::mem::take(&mut entry.is_queued));
                if !was_queued || model.known(key) == Age::Dead || model.listed(key).is_some() {
                    continue;
                }
                model.lead(key, REFRESHER, true);
            }
            let Some(outcome) = ends.take() else { break };
            _ = model.arrive(REFRESHER, outcome);
        }
        assert_eq!(self.refreshes.get(), ends);
    }

    /// With little room, what is gone has been evicted; what is there is what was put there last.
    fn follow_evictions(&mut self) {
        if self.is_small() {
            self.model.entries.retain(|key, _| self.cache.peek(key).is_some());
        }
    }

    fn compare(&self) {
        let (model, told) = (&self.model, self.cache.snapshot());
        for key in 0..KEYS {
            assert_eq!(self.cache.peek(&key), model.peek(key), "key {key}");
        }
        let mut found: Vec<(u8, u32)> = self.cache.iter().collect();
        found.sort_unstable();
        let live: Vec<(u8, u32)> = (0..KEYS).filter_map(|key| Some((key, model.peek(key)?))).collect();
        assert_eq!(found, live);
        assert_eq!(told.fetching, model.flights.iter().filter(|flight| flight.listed != Listed::Over).count());
        assert_eq!(told.waiting as usize, model.flights.iter().map(|flight| flight.followers.len()).sum::<usize>());
        for caller in &self.callers {
            assert_eq!(caller.wakes.count() > caller.seen, model.is_called(caller.id), "who has news was woken: {}", caller.id);
        }
        let Counts { hits, stale, misses, fetches, errors, stale_if_error, .. } = model.counts;
        assert_eq!((told.hits, told.stale, told.misses), (hits, stale, misses));
        assert_eq!((told.fetches, told.errors, told.stale_if_error), (fetches, errors, stale_if_error));
        match model.settings.capacity {
            Some(capacity) => {
                let weight = model.settings.max_weight.map_or(u64::MAX, |most| most.div_ceil(SHARDS as u64) * SHARDS as u64);
                assert!(told.len <= capacity.div_ceil(SHARDS) * SHARDS && told.weight <= weight, "{told:?}");
            }
            None => assert_eq!((told.len, told.expired, told.evicted), (model.entries.len(), model.counts.expired, 0)),
        }
    }
}

/// The fetch's own error; there is no other where there is room.
fn own(error: FlightError<u32>) -> u32 {
    match error {
        FlightError::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Each form plays scripts of its own.
fn play<S: Storage, F: Storage, const SHARDS: usize>(seed: u64, form: u64, is_small: bool) {
    let mut rng = fastrand::Rng::with_seed(seed * FORMS + form);
    let capacity = is_small.then(|| rng.usize(1..6));
    let settings = Settings::draw(&mut rng, capacity);
    let start = rng.u64(0..100);
    set_clock(start);
    let cache = settings.apply::<S, F, SHARDS>(Cache::new().storage().flight_storage().shards()).check().unwrap();
    let model = Model::new(settings, start);
    let refreshes = Fate::default();
    let mut play = Play { cache: &cache, model, callers: Vec::new(), refresher: None, refreshes, rng, last: REFRESHER };
    for step in 0..60 {
        let played = catch_unwind(AssertUnwindSafe(|| {
            play.follow_evictions();
            play.step();
            play.follow_evictions();
            if play.rng.u8(0..3) == 0 {
                play.compare();
            }
        }));
        if let Err(panic) = played {
            eprintln!("with APLOMB_SEED={seed}, step {step}: {settings:?}, {SHARDS} shards");
            resume_unwind(panic);
        }
    }
    drop(play);
    let left = cache.snapshot();
    assert_eq!((left.fetching, left.waiting), (0, 0), "APLOMB_SEED={seed}: nobody is left");
}

/// How many kinds of caches play so many scripts each.
const FORMS: u64 = 8;

/// So many seeds, or the one of `APLOMB_SEED`.
fn seeds() -> std::ops::Range<u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..1_250, |seed: u64| seed..seed + 1)
}

#[test]
fn with_room_for_all_on_the_heap() {
    for seed in seeds() {
        play::<Heap, Heap, 1>(seed, 0, false);
        play::<Heap, Heap, 4>(seed, 1, false);
    }
}

#[test]
fn with_room_for_all_in_place() {
    for seed in seeds() {
        play::<Inline<8>, Inline<16>, 1>(seed, 2, false);
        play::<Inline<8>, Inline<16>, 4>(seed, 3, false);
    }
}

#[test]
fn with_little_room() {
    for seed in seeds() {
        play::<Heap, Heap, 1>(seed, 4, true);
        play::<Heap, Heap, 4>(seed, 5, true);
        play::<Inline<5>, Inline<16>, 1>(seed, 6, true);
        play::<Inline<5>, Inline<16>, 4>(seed, 7, true);
    }
}
