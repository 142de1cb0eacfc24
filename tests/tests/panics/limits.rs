//! What lets so many in: the place of a call that panics is free.

use std::cell::Cell;
use std::future::ready;
use std::mem::{ManuallyDrop, replace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::thread::panicking;

use aplomb::adaptive_limit::{Algorithm, Sample};
use aplomb::rate_limiter::{self, Rate, Refused};
use aplomb::time::{ms, secs};
use aplomb::{AdaptiveLimit, Bulkhead, CircuitBreaker, ConfigError, Instant, KeyedRateLimiter, Pool, RateLimiter};
use aplomb_sim::{Sim, SimClock};

use super::{EVER, Outcome, check, explodes, never_starts, panics, poll};

#[test]
fn a_breaker_has_the_place_of_its_probe_back() {
    aplomb_sim::block_on(async {
        let breaker: CircuitBreaker<Sim> = CircuitBreaker::consecutive(1).open_for(ms(0));
        breaker.permit().unwrap().failure();
        let free = || breaker.permit().is_ok();
        check("run", |operation| breaker.run(|| operation), || breaker.run(never_starts), free);
    });
}

#[test]
fn a_limit_whose_rule_panics_has_its_place_back() {
    #[derive(Clone, Copy)]
    struct Panics;

    impl Algorithm for Panics {
        type State = ();
        const START: () = ();

        fn measured(&self, (): &mut (), _limit: u32, _sample: &Sample) -> u32 {
            panic!("on purpose")
        }

        fn overloaded(&self, (): &mut (), _limit: u32) -> u32 {
            panic!("on purpose")
        }

        fn config_error(&self) -> Option<ConfigError> {
            None
        }
    }

    aplomb_sim::block_on(async {
        let limit: AdaptiveLimit<Sim, Panics> =
            AdaptiveLimit::with_clock(SimClock, Panics).initial_limit(1).min_calls(1).window(ms(0));
        let permit = limit.acquire().await.unwrap();
        aplomb_sim::sleep(ms(1)).await;
        assert!(catch_unwind(AssertUnwindSafe(|| permit.success())).is_err());
        assert_eq!(limit.snapshot().in_flight, 0);
    });
}

#[test]
fn a_bulkhead_has_its_place_back() {
    let bulkhead: Bulkhead<Sim> = Bulkhead::new(1);
    let free = || bulkhead.try_acquire().is_ok();
    check("run", |operation| bulkhead.run(|| operation), || bulkhead.run(never_starts), free);
    check("try_run", |operation| bulkhead.try_run(|| operation), || bulkhead.try_run(never_starts), free);
}

#[test]
fn a_bulkhead_has_its_place_back_from_one_who_waited() {
    let bulkhead: Bulkhead<Sim> = Bulkhead::new(1);
    for when in EVER {
        let place = bulkhead.try_acquire();
        let operation = explodes(when, &Rc::default());
        let (mut kept, mut unborn) = (pin!(bulkhead.run(|| operation)), pin!(bulkhead.run(never_starts)));
        assert!(poll(kept.as_mut()).is_pending() && poll(unborn.as_mut()).is_pending());
        drop(place);
        panics(kept);
        panics(unborn);
        assert_eq!(bulkhead.snapshot().running, 0);
    }
}

#[test]
fn an_adaptive_limit_has_its_place_back() {
    let limit: AdaptiveLimit<Sim> = AdaptiveLimit::new().initial_limit(1);
    let free = || limit.try_acquire().is_ok();
    aplomb_sim::block_on(async {
        check("run", |operation| limit.run(|| operation), || limit.run(never_starts), free);
        check("try_run", |operation| limit.try_run(|| operation), || limit.try_run(never_starts), free);
        for when in EVER {
            let place = limit.try_acquire();
            let operation = explodes(when, &Rc::default());
            let (mut kept, mut unborn) = (pin!(limit.run(|| operation)), pin!(limit.run(never_starts)));
            assert!(poll(kept.as_mut()).is_pending() && poll(unborn.as_mut()).is_pending());
            drop(place);
            panics(kept);
            panics(unborn);
            assert_eq!((limit.snapshot().in_flight, limit.limit()), (0, 1));
        }
    });
}

/// A judge that panics is a caller's code, as its operation is.
#[test]
fn an_adaptive_limit_has_its_place_back_from_its_judge() {
    let limit = AdaptiveLimit::<Sim>::new().initial_limit(1).overload_if(|_: &&str| panic!("on purpose"));
    aplomb_sim::block_on(async {
        let mut kept = pin!(limit.run(async || Err::<u32, _>("down")));
        panics(kept.as_mut());
        assert_eq!(limit.snapshot().in_flight, 0);
        assert!(poll(kept).is_pending());
    });
}

#[test]
fn a_rate_limiter_has_its_place_back() {
    let limiter: RateLimiter<Sim> = RateLimiter::new(Rate::per_second(1_000)).max_concurrent(1);
    let free = || limiter.snapshot().running == Some(0);
    aplomb_sim::block_on(async {
        check("run", |operation| limiter.run(|| operation), || limiter.run(never_starts), free);
    });
    let keyed: KeyedRateLimiter<Sim, u32> = KeyedRateLimiter::new(Rate::per_second(1_000)).max_concurrent(1);
    let free = || keyed.snapshot(&7).running == Some(0);
    aplomb_sim::block_on(async {
        check("keyed", |operation| keyed.run(&7, || operation), || keyed.run(&7, never_starts), free);
    });
}

/// The one that is forgotten for another one.
#[test]
fn a_rate_limiter_whose_key_panics_has_its_place_back() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Key {
        number: u32,
        is_bad: bool,
    }

    impl Drop for Key {
        fn drop(&mut self) {
            assert!(!self.is_bad || panicking(), "on purpose, in a drop");
        }
    }

    let (new, bad) = (Key { number: 1, is_bad: false }, ManuallyDrop::new(Key { number: 2, is_bad: true }));
    let limiter = KeyedRateLimiter::<Sim, Key>::new(Rate::per_second(1)).capacity(1).max_concurrent(1);
    aplomb_sim::block_on(async {
        drop(limiter.try_acquire(&*bad, 1).unwrap());
        aplomb_sim::sleep(secs(1)).await;
        assert!(catch_unwind(AssertUnwindSafe(|| limiter.try_acquire(&new, 1).is_ok())).is_err());
        assert_eq!(limiter.snapshot(&new).running, Some(0));
        assert!(limiter.try_acquire(&new, 1).is_ok());
    });
}

/// The rule panics when the reservation behind has its turn: nobody runs then.
#[test]
fn a_rate_limiter_whose_rule_panics_has_its_place_back() {
    thread_local! {
        static PANICKED: Cell<bool> = const { Cell::new(false) };
    }

    #[derive(Clone, Copy)]
    struct Panics;

    impl rate_limiter::Algorithm for Panics {
        type State = bool;
        const START: bool = false;

        fn try_take(&self, taken: &mut bool, now: Instant, _: u32) -> Result<(), Refused> {
            if replace(taken, true) && now < Instant::ORIGIN + ms(10) {
                Err(Refused::Until(Instant::ORIGIN + ms(10)))
            } else {
                Ok(())
            }
        }

        fn reserve(&self, _: &mut bool, now: Instant, not_before: Instant, _: u32) -> Option<Instant> {
            assert!(now < Instant::ORIGIN + ms(10) || PANICKED.replace(true), "on purpose");
            Some(not_before)
        }

        fn give_back(&self, _: &mut bool, _now: Instant, _: u32, _at: Instant) {}

        fn available(&self, _: &bool, _now: Instant) -> u32 {
            1
        }

        fn most(&self) -> u32 {
            1
        }

        fn renewed_at(&self, _: &bool) -> Instant {
            Instant::MAX
        }

        fn take_over(&self, _: &mut bool, _from: &Self, _now: Instant) {}

        fn config_error(&self) -> Option<ConfigError> {
            None
        }
    }

    let limiter = RateLimiter::<Sim, _>::with_clock(SimClock, Panics).max_concurrent(1);
    aplomb_sim::block_on(async {
        drop(limiter.try_acquire(1).unwrap());
        let mut waits = pin!(limiter.acquire(1));
        assert!(poll(waits.as_mut()).is_pending());
        let (_reserved, mut behind) = (limiter.reserve(1).unwrap(), pin!(limiter.acquire(1)));
        assert!(poll(behind.as_mut()).is_pending());
        aplomb_sim::sleep(ms(10)).await;
        panics(waits);
        assert_eq!(limiter.snapshot().running, Some(0));
    });
}

#[test]
fn a_pool_has_its_place_back() {
    let pool: Pool<Sim> = Pool::new(1);
    let free = || pool.snapshot().running == 0;
    check("run", |operation| pool.run(|| operation), || pool.run(never_starts), free);
    assert_eq!(pool.snapshot().cancelled, 3);
    let mut next = pin!(pool.run(|| ready::<Outcome>(Ok(1))));
    assert!(poll(next.as_mut()).is_ready());
}
