//! The keyed rate limiter: what it forgets and what never, while keys come, wait and go.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use aplomb::key::FoldHash;
use aplomb::rate_limiter::{
    Algorithm, FixedWindow, KeyedRateLimiter, Permit, Rate, RateLimitError, Refused, Reservation, TokenBucket,
};
use aplomb::time::{ms, secs};
use aplomb::{ConfigError, Deadline, Heap, Inline, Instant, Platform, Storage};
use aplomb_sim::{Explore, Sim, SimClock};
use aplomb_tokio::Tokio;
use futures_lite::future::poll_once;

type Keyed<K, S, const SHARDS: usize = 1> = KeyedRateLimiter<Sim, K, TokenBucket, S, FoldHash, SHARDS>;

fn at(millis: u64) -> Instant {
    Instant::ORIGIN + ms(millis)
}

/// Beside a map that forgets nothing: a key that is forgotten was as good as new, so that it makes no difference; and one is refused only when all others are in use.
async fn beside_a_map<S: Storage>(sim: Sim, capacity: usize) {
    let rule = TokenBucket::new(Rate::new(3, ms(30)));
    let limiter = Keyed::<u8, S>::with_clock(SimClock, rule).capacity(capacity);
    let mut model: HashMap<u8, <TokenBucket as Algorithm>::State> = HashMap::new();
    for _ in 0..150 {
        aplomb_sim::sleep(ms(sim.choose(4) * sim.choose(6))).await;
        let now = aplomb_sim::now();
        let key = u8::try_from(sim.choose(14)).unwrap();
        let permits = u32::try_from(1 + sim.choose(4)).unwrap();
        if sim.chance(1, 20) {
            let known = limiter.len();
            if limiter.forget(&key) {
                model.remove(&key);
                assert_eq!(limiter.len(), known - 1);
            }
            continue;
        }
        let in_use = model.iter().filter(|(other, state)| **other != key && rule.renewed_at(state) > now).count();
        let mut state = model.get(&key).copied().unwrap_or(TokenBucket::START);
        let expected = rule.try_take(&mut state, now, permits);
        match (limiter.try_acquire(&key, permits), expected) {
            (Err(RateLimitError::TableFull { capacity: told, retry_after }), _) => {
                assert!(in_use >= capacity, "{in_use} of {capacity} keys are in use");
                assert_eq!(told, capacity);
                let soonest = model.values().map(|state| rule.renewed_at(state)).filter(|at| *at > now).min().unwrap();
                assert!(retry_after.unwrap() <= soonest - now);
                continue;
            }
            (result, expected) => {
                assert!(in_use < capacity, "all others are in use, and {key} came in");
                let expected = expected.map_err(|refused| match refused {
                    Refused::Until(at) => RateLimitError::Limited { retry_after: Some(at - now) },
                    Refused::Never => RateLimitError::TooManyPermits { requested: permits, most: 3 },
                });
                assert_eq!(result.map(drop), expected);
            }
        }
        model.insert(key, state);
        assert!(limiter.len() <= capacity);
        assert_eq!(limiter.snapshot(&key).available, rule.available(&state, now));
    }
}

#[test]
fn in_place_it_does_what_a_map_does_that_forgets_nothing() {
    Explore::new().seeds(0..400).run(|sim| async move { beside_a_map::<Inline<8>>(sim, 8).await });
}

#[test]
fn on_the_heap_it_does_what_a_map_does_that_forgets_nothing() {
    Explore::new().seeds(0..400).run(|sim| async move { beside_a_map::<Heap>(sim, 5).await });
}

/// Keys that are held, in whatever way, stay; and what holds them finds them though they move in the table.
#[test]
fn who_runs_waits_or_has_reserved_keeps_its_key() {
    enum Held<'l> {
        Permit { _permit: Permit<&'l Keyed<u8, Inline<6>>> },
        Reservation { _reservation: Reservation<&'l Keyed<u8, Inline<6>>> },
    }
    Explore::new().seeds(0..400).run(|sim| async move {
        let rule = TokenBucket::new(Rate::per_second(10)).burst(2);
        let limiter = Rc::new(Keyed::<u8, Inline<6>>::with_clock(SimClock, rule).max_concurrent(2));
        let waiting = Rc::new(std::cell::Cell::new(0));
        let shared = Rc::clone(&limiter);
        for name in ["ann", "bob", "cleo"] {
            let (limiter, waiting) = (Rc::clone(&limiter), Rc::clone(&waiting));
            sim.spawn(name, async move {
                for _ in 0..12 {
                    let key = u8::try_from(sim.choose(9)).unwrap();
                    waiting.set(waiting.get() + 1);
                    let admitted = limiter.acquire(&key, 1).await;
                    waiting.set(waiting.get() - 1);
                    if let Ok(permit) = admitted {
                        aplomb_sim::sleep(ms(sim.choose(120))).await;
                        drop(permit);
                    }
                }
            });
        }
        sim.drop_at_random("bob");
        let mut held: Vec<(u8, Held<'_>)> = Vec::new();
        for _ in 0..40 {
            aplomb_sim::sleep(ms(sim.choose(50))).await;
            let key = u8::try_from(sim.choose(9)).unwrap();
            match sim.choose(3) {
                0 => held.extend(shared.try_acquire(&key, 1).ok().map(|permit| (key, Held::Permit { _permit: permit }))),
                1 => held.extend(shared.reserve(&key, 1).ok().map(|made| (key, Held::Reservation { _reservation: made }))),
                _ if held.is_empty() => {}
                _ => drop(held.swap_remove(usize::try_from(sim.choose(held.len() as u64)).unwrap())),
            }
            for (key, _) in &held {
                assert!(!shared.forget(key), "{key} is held");
            }
            let permits = held.iter().filter(|(_, held)| matches!(held, Held::Permit { .. })).count();
            let running: u32 = (0..9).map(|key| shared.snapshot(&key).running.unwrap()).sum();
            assert!(running as usize >= permits);
        }
        held.clear();
        aplomb_sim::sleep(secs(60)).await;
        for key in 0..9 {
            let snapshot = shared.snapshot(&key);
            assert_eq!((snapshot.running, snapshot.waiting, snapshot.available), (Some(0), 0, 2), "all is as new");
            shared.forget(&key);
        }
        assert!(shared.is_empty(), "nothing holds a key any more");
    });
}

#[test]
fn each_key_has_a_queue_of_its_own() {
    aplomb_sim::block_on(async {
        let limiter: Keyed<String, Heap> = Keyed::with_burst(Rate::per_second(1), 1);
        limiter.acquire("ann", 1).await.unwrap();
        let ann = async {
            limiter.acquire("ann", 1).await.unwrap();
            aplomb_sim::now()
        };
        let bob = async {
            limiter.acquire("bob", 1).await.unwrap();
            aplomb_sim::now()
        };
        assert_eq!(futures_lite::future::zip(ann, bob).await, (at(1_000), at(0)));
    });
}

#[test]
fn a_new_rate_wakes_whoever_waits() {
    aplomb_sim::block_on(async {
        let limiter: Keyed<u8, Heap, 4> = Keyed::with_burst(Rate::per_hour(1), 1).shards();
        for key in 0..6 {
            limiter.acquire(&key, 1).await.unwrap();
        }
        let waits = async {
            for key in 0..6 {
                limiter.acquire(&key, 1).await.unwrap();
            }
            aplomb_sim::now()
        };
        let changes = async {
            aplomb_sim::sleep(secs(1)).await;
            limiter.set_rate(TokenBucket::new(Rate::per_second(1)).burst(1)).unwrap();
        };
        let (ended, ()) = futures_lite::future::zip(waits, changes).await;
        assert!(ended <= at(2_001), "{ended:?}");
    });
}

#[test]
fn a_new_rate_holds_for_all_keys_though_a_waker_panics() {
    use std::sync::Arc;

    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    aplomb_sim::block_on(async {
        for key in 0..32 {
            let limiter: Keyed<u8, Heap, 4> = Keyed::with_burst(Rate::per_hour(1), 1).shards();
            drop(limiter.try_acquire(&key, 1).unwrap());
            let mut waits = pin!(limiter.acquire(&key, 1));
            assert!(waits.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
            let faster = TokenBucket::new(Rate::per_second(1)).burst(2);
            assert!(catch_unwind(AssertUnwindSafe(|| limiter.set_rate(faster))).is_err());
            assert!((0..32).filter(|other| *other != key).all(|other| limiter.snapshot(&other).available == 2));
            waits.await.unwrap();
        }
    });
}

/// Those who are woken may take keys out of the table, and so move others: nobody is passed over.
#[test]
fn a_new_rate_wakes_also_those_whose_keys_move_meanwhile() {
    use std::future::Future;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    /// All keys belong into the same slot.
    struct Same;
    struct Zero;
    impl aplomb::key::KeyHash for Same {
        type Hasher = Zero;
        fn hasher(_: u64) -> Zero {
            Zero
        }
    }
    impl Hasher for Zero {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, _: &[u8]) {}
    }

    type Limiter = KeyedRateLimiter<Sim, u32, aplomb::rate_limiter::FixedWindow, Heap, Same>;
    type Acquired = aplomb::rate_limiter::Acquire<&'static Limiter, &'static u32>;

    /// Completes its call when it is woken, and has its key forgotten.
    struct First(&'static Limiter, Mutex<Option<std::pin::Pin<Box<Acquired>>>>);
    impl Wake for First {
        fn wake(self: Arc<Self>) {
            let Some(mut call) = self.1.lock().unwrap().take() else { return };
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
            drop(call);
            assert!(self.0.forget(&1));
        }
    }
    #[derive(Default)]
    struct Counts(AtomicUsize);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    aplomb_sim::block_on(async {
        let limiter: &'static Limiter = Box::leak(Box::new(KeyedRateLimiter::fixed_window(Rate::per_hour(1)).hasher()));
        for key in [1, 2, 3] {
            limiter.try_acquire(&key, 1).unwrap();
        }
        let first = Arc::new(First(limiter, Mutex::new(None)));
        let mut call = Box::pin(limiter.acquire(&1, 1));
        assert!(call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&first)))).is_pending());
        *first.1.lock().unwrap() = Some(call);
        let counts = [Arc::new(Counts::default()), Arc::new(Counts::default())];
        let mut others = [Box::pin(limiter.acquire(&2, 1)), Box::pin(limiter.acquire(&3, 1))];
        for (other, count) in others.iter_mut().zip(&counts) {
            assert!(other.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(count)))).is_pending());
        }
        aplomb_sim::sleep(secs(10)).await;
        limiter.set_rate(Rate::per_second(1)).unwrap();
        assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
        assert_eq!(limiter.snapshot(&7).available, 1);
        limiter.set_rate(Rate::per_second(50)).unwrap();
        assert_eq!(limiter.snapshot(&7).available, 50, "a key that is not known has the new rate too");
    });
}

#[test]
fn where_a_shard_is_full_the_capacity_of_all_is_told() {
    let limiter: Keyed<u32, Heap, 16> = Keyed::new(Rate::per_hour(1)).shards().capacity(100).check().unwrap();
    aplomb_sim::block_on(async {
        let refused = (0..).find_map(|key| limiter.try_acquire(&key, 1).err()).unwrap();
        assert!(limiter.len() < 16 * 7, "others have room");
        assert!(matches!(refused, RateLimitError::TableFull { capacity: 100, retry_after: Some(_) }), "{refused:?}");
        assert_eq!(refused.to_string(), "table full: of 100 places for keys, none is free for this one");
    });
}

#[test]
fn a_shard_has_room_for_a_key_at_least() {
    let limiter: Keyed<u32, Heap, 4> = Keyed::new(Rate::per_hour(2)).shards().capacity(1).check().unwrap();
    aplomb_sim::block_on(async {
        let admitted = (0..100).filter(|key| limiter.try_acquire(key, 1).is_ok()).count();
        assert_eq!((admitted, limiter.len()), (4, 4));
        let refused = (0..100).find_map(|key| limiter.try_acquire(&key, 2).err());
        assert!(matches!(refused, Some(RateLimitError::TableFull { capacity: 1, .. } | RateLimitError::Limited { .. })));
    });
}

#[test]
fn a_burst_that_was_set_stays_at_a_new_rate() {
    aplomb_sim::block_on(async {
        let limiter: Keyed<u32, Heap, 4> = Keyed::with_burst(Rate::per_second(10), 3).shards();
        limiter.set_rate(Rate::per_second(100)).unwrap();
        assert_eq!(limiter.snapshot(&7).available, 3);
        let limiter: Keyed<u32, Heap, 4> = Keyed::new(Rate::per_second(10)).shards();
        limiter.set_rate(Rate::per_second(100)).unwrap();
        assert_eq!(limiter.snapshot(&7).available, 100);
    });
}

#[test]
fn two_calls_of_a_key_that_is_new_meet_in_one_line() {
    static LIMITER: KeyedRateLimiter<Tokio, u32, TokenBucket, Heap, FoldHash, 4> =
        KeyedRateLimiter::with_burst(Rate::per_hour(1), 5).shards();
    const KEYS: u32 = 2_000;
    let admitted: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..KEYS).flat_map(|key| [key; 3]).filter(|key| LIMITER.try_acquire(key, 1).is_ok()).count()))
            .collect();
        threads.into_iter().map(|thread| u32::try_from(thread.join().unwrap()).unwrap()).sum()
    });
    assert_eq!(admitted, 5 * KEYS);
    assert_eq!(LIMITER.len(), KEYS as usize);
}

/// The table calls back into the limiter, where it may.
#[test]
fn keys_are_cloned_and_dropped_outside_the_lock() {
    use std::cell::RefCell;
    thread_local! {
        static LIMITER: RefCell<Option<&'static Keyed<Nosy, Inline<2>>>> = const { RefCell::new(None) };
    }
    #[derive(PartialEq, Eq)]
    struct Nosy(u8);
    fn look() {
        LIMITER.with_borrow(|limiter| _ = limiter.map(KeyedRateLimiter::len));
    }
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            look();
            Self(self.0)
        }
    }
    impl Hash for Nosy {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            look();
            self.0.hash(hasher);
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            look();
        }
    }
    aplomb_sim::block_on(async {
        let limiter: &'static Keyed<Nosy, Inline<2>> = Box::leak(Box::new(Keyed::new(Rate::per_second(1)).storage()));
        LIMITER.set(Some(limiter));
        for key in 0..10 {
            let refused = limiter.try_acquire(&Nosy(key), 1).map(drop);
            assert_eq!(refused.is_err(), key % 3 == 2);
            if refused.is_err() {
                aplomb_sim::sleep(secs(1)).await;
            }
        }
        LIMITER.set(None);
    });
}

/// As who asks for some is told, who has a key that is not known.
#[test]
fn by_a_rule_that_makes_no_sense_nothing_is_there() {
    let limiter = KeyedRateLimiter::<Sim, u8>::with_burst(Rate::new(1, Duration::MAX), 2);
    assert!(matches!(limiter.try_acquire(&7, 1), Err(RateLimitError::Config(ConfigError::Burst { .. }))));
    assert_eq!((limiter.snapshot(&7).available, limiter.snapshot(&8).available), (0, 0));
}

#[test]
fn wrong_settings_are_refused() {
    let refused = |limiter: Keyed<u8, Inline<4>>| limiter.check().unwrap_err().to_string();
    assert_eq!(refused(Keyed::new(Rate::per_second(1)).storage().capacity(5)), "capacity is 5, must be from 1 to 4");
    assert_eq!(refused(Keyed::new(Rate::per_second(1)).storage().max_concurrent(0)), "max_concurrent is 0, must be at least 1");
    assert_eq!(refused(Keyed::new(Rate::new(1, ms(0))).storage()), "per is 0ns, must be longer than zero");
    let unchecked: Keyed<u8, Inline<4>> = Keyed::new(Rate::per_second(0)).storage();
    aplomb_sim::block_on(async {
        assert!(matches!(unchecked.try_acquire(&1, 1), Err(RateLimitError::Config(_))));
        assert!(matches!(unchecked.acquire(&1, 1).await, Err(RateLimitError::Config(_))));
    });
}

/// What a key takes in place: 33 bytes in the table with a key of eight, and room for those who may wait for it.
#[test]
fn a_key_takes_little() {
    let one = size_of::<KeyedRateLimiter<Tokio, u64, TokenBucket, Inline<32>>>();
    let two = size_of::<KeyedRateLimiter<Tokio, u64, TokenBucket, Inline<48>>>();
    assert_eq!((two - one) / 16, 137);
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<KeyedRateLimiter<Tokio, String>>();
    let _ = <Tokio as Platform>::hash_seed;
};

/// Of each key, whoever waits for more than there can be any more is told so.
#[test]
fn a_smaller_burst_tells_all_who_wait_for_more() {
    aplomb_sim::block_on(async {
        let limiter: KeyedRateLimiter<Sim, u32> = KeyedRateLimiter::with_burst(Rate::per_second(1), 9);
        let mut told = Vec::new();
        for key in [1, 2] {
            limiter.try_acquire(&key, 9).unwrap();
            for n in [1, 8] {
                let mut waits = Box::pin(KeyedRateLimiter::acquire_own(&limiter, key, n, Deadline::NEVER));
                assert!(poll_once(waits.as_mut()).await.is_none());
                told.push(waits);
            }
        }
        limiter.set_rate(TokenBucket::new(Rate::per_second(1)).burst(4)).unwrap();
        let mut told = told.into_iter();
        while let (Some(goes), Some(is_told)) = (told.next(), told.next()) {
            assert_eq!(is_told.await.map(drop), Err(RateLimitError::TooManyPermits { requested: 8, most: 4 }));
            assert_eq!(aplomb_sim::now(), Instant::ORIGIN, "at once");
            drop(goes);
        }
    });
}

/// A rule of one's own that panics once leaves the line of its key as it stands.
#[test]
fn a_rule_that_panics_leaves_the_queue_of_its_key() {
    thread_local! {
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }

    #[derive(Clone, Copy)]
    struct Fragile(FixedWindow);

    impl Algorithm for Fragile {
        type State = <FixedWindow as Algorithm>::State;
        const START: Self::State = FixedWindow::START;

        fn try_take(&self, state: &mut Self::State, now: Instant, n: u32) -> Result<(), Refused> {
            assert!(!PANICS.get(), "on purpose");
            self.0.try_take(state, now, n)
        }

        fn reserve(&self, state: &mut Self::State, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
            self.0.reserve(state, now, not_before, n)
        }

        fn give_back(&self, state: &mut Self::State, now: Instant, n: u32, at: Instant) {
            self.0.give_back(state, now, n, at);
        }

        fn not_before(&self, state: &Self::State, now: Instant, ahead: u64, n: u32) -> Instant {
            self.0.not_before(state, now, ahead, n)
        }

        fn reserves_late(&self) -> bool {
            true
        }

        fn available(&self, state: &Self::State, now: Instant) -> u32 {
            self.0.available(state, now)
        }

        fn most(&self) -> u32 {
            self.0.most()
        }

        fn renewed_at(&self, state: &Self::State) -> Instant {
            self.0.renewed_at(state)
        }

        fn take_over(&self, state: &mut Self::State, from: &Self, now: Instant) {
            self.0.take_over(state, &from.0, now);
        }

        fn config_error(&self) -> Option<ConfigError> {
            self.0.config_error()
        }
    }

    aplomb_sim::block_on(async {
        let rule = Fragile(FixedWindow::new(Rate::per_second(1)));
        let users = KeyedRateLimiter::<Sim, u8, Fragile>::with_clock(SimClock, rule);
        users.try_acquire(&7, 1).unwrap();
        // It stands in the queue until somebody comes after it.
        let reserved = users.reserve(&7, 1).unwrap();
        PANICS.set(true);
        let mut panics = pin!(users.acquire(&7, 1));
        assert!(catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(&mut Context::from_waker(Waker::noop())))).is_err());
        PANICS.set(false);
        drop(reserved);
        assert_eq!(users.snapshot(&7).waiting, 0);
        let mut waits = pin!(users.acquire(&7, 1));
        assert!(poll_once(waits.as_mut()).await.is_none());
        let last = users.reserve(&7, 1).unwrap();
        assert_eq!((aplomb_sim::now(), last.at()), (at(0), at(2_000)));
        waits.await.unwrap();
        assert_eq!(aplomb_sim::now(), at(1_000));
    });
}

/// A key that breaks the law is never found. Nobody goes on looking for it for ever.
#[test]
fn a_key_that_is_not_equal_to_itself_is_turned_away() {
    #[derive(Clone)]
    struct Unlike;

    impl Hash for Unlike {
        fn hash<H: Hasher>(&self, _state: &mut H) {}
    }

    impl PartialEq for Unlike {
        fn eq(&self, _other: &Self) -> bool {
            false
        }
    }

    impl Eq for Unlike {}

    aplomb_sim::block_on(async {
        let users = Keyed::<Unlike, Inline<4>>::with_clock(SimClock, TokenBucket::new(Rate::per_second(1)));
        let refused = users.try_acquire(&Unlike, 1).unwrap_err();
        assert!(matches!(refused, RateLimitError::TableFull { retry_after: None, .. }), "{refused}");
    });
}
