//! An operation that panics, as it is polled or as it is dropped at its end, and whose future is kept: a task that catches the panic goes on, and what the call held is free all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, IntoFuture, Ready, pending, ready};
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::panicking;

use aplomb::adaptive_limit::{Algorithm, Sample};
use aplomb::backoff::Constant;
use aplomb::children::{FutureGroup, Turn};
use aplomb::edge::{Share, Trigger};
use aplomb::fallback::fallback;
use aplomb::hedge::After;
use aplomb::rate_limiter::Rate;
use aplomb::time::ms;
use aplomb::{
    AdaptiveLimit, BatchError, Batcher, Bulkhead, Cache, CircuitBreaker, ConfigError, Deadline, Heap, Hedge, Inline, Instant,
    JobSet, KeyedRateLimiter, ParentWaker, Pipeline, Pool, RateLimiter, Retry, RetryBudget, SingleFlight, Throttle,
};
use aplomb_sim::{Sim, SimClock};
use futures_lite::Stream;
use futures_lite::future::{yield_now, zip};

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
struct Explodes {
    when: When,
    polled: bool,
    _held: Rc<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    Polled,
    /// It has ended by then.
    Dropped,
    Never,
}

const EVER: [When; 2] = [When::Polled, When::Dropped];

fn explodes(when: When, held: &Rc<()>) -> Explodes {
    Explodes { when, polled: false, _held: Rc::clone(held) }
}

impl Future for Explodes {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if !replace(&mut self.polled, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.when {
            When::Polled => panic!("on purpose"),
            When::Dropped => Poll::Ready(Ok(0)),
            When::Never => Poll::Pending,
        }
    }
}

impl Drop for Explodes {
    fn drop(&mut self) {
        assert!(self.when != When::Dropped || panicking(), "on purpose, in a drop");
    }
}

/// One that panics before there is a future.
fn never_starts() -> Ready<Outcome> {
    panic!("on purpose")
}

/// A kept call of each kind holds nothing any more: `free` says so.
fn check<A: Future, B: Future>(name: &str, call: impl Fn(Explodes) -> A, broken: impl FnOnce() -> B, free: impl Fn() -> bool) {
    assert!(free(), "{name}: before");
    for when in EVER {
        let held = Rc::new(());
        let mut kept = pin!(call(explodes(when, &held)));
        panics(kept.as_mut());
        assert!(free(), "{name}: a place is free again");
        assert_eq!(Rc::strong_count(&held), 1, "{name}: so is what the operation held");
        assert!(poll(kept.as_mut()).is_pending(), "{name}: and it never ends");
    }
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

#[test]
fn a_pool_has_its_place_back() {
    let pool: Pool<Sim> = Pool::new(1);
    let free = || pool.snapshot().running == 0;
    check("run", |operation| pool.run(|| operation), || pool.run(never_starts), free);
    assert_eq!(pool.snapshot().cancelled, 3);
    let mut next = pin!(pool.run(|| ready::<Outcome>(Ok(1))));
    assert!(poll(next.as_mut()).is_ready());
}

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
