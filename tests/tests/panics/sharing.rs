//! What calls others, or for others: they go on.

use std::cell::Cell;
use std::future::{Future, IntoFuture, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::backoff::Constant;
use aplomb::children::{FutureGroup, Turn};
use aplomb::edge::{Share, Trigger};
use aplomb::fallback::fallback;
use aplomb::hedge::After;
use aplomb::rate_limiter::Rate;
use aplomb::time::ms;
use aplomb::{
    AdaptiveLimit, BatchError, Batcher, Bulkhead, Cache, CircuitBreaker, Deadline, Heap, Hedge, Inline, Instant, JobSet,
    ParentWaker, Pipeline, RateLimiter, Retry, RetryBudget, SingleFlight, Throttle,
};
use aplomb_sim::Sim;
use futures_lite::Stream;
use futures_lite::future::{yield_now, zip};

use super::{EVER, Explodes, Outcome, When, check, explodes, never_starts, panics, poll};

#[test]
fn callers_that_share_go_on() {
    let throttle: Throttle<Sim, Share<Outcome, Heap>> = Throttle::shared(ms(10)).trailing(false);
    aplomb_sim::block_on(async {
        for when in EVER {
            let operation = explodes(when, &Rc::default());
            let mut kept = pin!(throttle.call(|| operation));
            assert!(poll(kept.as_mut()).is_pending());
            let mut follows = pin!(throttle.call(|| ready(Ok(8))));
            assert!(poll(follows.as_mut()).is_pending());
            panics(kept);
            assert_eq!(follows.await, Ok(8));
            aplomb_sim::sleep(ms(10)).await;
        }
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
        let call = |operation: Explodes| {
            let when = operation.when;
            // The first start has it.
            let mut first = Some(operation);
            hedge.run(move || first.take().unwrap_or_else(|| explodes(when, &Rc::default())))
        };
        check("run", call, || hedge.run(never_starts), || true);
        for when in EVER {
            let held = Rc::new(());
            let start = |start| explodes(if start == 3 { when } else { When::Never }, &held);
            let mut others = pin!(hedge.run_numbered(start));
            panics(others.as_mut());
            assert_eq!(Rc::strong_count(&held), 1);
            assert!(poll(others).is_pending());
        }
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
    check("operation", |operation| fallback(operation, |_| fails()), || fallback(fails(), |_| never_starts()), || true);
    check("alternative", |operation| fallback(fails(), |_| operation), || fallback(fails(), |_| never_starts()), || true);
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

#[test]
fn an_attempt_ends_its_call() {
    let budget: RetryBudget<Sim> = RetryBudget::new(100);
    let retry = Retry::<Sim>::new().budget(&budget).backoff(Constant::every(ms(0)));
    aplomb_sim::block_on(async {
        let call = |operation| {
            let mut first = Some(operation);
            retry.run(move || first.take().unwrap_or_else(|| explodes(When::Never, &Rc::default())))
        };
        check("retry", call, || retry.run(never_starts), || budget.available() == 100);
    });
}

#[test]
fn a_debounced_call_is_over() {
    let throttle: Throttle<Sim> = Throttle::new(ms(0));
    aplomb_sim::block_on(async {
        check("call", |operation| throttle.call(|| operation), || throttle.call(never_starts), || true);
    });
}

#[test]
fn another_leads_a_flight() {
    let flights: SingleFlight<Sim, u32, u32, &'static str> = SingleFlight::new();
    let cache: Cache<Sim, u32, u32, &'static str> = Cache::new().ttl(ms(10));
    aplomb_sim::block_on(async {
        check("flight", |operation| flights.run(&7, || operation), || flights.run(&7, never_starts), || true);
        check("cache", |operation| cache.get(&7, || operation), || cache.get(&7, never_starts), || true);
        for when in EVER {
            let (one, two) = (explodes(when, &Rc::default()), explodes(when, &Rc::default()));
            let (mut flies, mut fetches) = (pin!(flights.run(&7, || one)), pin!(cache.get(&7, || two)));
            assert!(poll(flies.as_mut()).is_pending() && poll(fetches.as_mut()).is_pending());
            let (mut follows, mut waits) = (pin!(flights.run(&7, || ready(Ok(8)))), pin!(cache.get(&7, || ready(Ok(9)))));
            assert!(poll(follows.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
            panics(flies);
            panics(fetches);
            assert_eq!(zip(follows, waits).await, (Ok(8), Ok(9)));
            cache.clear();
        }
    });
}

#[test]
fn a_batch_ends_for_all() {
    let batcher: Batcher<Sim, u32, u32, &'static str> = Batcher::new(2);
    aplomb_sim::block_on(async {
        for when in EVER {
            let operation = explodes(when, &Rc::default());
            let mut first = pin!(batcher.call(1, async |items: Vec<u32>| Ok(items)));
            assert!(poll(first.as_mut()).is_pending());
            let mut leads = pin!(batcher.call(2, |items: Vec<u32>| async move { operation.await.map(|_| items) }));
            panics(leads.as_mut());
            assert_eq!(first.await, Err(BatchError::Abandoned));
            assert!(poll(leads).is_pending());
        }
    });
}

#[test]
fn a_pipeline_has_all_its_places_back() {
    let (bulkhead, breaker): (Bulkhead<Sim>, _) = (Bulkhead::new(1), CircuitBreaker::<Sim>::consecutive(1));
    let pipeline = Pipeline::<Sim>::new().timeout(ms(100)).bulkhead(&bulkhead).circuit_breaker(&breaker).timeout(ms(10));
    aplomb_sim::block_on(async {
        let call = |operation| {
            let mut first = Some(operation);
            pipeline.run(move || first.take().unwrap_or_else(|| explodes(When::Never, &Rc::default())))
        };
        check("pipeline", call, || pipeline.run(never_starts), || bulkhead.snapshot().running == 0);
    });
}

/// Whatever comes of a stream until it ends, whenever it panics.
fn results<S: Stream>(mut stream: Pin<&mut S>) -> Vec<S::Item> {
    let mut results = Vec::new();
    for _ in 0..100 {
        let mut cx = Context::from_waker(Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(&mut cx))) {
            Ok(Poll::Ready(Some(result))) => results.push(result),
            Ok(Poll::Ready(None)) => return results,
            Ok(Poll::Pending) | Err(_) => {}
        }
    }
    panic!("it never ends");
}

#[test]
fn the_other_jobs_of_a_set_go_on() {
    for (when, at_once, panics) in [When::Polled, When::Dropped]
        .into_iter()
        .flat_map(|when| [false, true].into_iter().flat_map(move |at_once| (0..3).map(move |panics| (when, at_once, panics))))
    {
        let set: JobSet<Sim, Pin<Box<dyn Future<Output = Outcome>>>> = JobSet::new(2);
        let held = Rc::new(());
        for n in 0..3 {
            let job: Pin<Box<dyn Future<Output = Outcome>>> = if n == panics {
                Box::pin(Explodes { when, polled: at_once, _held: Rc::clone(&held) })
            } else {
                Box::pin(async move {
                    yield_now().await;
                    Ok(n)
                })
            };
            set.add(job).unwrap();
        }
        set.close();
        let in_order = results(pin!(set.results().unwrap()));
        assert_eq!(in_order, (0..3).filter(|n| *n != panics).map(Ok).collect::<Vec<_>>());
        let now = set.snapshot();
        assert_eq!((now.running, now.completed, now.cancelled, Rc::strong_count(&held)), (0, 2, 1, 1));
    }
}

#[test]
fn a_group_that_is_cleared_drops_all() {
    let held = Rc::new(());
    let mut group = pin!(FutureGroup::<_, u32, ParentWaker, Inline<3>>::new(3));
    let mut cx = Context::from_waker(Waker::noop());
    for (tag, when) in (0..).zip([When::Never, When::Dropped, When::Never]) {
        let vacancy = group.as_mut().vacancy().unwrap();
        assert!(vacancy.admit(tag, explodes(when, &held), &mut Turn::new(), &mut cx).is_none());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| group.as_mut().clear())).is_err());
    assert!(group.is_empty() && Rc::strong_count(&held) == 1);
}

/// Its slot is free, and the others go on.
#[test]
fn a_group_loses_no_more_than_one() {
    let mut group = pin!(FutureGroup::<_, u32, ParentWaker, Inline<2>>::new(2));
    let mut cx = Context::from_waker(Waker::noop());
    for (tag, when) in (0..).zip([When::Dropped, When::Never]) {
        let vacancy = group.as_mut().vacancy().unwrap();
        assert!(vacancy.admit(tag, explodes(when, &Rc::default()), &mut Turn::new(), &mut cx).is_none());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| group.as_mut().next_ended(&mut Turn::new(), &mut cx).is_some())).is_err());
    assert!(group.len() == 1 && group.as_mut().vacancy().is_some());
    assert!(group.as_mut().next_ended(&mut Turn::new(), &mut cx).is_none());
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
