//! An operation that panics, and whose future is kept: a task that catches the panic goes on, and what the call held is free all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, IntoFuture, Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::adaptive_limit::{Algorithm, Sample};
use aplomb::backoff::Constant;
use aplomb::edge::{Share, Trigger};
use aplomb::fallback::fallback;
use aplomb::hedge::After;
use aplomb::rate_limiter::Rate;
use aplomb::time::ms;
use aplomb::{
    AdaptiveLimit, Bulkhead, CircuitBreaker, ConfigError, Deadline, Heap, Hedge, Inline, Instant, KeyedRateLimiter, Pipeline,
    Pool, RateLimiter, Retry, RetryBudget, Throttle,
};
use aplomb_sim::{Sim, SimClock};
use futures_lite::future::yield_now;

type Outcome = Result<u32, &'static str>;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls it until it panics, which it does at the second poll at the latest.
fn panics<F: Future>(mut future: Pin<&mut F>) {
    for _ in 0..2 {
        match catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_pending())) {
            Ok(pending) => assert!(pending, "it panics"),
            Err(_) => return,
        }
    }
    unreachable!("it panics at the second poll at the latest");
}

/// An operation that panics when it is polled again, and holds something until then.
async fn explodes(held: Rc<()>) -> Outcome {
    yield_now().await;
    panic!("on purpose, with {}", Rc::strong_count(&held))
}

/// One that panics before there is a future.
fn never_starts() -> Ready<Outcome> {
    panic!("on purpose")
}

/// A kept call of each kind holds nothing any more: `free` says so.
fn check<A: Future, B: Future>(name: &str, call: impl FnOnce(Rc<()>) -> A, broken: impl FnOnce() -> B, free: impl Fn() -> bool) {
    assert!(free(), "{name}: before");
    let held = Rc::new(());
    let mut kept = pin!(call(Rc::clone(&held)));
    panics(kept.as_mut());
    assert!(free(), "{name}: a place is free again");
    assert_eq!(Rc::strong_count(&held), 1, "{name}: so is what the operation held");
    assert!(poll(kept.as_mut()).is_pending(), "{name}: and it never ends");
    let mut unborn = pin!(broken());
    panics(unborn.as_mut());
    assert!(free(), "{name}: also if it never was one");
    assert!(poll(unborn.as_mut()).is_pending(), "{name}: and it never ends");
}

#[test]
fn a_breaker_has_the_place_of_its_probe_back() {
    aplomb_sim::block_on(async {
        let breaker: CircuitBreaker<Sim> = CircuitBreaker::consecutive(1).open_for(ms(0));
        breaker.permit().unwrap().failure();
        let free = || breaker.permit().is_ok();
        check("run", |held| breaker.run(|| explodes(held)), || breaker.run(never_starts), free);
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
    check("run", |held| bulkhead.run(|| explodes(held)), || bulkhead.run(never_starts), free);
    check("try_run", |held| bulkhead.try_run(|| explodes(held)), || bulkhead.try_run(never_starts), free);
}

#[test]
fn a_bulkhead_has_its_place_back_from_one_who_waited() {
    let bulkhead: Bulkhead<Sim> = Bulkhead::new(1);
    let place = bulkhead.try_acquire();
    let (mut kept, mut unborn) = (pin!(bulkhead.run(|| explodes(Rc::default()))), pin!(bulkhead.run(never_starts)));
    assert!(poll(kept.as_mut()).is_pending() && poll(unborn.as_mut()).is_pending());
    drop(place);
    panics(kept);
    panics(unborn);
    assert_eq!(bulkhead.snapshot().running, 0);
}

#[test]
fn an_adaptive_limit_has_its_place_back() {
    let limit: AdaptiveLimit<Sim> = AdaptiveLimit::new().initial_limit(1);
    let free = || limit.try_acquire().is_ok();
    aplomb_sim::block_on(async {
        check("run", |held| limit.run(|| explodes(held)), || limit.run(never_starts), free);
        check("try_run", |held| limit.try_run(|| explodes(held)), || limit.try_run(never_starts), free);
        let place = limit.try_acquire();
        let (mut kept, mut unborn) = (pin!(limit.run(|| explodes(Rc::default()))), pin!(limit.run(never_starts)));
        assert!(poll(kept.as_mut()).is_pending() && poll(unborn.as_mut()).is_pending());
        drop(place);
        panics(kept);
        panics(unborn);
        assert_eq!((limit.snapshot().in_flight, limit.limit()), (0, 1));
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
        check("run", |held| limiter.run(|| explodes(held)), || limiter.run(never_starts), free);
    });
    let keyed: KeyedRateLimiter<Sim, u32> = KeyedRateLimiter::new(Rate::per_second(1_000)).max_concurrent(1);
    let free = || keyed.snapshot(&7).running == Some(0);
    aplomb_sim::block_on(async {
        check("keyed", |held| keyed.run(&7, || explodes(held)), || keyed.run(&7, never_starts), free);
    });
}

#[test]
fn a_pool_has_its_place_back() {
    let pool: Pool<Sim> = Pool::new(1);
    let free = || pool.snapshot().running == 0;
    check("run", |held| pool.run(|| explodes(held)), || pool.run(never_starts), free);
    assert_eq!(pool.snapshot().cancelled, 2);
    let mut next = pin!(pool.run(|| ready::<Outcome>(Ok(1))));
    assert!(poll(next.as_mut()).is_ready());
}

#[test]
fn callers_that_share_go_on() {
    let throttle: Throttle<Sim, Share<Outcome, Heap>> = Throttle::shared(ms(10)).trailing(false);
    aplomb_sim::block_on(async {
        let mut kept = pin!(throttle.call(|| explodes(Rc::default())));
        assert!(poll(kept.as_mut()).is_pending());
        let mut follows = pin!(throttle.call(|| ready(Ok(8))));
        assert!(poll(follows.as_mut()).is_pending());
        panics(kept);
        assert_eq!(follows.await, Ok(8));
    });
}

#[test]
fn callers_that_share_go_on_if_there_never_was_an_operation() {
    let throttle: Throttle<Sim, Share<Outcome, Heap>> = Throttle::shared(ms(10));
    aplomb_sim::block_on(async {
        let mut kept = pin!(throttle.call(never_starts));
        panics(kept.as_mut());
        let next = throttle.call(|| ready(Ok(8)));
        assert_eq!(next.await, Ok(8));
        assert!(poll(kept).is_pending());
    });
}

#[test]
fn another_may_drive() {
    let knob: Throttle<Sim, Trigger<u32>> = Throttle::triggered(ms(10));
    aplomb_sim::block_on(async {
        knob.trigger(1);
        let mut kept = pin!(knob.run(async |value| assert!(value > 1, "on purpose")));
        panics(kept.as_mut());
        knob.trigger(2);
        assert_eq!(knob.next().await, Ok(2));
        assert!(poll(kept).is_pending(), "it goes on");
    });
}

#[test]
fn a_hedge_has_dropped_all_its_starts() {
    let hedge: Hedge<Sim, After, Inline<2>> = Hedge::after(ms(0)).storage().max_hedges(2);
    aplomb_sim::block_on(async {
        let call = |held| {
            // The first start has it.
            let mut held = Some(held);
            hedge.run(move || explodes(held.take().unwrap_or_default()))
        };
        check("run", call, || hedge.run(never_starts), || true);
        let held = Rc::new(());
        let mut others = pin!(hedge.run_numbered(|start| {
            let held = Rc::clone(&held);
            async move { if start == 3 { explodes(held).await } else { pending().await } }
        }));
        panics(others.as_mut());
        assert_eq!(Rc::strong_count(&held), 1);
        assert!(poll(others).is_pending());
        let mut unborn = pin!(hedge.run_numbered(|start| {
            assert!(start < 2, "on purpose");
            pending::<Outcome>()
        }));
        panics(unborn.as_mut());
        assert!(poll(unborn).is_pending());
    });
}

#[test]
fn a_fallback_has_dropped_what_ran() {
    let fails = || ready(Outcome::Err("down"));
    check("operation", |held| fallback(explodes(held), |_| fails()), || fallback(fails(), |_| never_starts()), || true);
    check("alternative", |held| fallback(fails(), |_| explodes(held)), || fallback(fails(), |_| never_starts()), || true);
}

#[test]
fn a_budget_has_back_what_was_paid_for_a_retry_that_never_starts() {
    let budget: RetryBudget<Sim> = RetryBudget::new(100);
    let retry = || Retry::<Sim>::new().budget(&budget).backoff(Constant::every(ms(0)));
    aplomb_sim::block_on(async {
        let hook = retry().call(|| ready(Err::<u32, _>("busy"))).between(|_| async { panic!("on purpose") });
        let mut hook = pin!(hook.into_future());
        panics(hook.as_mut());
        assert_eq!(budget.available(), 100);
        assert!(poll(hook).is_pending());
        let observer = retry().call(|| ready(Err::<u32, _>("busy"))).notify(|_| panic!("on purpose"));
        let mut observer = pin!(observer.into_future());
        panics(observer.as_mut());
        assert_eq!(budget.available(), 100);
    });
}

/// Nothing is started again in a pipeline, whatever layer is around it.
#[test]
fn a_pipeline_starts_once_what_panics() {
    let starts = Cell::new(0);
    let start = || {
        starts.set(starts.get() + 1);
        never_starts()
    };
    let (limiter, limit) = (RateLimiter::<Sim>::new(Rate::per_second(1_000)), AdaptiveLimit::<Sim>::new());
    let (breaker, bulkhead) = (CircuitBreaker::<Sim>::consecutive(9), Bulkhead::<Sim>::new(1));
    let hedge: Hedge<Sim, After, Inline<2>> = Hedge::after(ms(0)).storage();
    let new = Pipeline::<Sim>::new;
    let retry = || Retry::<Sim>::new().backoff(Constant::every(ms(0)));
    let deadline = Deadline::at(Instant::MAX);
    macro_rules! check {
        ($($pipeline:expr),+ $(,)?) => { $(
            let pipeline = $pipeline;
            let mut kept = pin!(pipeline.run(start));
            panics(kept.as_mut());
            assert!(poll(kept).is_pending(), "{}", stringify!($pipeline));
            assert_eq!(starts.take(), 1, "{}", stringify!($pipeline));
        )+ };
    }
    aplomb_sim::block_on(async {
        check!(
            new(),
            new().timeout(ms(1)),
            new().timeout_at(deadline),
            new().retry(retry()),
            new().retry_rejected(retry()),
            new().rate_limiter(&limiter),
            new().circuit_breaker(&breaker),
            new().bulkhead(&bulkhead),
            new().adaptive_limit(&limit),
            new().hedge(&hedge),
            new().fallback_value(7),
            new().retry(retry()).timeout(ms(1)).bulkhead(&bulkhead),
        );
    });
}
