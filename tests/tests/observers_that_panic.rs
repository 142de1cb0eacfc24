//! Observers that panic: what a call held is free, and whoever waits for it is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::adaptive_limit::{self, AdaptiveLimit, Gradient, IgnoreErrors};
use aplomb::backoff::Constant;
use aplomb::batcher::{self, Batcher};
use aplomb::bulkhead::{self, Bulkhead};
use aplomb::circuit_breaker::{self, AnyError, CircuitBreaker, Consecutive, KeyedCircuitBreaker};
use aplomb::hedge::{self, After, Hedge, NoneFatal};
use aplomb::key::FoldHash;
use aplomb::rate_limiter::{self, Rate, RateLimiter, TokenBucket};
use aplomb::single_flight::{self, Restarts, SingleFlight};
use aplomb::time::ms;
use aplomb::{Heap, Inline};
use aplomb_sim::Sim;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_rate_limiter_gives_a_place_back_if_the_observer_panics() {
    let built = RateLimiter::<Sim>::new(Rate::per_second(10)).max_concurrent(1);
    let limiter: RateLimiter<Sim, TokenBucket, Heap, _> = built.observed_by(|event: &rate_limiter::Event| {
        assert!(!matches!(event, rate_limiter::Event::Admitted { .. }), "on purpose");
    });
    aplomb_sim::block_on(async {
        let held = limiter.try_acquire(1);
        let mut waits = pin!(limiter.acquire(1));
        assert!(poll(waits.as_mut()).is_pending());
        drop(held);
        assert!(catch_unwind(AssertUnwindSafe(|| poll(waits.as_mut()).is_ready())).is_err());
        assert_eq!(limiter.snapshot().running, Some(0));
        assert!(poll(waits).is_pending());
    });
}

/// A call that is kept though it has panicked stands in no queue, where it would have a place in the end.
#[test]
fn a_call_does_not_wait_any_more_if_the_observer_panics() {
    let built = Bulkhead::<Sim>::new(1);
    let bulkhead: Bulkhead<Sim, Heap, _> = built.observed_by(|event: &bulkhead::Event| {
        assert!(!matches!(event, bulkhead::Event::Waiting { .. }), "on purpose");
    });
    let built = AdaptiveLimit::<Sim>::new().initial_limit(1);
    let limit: AdaptiveLimit<Sim, Gradient, IgnoreErrors, Heap, _> = built.observed_by(|event: &adaptive_limit::Event| {
        assert!(!matches!(event, adaptive_limit::Event::Waiting { .. }), "on purpose");
    });
    aplomb_sim::block_on(async {
        let held = (bulkhead.try_acquire(), limit.try_acquire());
        let (mut kept, mut kept_too) =
            (pin!(bulkhead.run(pending::<Result<(), ()>>)), pin!(limit.run(pending::<Result<(), ()>>)));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(kept.as_mut()).is_ready())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(kept_too.as_mut()).is_ready())).is_err());
        assert_eq!((bulkhead.snapshot().waiting, limit.snapshot().waiting), (0, 0));
        drop(held);
        assert_eq!((bulkhead.snapshot().running, limit.snapshot().in_flight), (0, 0));
        assert!(poll(kept).is_pending() && poll(kept_too).is_pending());
    });
}

#[test]
fn a_hedge_drops_all_if_the_observer_panics() {
    let built = Hedge::<Sim>::after(ms(0));
    let hedge: Hedge<Sim, After, Inline<1>, NoneFatal, _> = built.observed_by(|_: &hedge::Event| panic!("on purpose"));
    aplomb_sim::block_on(async {
        let held = Rc::new(());
        let mut call = pin!(hedge.run(|| {
            let held = Rc::clone(&held);
            async move { pending::<Result<Rc<()>, ()>>().await.map(|_| held) }
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(call.as_mut()).is_ready())).is_err());
        assert_eq!((Rc::strong_count(&held), hedge.snapshot().hedges), (1, 1));
        assert!(poll(call).is_pending());
    });
}

#[test]
fn a_place_is_given_back_if_the_observer_panics() {
    let bulkhead: Bulkhead<Sim, Heap, _> = Bulkhead::<Sim>::new(1).observed_by(|event: &bulkhead::Event| {
        assert!(!matches!(event, bulkhead::Event::Admitted { .. }), "on purpose");
    });
    aplomb_sim::block_on(async {
        let held = bulkhead.try_acquire();
        let mut waits = pin!(bulkhead.acquire());
        assert!(poll(waits.as_mut()).is_pending());
        drop(held);
        assert!(catch_unwind(AssertUnwindSafe(|| poll(waits.as_mut()).is_ready())).is_err());
        assert_eq!(bulkhead.snapshot().running, 0);
        assert!(poll(waits).is_pending());
    });
}

#[test]
fn a_breaker_has_the_place_of_its_probe_back_if_the_observer_panics() {
    use circuit_breaker::{Event, KeyedEvent, State};
    const fn is_probe(event: &Event) -> bool {
        matches!(event, Event::Changed { to: State::HalfOpen, .. })
    }
    let each = || CircuitBreaker::<Sim>::consecutive(1).open_for(ms(10));
    let breaker = each().observed_by(|event: &Event| assert!(!is_probe(event), "on purpose"));
    let keyed: KeyedCircuitBreaker<Sim, u8, Consecutive, Constant, AnyError, Heap, FoldHash, 1, _> =
        KeyedCircuitBreaker::new(each()).observed_by(|told: &KeyedEvent<u8>| assert!(!is_probe(&told.event), "on purpose"));
    aplomb_sim::block_on(async {
        breaker.permit().unwrap().failure();
        keyed.permit(&7).unwrap().failure();
        aplomb_sim::sleep(ms(10)).await;
        assert!(catch_unwind(AssertUnwindSafe(|| breaker.permit().is_ok())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| keyed.permit(&7).is_ok())).is_err());
        assert_eq!((breaker.snapshot().probes, keyed.snapshot(&7).probes), (0, 0));
        breaker.permit().unwrap().success();
        keyed.permit(&7).unwrap().success();
        assert!(keyed.forget(&7), "no call of it is under way");
    });
}

#[test]
fn a_change_is_told_to_all_who_wait_if_the_observer_panics_or_a_waker() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("on purpose")
        }
    }
    let breaker = CircuitBreaker::<Sim>::consecutive(1).observed_by(|_: &circuit_breaker::Event| panic!("on purpose"));
    let flag = || Arc::new(Flag(AtomicBool::new(false)));
    let (first, last) = (flag(), flag());
    let wakers = [Waker::from(Arc::clone(&first)), Waker::from(Arc::new(Bad)), Waker::from(Arc::clone(&last))];
    aplomb_sim::block_on(async {
        for is_bad in [false, true] {
            let mut waits = [Box::pin(breaker.changed()), Box::pin(breaker.changed()), Box::pin(breaker.changed())];
            let listening = wakers.iter().enumerate().filter(|(index, _)| *index != 1 || is_bad);
            for ((_, waker), waits) in listening.zip(&mut waits) {
                assert!(waits.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            assert!(catch_unwind(AssertUnwindSafe(|| if is_bad { breaker.disable() } else { breaker.force_open() })).is_err());
            assert!([&first, &last].iter().all(|flag| flag.0.swap(false, Ordering::Relaxed)), "{is_bad}");
        }
    });
}

/// Whether it was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_batch_is_handed_over_if_the_observer_panics() {
    let built = Batcher::<Sim, u32, u32, u32>::new(2);
    let batcher = built.observed_by(|event: &batcher::Event| {
        assert!(!matches!(event, batcher::Event::HandedOver { .. }), "on purpose");
    });
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    aplomb_sim::block_on(async {
        let mut follows = pin!(batcher.call(1, async |items: Vec<u32>| Ok(items)));
        assert!(follows.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut leads = Box::pin(batcher.call(2, async |_: Vec<u32>| pending::<Result<[u32; 2], u32>>().await));
        assert!(poll(leads.as_mut()).is_pending());
        flag.0.store(false, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(leads))).is_err());
        assert!(flag.0.load(Ordering::Relaxed), "the next one is told to lead");
        assert_eq!(follows.await, Ok(1));
    });
}

#[test]
fn nobody_hands_over_to_one_whose_observer_panics() {
    let flights: SingleFlight<Sim, u8, u32, u32, Restarts, Heap, FoldHash, 1, _> = SingleFlight::<Sim, u8, u32, u32>::new()
        .observed_by(|event: &single_flight::Event| {
            assert!(!matches!(event, single_flight::Event::Shared), "on purpose");
        });
    aplomb_sim::block_on(async {
        let mut leads = Box::pin(flights.run(&7, pending::<Result<u32, u32>>));
        let mut kept = pin!(flights.run(&7, pending::<Result<u32, u32>>));
        assert!(poll(leads.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(kept.as_mut()).is_ready())).is_err());
        drop(leads);
        assert_eq!(flights.run(&7, async || Ok(1)).await, Ok(1));
    });
}
