//! Permits that were taken, not used, and given back: never is there more for it than if they had not been taken.

use aplomb::Instant;
use aplomb::rate_limiter::{Algorithm, FixedWindow, Log, Rate, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb_sim::prelude::*;
use fastrand::Rng;

use crate::seeds;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// A permit that was taken then, and is used or held.
#[derive(Clone, Copy)]
struct Taken {
    at: u64,
    is_held: bool,
}

/// Calls take permits at random, and a third of them give theirs back after a while.
fn play<A: Algorithm>(rule: &A, seed: u64, mut check: impl FnMut(&A::State, &[Taken], u64)) {
    let mut rng = Rng::with_seed(seed);
    let (mut state, mut taken, mut now) = (A::START, Vec::new(), 0);
    for _ in 0..80 {
        now += {
            let most = rng.choice([1, 40, 400, 2_000]).unwrap();
            rng.u64(0..most)
        };
        let held: Vec<usize> = (0..taken.len()).filter(|&index| matches!(taken[index], Taken { is_held: true, .. })).collect();
        match rng.choice(held).filter(|_| rng.bool()) {
            Some(index) => {
                let Taken { at: then, .. } = taken.remove(index);
                rule.give_back(&mut state, at(now), 1, at(then));
            }
            None if rule.try_take(&mut state, at(now), 1).is_ok() => taken.push(Taken { at: now, is_held: rng.u8(..3) == 0 }),
            None => {}
        }
        check(&state, &taken, now);
    }
}

/// What there would be if those alone had been taken.
fn available_as_if<A: Algorithm>(rule: &A, taken: &[Taken], now: u64) -> u32 {
    let mut state = A::START;
    for permit in taken {
        rule.try_take(&mut state, at(permit.at), 1).expect("there was as much");
    }
    rule.available(&state, at(now))
}

#[test]
fn there_is_never_more_than_if_they_had_not_been_taken() {
    for seed in seeds(300) {
        for (permits, burst) in [(3, 1), (3, 4), (1, 1), (7, 7)] {
            let rule = TokenBucket::new(Rate::new(permits, ns(1_000))).burst(burst);
            play(&rule, seed, |state, taken, now| {
                let (there, expected) = (rule.available(state, at(now)), available_as_if(&rule, taken, now));
                assert!(there <= expected, "seed {seed}, {permits} and {burst} at {now}: {there}, not {expected}");
            });
        }
        let rule = SlidingWindow::<Heap>::new(Rate::new(4, ns(1_000)));
        play(&rule, seed, |state: &Log<Heap>, taken, now| {
            assert_eq!(rule.available(state, at(now)), available_as_if(&rule, taken, now), "seed {seed} at {now}");
        });
        // Their windows may begin with a permit that was not used.
        let rule = FixedWindow::new(Rate::new(4, ns(1_000)));
        play(&rule, seed, |_, taken, now| {
            let of_late = taken.iter().filter(|permit| permit.at + 1_000 > now).count();
            assert!(of_late <= 8, "seed {seed} at {now}: {of_late}");
        });
    }
}

const fn ns(nanos: u64) -> core::time::Duration {
    core::time::Duration::from_nanos(nanos)
}

/// What comes back, in permits that are there once the hold is over.
fn left<A: Algorithm>(rule: &A, held: u64) -> u32 {
    let mut state = A::START;
    rule.try_take(&mut state, at(5_000), 1).unwrap();
    rule.give_back(&mut state, at(5_000 + held), 1, at(5_000));
    rule.available(&state, at(5_000 + held))
}

#[test]
fn one_that_is_given_back_can_be_taken_again() {
    for held in [0, 1, 300, 999] {
        assert_eq!(left(&TokenBucket::new(Rate::new(1, ns(1_000))), held), 1, "{held}");
        assert_eq!(left(&TokenBucket::new(Rate::new(3, ns(1_000))), held), 3, "{held}");
        assert_eq!(left(&FixedWindow::new(Rate::new(2, ns(1_000))), held), 2, "{held}");
        assert_eq!(left(&SlidingWindow::<Heap>::new(Rate::new(2, ns(1_000))), held), 2, "{held}");
        assert_eq!(left(&SlidingCounter::new(Rate::new(2, ns(1_000))), held), 2, "{held}");
    }
}

/// A window that came later has none of it.
#[test]
fn what_is_over_is_not_given_back() {
    let fixed = FixedWindow::new(Rate::new(2, ns(1_000)));
    let mut state = FixedWindow::START;
    fixed.try_take(&mut state, at(5_000), 1).unwrap();
    fixed.try_take(&mut state, at(6_000), 2).unwrap();
    fixed.give_back(&mut state, at(6_100), 1, at(5_000));
    assert_eq!(fixed.available(&state, at(6_100)), 0);

    let counter = SlidingCounter::new(Rate::new(2, ns(1_000)));
    let mut state = SlidingCounter::START;
    counter.try_take(&mut state, at(5_000), 1).unwrap();
    counter.try_take(&mut state, at(6_000), 1).unwrap();
    counter.give_back(&mut state, at(6_100), 1, at(5_000));
    assert_eq!(counter.available(&state, at(6_100)), 0);
}

#[test]
fn a_reservation_that_rests_on_it_keeps_it() {
    aplomb_sim::block_on(async {
        let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1);
        let permit = limiter.try_acquire(1).unwrap();
        let next = limiter.reserve(1).unwrap();
        permit.give_back();
        assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(secs(2)));
        assert_eq!(next.delay(), secs(1));
    });
}

/// Whoever waits for it goes at once.
#[test]
fn it_goes_to_whoever_waits() {
    aplomb_sim::block_on(async {
        static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_hour(1), 1);
        static USERS: KeyedRateLimiter<u8> = KeyedRateLimiter::with_burst(Rate::per_hour(1), 1);
        let (permit, of_user) = (LIMITER.try_acquire(1).unwrap(), USERS.try_acquire(&7, 1).unwrap());
        let waits = aplomb_sim::spawn("waits", async { LIMITER.acquire(1).await.map(|_| aplomb_sim::now()) });
        let of_key = aplomb_sim::spawn("of a key", async { USERS.acquire(&7, 1).await.map(|_| aplomb_sim::now()) });
        aplomb_sim::sleep(secs(1)).await;
        let now = aplomb_sim::now();
        permit.give_back();
        KeyedRateLimiter::give_back(of_user, &7);
        assert_eq!(waits.await.unwrap().unwrap(), now);
        assert_eq!(of_key.await.unwrap().unwrap(), now);
    });
}

/// Of a key that has been forgotten meanwhile, nothing comes back; and one that is as good as new again makes room.
#[test]
fn keys_come_and_go() {
    aplomb_sim::block_on(async {
        let users: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1)).capacity(1);
        let permit = users.try_acquire(&7, 1).unwrap();
        assert!(users.forget(&7));
        KeyedRateLimiter::give_back(permit, &7);
        assert!(users.is_empty());
        aplomb_sim::sleep(ns(1)).await;
        let permit = users.try_acquire(&7, 1).unwrap();
        assert!(users.try_acquire(&8, 1).is_err(), "the table is full");
        KeyedRateLimiter::give_back(permit, &7);
        assert!(users.try_acquire(&8, 1).is_ok());
    });
}

/// What has dripped in by a quick rate, a slow one does not know of.
#[test]
fn nothing_comes_back_that_was_taken_by_another_rule() {
    aplomb_sim::block_on(async {
        let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 5);
        let users: KeyedRateLimiter<u8> = KeyedRateLimiter::with_burst(Rate::per_second(10), 5);
        let (permit, of_user) = (limiter.try_acquire(2).unwrap(), users.try_acquire(&7, 2).unwrap());
        aplomb_sim::sleep(ms(500)).await;
        // The bucket is full again.
        limiter.try_acquire(3).unwrap();
        users.try_acquire(&7, 3).unwrap();
        limiter.set_rate(Rate::per_second(1)).unwrap();
        users.set_rate(Rate::per_second(1)).unwrap();
        permit.give_back();
        KeyedRateLimiter::give_back(of_user, &7);
        assert_eq!((limiter.snapshot().available, users.snapshot(&7).available), (2, 2));
        // By the rule of now, as ever.
        aplomb_sim::sleep(ns(1)).await;
        limiter.try_acquire(2).unwrap().give_back();
        KeyedRateLimiter::give_back(users.try_acquire(&7, 2).unwrap(), &7);
        assert_eq!((limiter.snapshot().available, users.snapshot(&7).available), (2, 2));
    });
}

/// Whoever forgets a key gives all of its permits back with that, and they come back once.
#[test]
fn nothing_comes_back_of_a_key_that_was_forgotten() {
    aplomb_sim::block_on(async {
        for hold in [0, 5] {
            let users: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
            let permit = users.try_acquire(&7, 1).unwrap();
            aplomb_sim::sleep(secs(hold)).await;
            assert!(users.forget(&7));
            users.try_acquire(&7, 1).unwrap();
            KeyedRateLimiter::give_back(permit, &7);
            assert!(users.try_acquire(&7, 1).is_err(), "one a day");
        }
    });
}

/// A key of which something is reserved, or that a counted call runs for, is not forgotten: what comes back is its own.
#[test]
fn what_holds_its_key_comes_back_though_another_one_was_forgotten() {
    aplomb_sim::block_on(async {
        let users: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1)).max_concurrent(1);
        users.try_acquire(&7, 1).unwrap();
        let permit = users.try_acquire(&8, 1).unwrap();
        aplomb_sim::sleep(secs(1)).await;
        assert!(users.forget(&7) && !users.forget(&8));
        KeyedRateLimiter::give_back(permit, &8);
        assert_eq!(users.snapshot(&8).available, 1);

        let users: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
        users.try_acquire(&7, 1).unwrap();
        users.try_acquire(&8, 1).unwrap();
        let reserved = users.reserve(&8, 1).unwrap();
        aplomb_sim::sleep(secs(1)).await;
        assert!(users.forget(&7));
        drop(reserved);
        assert_eq!(users.reserve(&8, 1).unwrap().at(), Instant::ORIGIN + secs(86_401));
    });
}

/// What was reserved by a slow rate has dripped in again by a quick one, long before its instant.
#[test]
fn nothing_comes_back_that_was_reserved_by_another_rule() {
    aplomb_sim::block_on(async {
        let limiter: RateLimiter = RateLimiter::new(Rate::per_second(5));
        let users: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_second(5));
        limiter.try_acquire(5).unwrap();
        users.try_acquire(&7, 5).unwrap();
        let (reserved, of_user) = (limiter.reserve(5).unwrap(), users.reserve(&7, 5).unwrap());
        let quick = TokenBucket::new(Rate::per_second(500)).burst(5);
        limiter.set_rate(quick).unwrap();
        users.set_rate(quick).unwrap();
        aplomb_sim::sleep(ms(500)).await;
        limiter.try_acquire(5).unwrap();
        users.try_acquire(&7, 5).unwrap();
        drop((reserved, of_user));
        assert_eq!((limiter.snapshot().available, users.snapshot(&7).available), (0, 0));
    });
}
