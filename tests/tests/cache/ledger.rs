//! Books are kept of a small cache, by what it tells its observer: whatever comes goes once, what has gone is not served, and nothing is served for longer than it may be.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::cache::{Event, Removal, Snapshot};
use aplomb::key::FoldHash;
use aplomb::ratio::Ratio;
use aplomb::time::ms;
use aplomb::{Cache, FlightError, Heap, Inline, Storage};

use crate::hand::{Hand, clock, pass, poll, set_clock};

const KEYS: u8 = 12;

/// Numbered as they are made, errors too.
type Numbered = u32;

type Subject<S, F, const SHARDS: usize> = Cache<Hand, u8, Numbered, Numbered, S, FoldHash, F, SHARDS, Tells>;
type Pending<'c> = Pin<Box<dyn Future<Output = Result<Numbered, FlightError<Numbered>>> + 'c>>;
type Fate = Rc<Cell<Option<Result<Numbered, Numbered>>>>;
type Made = Rc<RefCell<BTreeMap<Numbered, (u8, u64, Duration)>>>;
type Tells = fn(&Event<'_, u8, Numbered>);

fn weight_of(value: Numbered) -> u32 {
    value % 4
}

/// How long a value is good that says so itself.
fn ttl_of(value: Numbered) -> Duration {
    [ms(0), ms(5), ms(30), ms(500), Duration::MAX][value as usize % 5]
}

/// What it has told.
#[derive(Default)]
struct Books {
    removed: BTreeMap<Numbered, Removal>,
    hits: u64,
    stale: u64,
    missed: u64,
    shared: u64,
    rejected: u64,
    fetched: u64,
    failed: u64,
    abandoned: u64,
    stale_if_error: u64,
    /// Of those, in place of a fetch that failed.
    instead: u64,
    has_just_failed: bool,
    expired: u64,
    evicted: u64,
    invalidated: u64,
}

thread_local! {
    static BOOKS: RefCell<Books> = RefCell::default();
}

fn tell(event: &Event<'_, u8, Numbered>) {
    BOOKS.with_borrow_mut(|books| {
        let has_just_failed = std::mem::take(&mut books.has_just_failed);
        match event {
            Event::Hit => books.hits += 1,
            Event::Stale => books.stale += 1,
            Event::Missed => books.missed += 1,
            Event::Shared => books.shared += 1,
            Event::Rejected { .. } => books.rejected += 1,
            Event::Fetched { .. } => books.fetched += 1,
            Event::Abandoned => books.abandoned += 1,
            Event::Failed { .. } => (books.failed, books.has_just_failed) = (books.failed + 1, true),
            Event::StaleIfError => {
                books.stale_if_error += 1;
                books.instead += u64::from(has_just_failed);
            }
            Event::Removed { value, cause, .. } => {
                match cause {
                    Removal::Expired => books.expired += 1,
                    Removal::Evicted => books.evicted += 1,
                    Removal::Invalidated => books.invalidated += 1,
                    _ => {}
                }
                if let Some(value) = value {
                    assert!(books.removed.insert(**value, *cause).is_none(), "{value} goes twice");
                }
            }
            _ => {}
        }
    });
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    ttl: Duration,
    by_value: bool,
    idle: Duration,
    ahead: Duration,
    stale: Duration,
    if_error: Duration,
    error_ttl: Duration,
    capacity: usize,
    max_weight: Option<u64>,
    early: bool,
    jitter: bool,
    max_fetches: usize,
    max_waiting: u32,
}

impl Settings {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        let mut one_of = |times: &[u64]| {
            let millis = times[rng.usize(0..times.len())];
            if millis == u64::MAX { Duration::MAX } else { ms(millis) }
        };
        let ttl = one_of(&[u64::MAX, 0, 1, 20, 50, 500]);
        let mut drawn = Self {
            ttl,
            idle: one_of(&[u64::MAX, u64::MAX, 0, 15, 40, 1_000]),
            ahead: one_of(&[0, 0, 0, 10, 30]),
            stale: one_of(&[0, 0, 20, 200, u64::MAX]),
            if_error: one_of(&[0, 0, 30, 200, u64::MAX]),
            error_ttl: one_of(&[0, 0, 10, 200, u64::MAX]),
            by_value: rng.u8(0..4) == 0,
            capacity: rng.usize(1..9),
            max_weight: rng.bool().then(|| rng.u64(1..12)),
            early: rng.bool(),
            jitter: rng.u8(0..3) == 0,
            max_fetches: rng.usize(1..5),
            max_waiting: rng.u32(0..5),
        };
        if drawn.ahead >= ttl {
            drawn.ahead = Duration::ZERO;
        }
        if drawn.ahead > Duration::ZERO {
            drawn.jitter = false;
        }
        drawn
    }

    fn apply<S: Storage, F: Storage, const N: usize>(&self) -> Subject<S, F, N> {
        let cache: Cache<Hand, u8, Numbered, Numbered, S, FoldHash, F, N> = Cache::new().storage().flight_storage().shards();
        let cache = cache.ttl(self.ttl).time_to_idle(self.idle).refresh_ahead(self.ahead).stale_while_revalidate(self.stale);
        let cache = cache.stale_if_error(self.if_error).error_ttl(self.error_ttl).capacity(self.capacity);
        let cache = if self.by_value { cache.ttl_by(|_, value| ttl_of(*value)) } else { cache };
        let cache =
            self.max_weight.into_iter().fold(cache, |cache, most| cache.max_weight(most).weigh_by(|_, value| weight_of(*value)));
        let cache = if self.early { cache.early_refresh(Ratio::ONE) } else { cache };
        let cache = if self.jitter { cache.ttl_jitter(Ratio::new(1, 2)) } else { cache };
        let cache = cache.max_fetches(self.max_fetches * N).max_waiting(self.max_waiting * u32::try_from(N).unwrap());
        cache.observed_by(tell as Tells).check().unwrap()
    }
}

struct Caller<'c> {
    future: Pending<'c>,
    fate: Fate,
    key: u8,
}

struct Play<'c, S: Storage, F: Storage, const SHARDS: usize> {
    cache: &'c Subject<S, F, SHARDS>,
    settings: Settings,
    callers: Vec<Caller<'c>>,
    refresher: Option<Pin<Box<dyn Future<Output = FlightError> + 'c>>>,
    refreshes: Fate,
    rng: fastrand::Rng,
    last: Numbered,
    /// Of each value: whose, when it can have been stored last, and its TTL.
    made: Made,
    read: BTreeMap<Numbered, u64>,
}

/// What has been fetched counts from then on.
fn fetch(fate: &Fate, made: &Made) -> impl Future<Output = Result<Numbered, Numbered>> + use<> {
    let (fate, made) = (Rc::clone(fate), Rc::clone(made));
    poll_fn(move |_| {
        let Some(outcome) = fate.take() else { return Poll::Pending };
        let (Ok(number) | Err(number)) = outcome;
        if let Some((_, at, _)) = made.borrow_mut().get_mut(&number) {
            *at = clock();
        }
        Poll::Ready(outcome)
    })
}

impl<'c, S: Storage, F: Storage, const SHARDS: usize> Play<'c, S, F, SHARDS> {
    fn number(&mut self, key: u8, own: Option<Duration>) -> Numbered {
        self.last += 1;
        let ttl = own.unwrap_or(if self.settings.by_value { ttl_of(self.last) } else { self.settings.ttl });
        self.made.borrow_mut().insert(self.last, (key, clock(), ttl));
        self.last
    }

    fn outcome(&mut self, key: u8) -> Result<Numbered, Numbered> {
        let number = self.number(key, None);
        if self.rng.u8(0..3) == 0 { Err(number) } else { Ok(number) }
    }

    fn may_be_served(&self, key: u8, value: Numbered, window: Duration) {
        let (of, made, ttl) = self.made.borrow()[&value];
        assert_eq!(of, key, "{value} is of another key");
        BOOKS.with_borrow(|books| assert!(!books.removed.contains_key(&value), "{value} has gone"));
        let end = ms(made).saturating_add(ttl).saturating_add(window);
        assert!(ms(clock()) < end, "{value} was made at {made}, its ttl {ttl:?}");
        let read = self.read.get(&value).copied().unwrap_or(made);
        assert!(ms(clock()) < ms(read).saturating_add(self.settings.idle), "{value} was read at {read}");
    }

    fn step(&mut self) {
        let (key, cache) = (self.rng.u8(0..KEYS), self.cache);
        match self.rng.u32(0..30) {
            0..=8 if self.callers.len() < 12 => self.call(key),
            9..=13 if !self.callers.is_empty() => {
                let at = self.rng.usize(0..self.callers.len());
                self.poll(at);
            }
            14 | 15 if !self.callers.is_empty() => drop(self.callers.swap_remove(self.rng.usize(0..self.callers.len()))),
            16..=18 => {
                let own = (self.rng.u8(0..4) == 0).then(|| [ms(0), ms(5), ms(25), Duration::MAX][self.rng.usize(0..4)]);
                let value = self.number(key, own);
                match own {
                    Some(ttl) => cache.insert_with_ttl(key, value, ttl),
                    None => cache.insert(key, value),
                }
            }
            19 => {
                if let Some(value) = cache.invalidate(&key) {
                    assert_eq!(self.made.borrow()[&value].0, key);
                    BOOKS.with_borrow(|books| assert_eq!(books.removed.get(&value), Some(&Removal::Invalidated)));
                }
            }
            20 if self.rng.u8(0..8) == 0 => {
                let rest = self.rng.u8(0..3);
                cache.invalidate_if(|key, _| key % 3 == rest);
            }
            20 if self.rng.u8(0..8) == 0 => {
                cache.clear();
                assert!(cache.is_empty());
            }
            21 => _ = cache.purge_expired(),
            22..=26 => pass(ms(self.rng.u64(0..30))),
            27 | 28 => self.refresh(),
            29 => self.refresher = None,
            _ => {}
        }
    }

    fn call(&mut self, key: u8) {
        let (cache, fate, handed) = (self.cache, Fate::default(), Rc::new(RefCell::new(None)));
        if self.rng.bool() {
            fate.set(Some(self.outcome(key)));
        }
        let (fetches, hands, made) = (Rc::clone(&fate), Rc::clone(&handed), Rc::clone(&self.made));
        let shared = Rc::clone(&fate);
        let future: Pending<'c> = if self.rng.bool() {
            Box::pin(async move { cache.get(&key, || fetch(&fetches, &made)).await })
        } else {
            Box::pin(async move {
                let read = cache.get_with_refresh(&key, move || fetch(&fetches, &made)).await?;
                hands.replace(
                    read.refresh
                        .map(|refresh| -> Pending<'c> { Box::pin(async move { refresh.await.map_err(FlightError::Failed) }) }),
                );
                Ok(read.value)
            })
        };
        self.callers.push(Caller { future, fate, key });
        let at = self.callers.len() - 1;
        self.poll(at);
        if let Some(future) = handed.take() {
            self.callers.push(Caller { future, fate: shared, key });
        }
    }

    fn poll(&mut self, at: usize) {
        let key = self.callers[at].key;
        if self.rng.bool() {
            let outcome = self.outcome(key);
            self.callers[at].fate.set(Some(outcome));
        }
        BOOKS.with_borrow_mut(|books| books.has_just_failed = false);
        let before = self.cache.snapshot();
        let gone = BOOKS.with_borrow(|books| books.removed.clone());
        let Caller { future, fate, .. } = &mut self.callers[at];
        let ends = fate.get();
        let Poll::Ready(ended) = poll(future) else { return };
        self.callers.swap_remove(at);
        let after = self.cache.snapshot();
        match ended {
            Ok(value) => {
                assert_eq!(self.made.borrow()[&value].0, key);
                // Its own, or one that a flight has brought.
                let from_store = after.hits + after.stale > before.hits + before.stale;
                if from_store {
                    let window = if after.stale > before.stale { self.settings.stale } else { Duration::ZERO };
                    assert!(!gone.contains_key(&value));
                    self.may_be_served(key, value, window);
                    self.read.insert(value, clock());
                } else if after.errors > before.errors || after.misses > before.misses && ends != Some(Ok(value)) {
                    // In place of its error, or of a fetch for which there was no room.
                    assert!(!gone.contains_key(&value));
                    self.may_be_served(key, value, self.settings.stale.max(self.settings.if_error));
                    self.read.insert(value, clock());
                }
            }
            Err(FlightError::Failed(_) | FlightError::QueueFull { .. }) => {}
            Err(FlightError::Full { capacity }) => {
                assert_eq!(capacity, self.settings.max_fetches * SHARDS);
                assert!(after.fetching >= self.settings.max_fetches, "of one shard at least: {after:?}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn refresh(&mut self) {
        let (cache, fate) = (self.cache, Rc::clone(&self.refreshes));
        // Of which key it is, is known when it is fetched.
        let number = {
            self.last += 1;
            self.last
        };
        let fails = self.rng.u8(0..3) == 0;
        self.refreshes.set(Some(if fails { Err(number) } else { Ok(number) }));
        thread_local!(static FETCHED: Cell<Option<u8>> = const { Cell::new(None) });
        let run = self.refresher.get_or_insert_with(|| {
            Box::pin(cache.run(move |key| {
                let fate = Rc::clone(&fate);
                poll_fn(move |_| {
                    let ended = fate.take();
                    if ended.is_some() {
                        FETCHED.set(Some(key));
                    }
                    ended.map_or(Poll::Pending, Poll::Ready)
                })
            }))
        });
        FETCHED.set(None);
        let polled = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        if let Some(key) = FETCHED.take() {
            let ttl = if self.settings.by_value { ttl_of(number) } else { self.settings.ttl };
            self.made.borrow_mut().insert(number, (key, clock(), ttl));
        }
    }

    fn check(&mut self) {
        let (cache, settings) = (self.cache, self.settings);
        for key in 0..KEYS {
            if let Some(value) = cache.peek(&key) {
                self.may_be_served(key, value, settings.stale);
            }
        }
        for (key, value) in cache {
            self.may_be_served(key, value, settings.stale);
        }
        let told = cache.snapshot();
        let Snapshot { hits, stale, misses, errors, expired, evicted, stale_if_error, .. } = told;
        BOOKS.with_borrow(|books| {
            assert_eq!((hits, stale, errors), (books.hits, books.stale, books.failed));
            assert_eq!(stale_if_error, books.stale_if_error);
            assert_eq!(misses, books.missed + books.shared + books.rejected + books.stale_if_error - books.instead, "{told:?}");
            assert_eq!((expired, evicted), (books.expired, books.evicted), "{told:?}");
        });
        assert!(told.len <= settings.capacity.div_ceil(SHARDS) * SHARDS, "{told:?}");
        if let Some(most) = settings.max_weight {
            assert!(told.weight <= most.div_ceil(SHARDS as u64) * SHARDS as u64, "{told:?}");
        }
        if self.rng.u8(0..6) == 0 {
            let (mut found, mut weight) = (0, 0);
            cache.invalidate_if(|_, value| {
                (found, weight) =
                    (found + 1, weight + u64::from(if settings.max_weight.is_some() { weight_of(*value) } else { 1 }));
                BOOKS.with_borrow(|books| assert!(!books.removed.contains_key(value)));
                false
            });
            cache.invalidate_errors_if(|_, _| {
                (found, weight) = (found + 1, weight + 1);
                false
            });
            assert_eq!((told.len, told.weight), (found, weight), "{told:?}");
        }
    }
}

fn play<S: Storage, F: Storage, const SHARDS: usize>(seed: u64, form: u64) {
    let mut rng = fastrand::Rng::with_seed(seed * 8 + form);
    let mut settings = Settings::draw(&mut rng);
    settings.capacity = settings.capacity.min(S::CAPACITY.saturating_mul(SHARDS));
    settings.max_fetches = settings.max_fetches.min(F::CAPACITY);
    settings.max_waiting = settings.max_waiting.min(u32::try_from(F::CAPACITY).unwrap_or(u32::MAX));
    set_clock(rng.u64(0..100));
    BOOKS.take();
    let cache = settings.apply::<S, F, SHARDS>();
    let refreshes = Fate::default();
    let (made, read) = (Made::default(), BTreeMap::new());
    let mut play = Play { cache: &cache, settings, callers: Vec::new(), refresher: None, refreshes, rng, last: 0, made, read };
    for step in 0..120 {
        let played = catch_unwind(AssertUnwindSafe(|| {
            play.step();
            play.check();
        }));
        if let Err(panic) = played {
            eprintln!("with APLOMB_SEED={seed}, form {form}, step {step}: {settings:?}, {SHARDS} shards");
            resume_unwind(panic);
        }
    }
    drop(play);
    let left = cache.snapshot();
    assert_eq!((left.fetching, left.waiting), (0, 0), "APLOMB_SEED={seed}: nobody is left");
    let ended = BOOKS.with_borrow(|books| books.fetched + books.failed + books.abandoned);
    assert_eq!(left.fetches, ended, "APLOMB_SEED={seed}: each that was begun has ended, and is told of");
    let before = BOOKS.with_borrow(|books| books.invalidated);
    cache.clear();
    BOOKS.with_borrow(|books| assert_eq!(books.invalidated - before, left.len as u64));
    assert_eq!((cache.snapshot().len, cache.snapshot().weight), (0, 0));
}

fn seeds() -> std::ops::Range<u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..1_000, |seed: u64| seed..seed + 1)
}

#[test]
fn what_comes_goes_once_and_is_served_for_no_longer_than_it_may_be() {
    for seed in seeds() {
        play::<Heap, Heap, 1>(seed, 0);
        play::<Heap, Heap, 3>(seed, 1);
        play::<Inline<8>, Inline<4>, 1>(seed, 2);
        play::<Inline<8>, Inline<4>, 3>(seed, 3);
        play::<Inline<1>, Inline<1>, 1>(seed, 4);
        play::<Inline<2>, Inline<2>, 1>(seed, 5);
        play::<Inline<1>, Inline<2>, 3>(seed, 6);
    }
}
