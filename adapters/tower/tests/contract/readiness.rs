//! Who is ready when, and who waits for whom.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_tokio::circuit_breaker::{AnyError, Event, State};
use aplomb_tokio::{Clock, Platform, Tokio, TokioClock, prelude::*};
use aplomb_tower::{
    AdaptiveLimitLayer, BulkheadLayer, CircuitBreakerLayer, HedgeLayer, KeyedCircuitBreakerLayer, KeyedRateLimitLayer,
    PipelineLayer, RateLimitLayer, RetryLayer, TimeoutLayer,
};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{Counts, Strict, is_ready};

#[tokio::test(start_paused = true)]
async fn each_layer_calls_the_clone_that_was_ready() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(1_000));
    static KEYED: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(1_000), 1);
    static PLACES: Bulkhead = Bulkhead::new(10);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
    static BREAKERS: KeyedCircuitBreaker<u32> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(5));
    static HEDGE: Hedge = Hedge::after(secs(1));
    static GUARDED: Pipeline<layers![Retry, &'static Bulkhead]> = Pipeline::new().retry(Retry::new()).bulkhead(&PLACES);
    let (strict, counts) = Strict::new();
    let key = |(): &()| 7;
    let mut service = ServiceBuilder::new()
        .layer(TimeoutLayer::<Tokio>::new(secs(1)))
        .layer(RetryLayer::new(Retry::new()))
        .layer(HedgeLayer::new(&HEDGE))
        .layer(PipelineLayer::new(&GUARDED))
        .layer(RateLimitLayer::new(&LIMITER))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting())
        .layer(KeyedRateLimitLayer::new(&KEYED, key).max_wait(secs(1)))
        .layer(BulkheadLayer::new(&PLACES))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .layer(KeyedCircuitBreakerLayer::new(&BREAKERS, key))
        .service(strict);
    for calls in 1..=5 {
        service.ready().await.unwrap().call(()).await.unwrap();
        assert_eq!(counts.called.load(Ordering::SeqCst), calls);
    }
}

/// Each of the attempts that a retry makes waits until the service is ready for it, and takes a permit.
#[tokio::test(start_paused = true)]
async fn readiness_comes_before_each_attempt() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1);
    static RETRY: Retry<Constant> = Retry::new().max_attempts(3).backoff(Constant::every(ms(0)));
    static GUARDED: Pipeline<layers![Retry<Constant>]> = Pipeline::new().retry(RETRY);
    static HEDGE: Hedge = Hedge::after(ms(0));
    let (strict, counts) = Strict::new();
    counts.failures.store(2, Ordering::SeqCst);
    let service =
        ServiceBuilder::new().layer(RetryLayer::new(RETRY)).layer(RateLimitLayer::new(&LIMITER)).service(strict.clone());
    let began = Instant::now();
    assert_eq!(service.oneshot(()).await.unwrap(), "done");
    assert_eq!((counts.counts(), began.elapsed()), ((3, 3), secs(2)));

    counts.failures.store(2, Ordering::SeqCst);
    assert_eq!(PipelineLayer::new(&GUARDED).layer(strict).oneshot(()).await.unwrap(), "done");
    assert_eq!(counts.counts(), (6, 6));

    // The second start waits for the permit that the first one has taken.
    let (strict, counts) = Strict::new();
    counts.failures.store(1, Ordering::SeqCst);
    let began = Instant::now();
    let service = ServiceBuilder::new().layer(HedgeLayer::new(&HEDGE)).layer(RateLimitLayer::new(&LIMITER)).service(strict);
    tokio::time::advance(secs(1)).await;
    assert_eq!(service.oneshot(()).await.unwrap(), "done");
    assert_eq!((counts.counts(), began.elapsed()), ((2, 2), secs(2)));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_order() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    let service = RateLimitLayer::new(&LIMITER).layer(service_fn(async |number: u32| Ok::<_, Infallible>(number)));
    let began = Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let call = service.clone().oneshot(number);
            tokio::spawn(async move { (call.await.unwrap(), began.elapsed()) })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), (number, ms(100) * number));
    }
}

/// A rejection is the outcome of a call. Out of `poll_ready`, it would be the end of the service.
#[tokio::test(start_paused = true)]
async fn a_rejection_leaves_the_service_usable() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1).max_waiting(0);
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let (strict, counts) = Strict::new();
    let mut limited = RateLimitLayer::new(&LIMITER).layer(strict.clone());
    limited.ready().await.unwrap().call(()).await.unwrap();
    let rejected = limited.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(matches!(rejected, RateLimitError::QueueFull { waiting: 0, .. }));
    tokio::time::advance(secs(1)).await;
    limited.ready().await.unwrap().call(()).await.unwrap();

    let mut crowded = BulkheadLayer::new(&PLACES).layer(strict);
    let place = PLACES.try_acquire().unwrap();
    assert!(crowded.ready().await.unwrap().call(()).await.unwrap_err().is_rejected());
    drop(place);
    crowded.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(counts.called.load(Ordering::SeqCst), 3);
}

/// Who is turned away waits for nothing behind the limiter.
#[tokio::test(start_paused = true)]
async fn who_is_refused_does_not_wait_for_the_service_within() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_minute(1), 1);
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(10)).half_open_for(secs(1));
    let (strict, counts) = Strict::new();
    drop(LIMITER.try_acquire(1).unwrap());
    let _place = PLACES.try_acquire().unwrap();
    BREAKER.permit().unwrap().failure();
    counts.is_busy.store(true, Ordering::SeqCst);
    let limited = RateLimitLayer::new(&LIMITER).without_waiting().layer(strict.clone());
    assert!(limited.oneshot(()).await.unwrap_err().is_rejected());
    let crowded = BulkheadLayer::new(&PLACES).layer(strict.clone());
    assert!(crowded.oneshot(()).await.unwrap_err().is_rejected());
    let mut broken = CircuitBreakerLayer::new(&BREAKER).layer(strict);
    assert_eq!(broken.ready().await.unwrap().call(()).await.unwrap_err().retry_after(), Some(secs(10)));
    // The circuit lets a probe through again, but the service within has not been asked.
    assert!(is_ready(&mut broken));
    tokio::time::advance(secs(10)).await;
    assert_eq!(broken.call(()).await.unwrap_err().retry_after(), Some(secs(0)));
    tokio::time::advance(secs(1)).await;
    assert_eq!(BREAKER.state(), State::HalfOpen, "no probe has been sent, so that none is late");
    assert!(!is_ready(&mut broken), "now it is");
    counts.is_busy.store(false, Ordering::SeqCst);
    broken.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(BREAKER.state(), State::Closed);
}

/// By tower's contract, who is ready is so until its call. Who was refused may have a place by then, and is let through if nothing else is to be waited for.
#[tokio::test(start_paused = true)]
async fn who_is_refused_is_ready_until_its_call() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1).max_waiting(0);
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(0);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(1));
    async fn check<S, G>(mut service: S, counts: &Counts, refuse: impl Fn() -> G)
    where
        S: Service<(), Response = &'static str>,
    {
        for is_busy in [true, false] {
            let refused = refuse();
            assert!(is_ready(&mut service));
            drop(refused);
            tokio::time::advance(secs(1)).await;
            counts.is_busy.store(is_busy, Ordering::SeqCst);
            assert!(is_ready(&mut service) && is_ready(&mut service));
            assert_eq!(service.call(()).await.is_err(), is_busy);
            counts.is_busy.store(false, Ordering::SeqCst);
        }
        tokio::time::advance(secs(1)).await;
        counts.is_busy.store(true, Ordering::SeqCst);
        assert!(!is_ready(&mut service), "for its next call it waits");
        counts.is_busy.store(false, Ordering::SeqCst);
    }
    let (strict, counts) = Strict::new();
    let take = || LIMITER.try_acquire(1).map(drop);
    check(RateLimitLayer::new(&LIMITER).layer(strict.clone()), &counts, take).await;
    check(RateLimitLayer::new(&LIMITER).without_waiting().layer(strict.clone()), &counts, take).await;
    check(BulkheadLayer::new(&PLACES).layer(strict.clone()), &counts, || PLACES.try_acquire().unwrap()).await;
    check(AdaptiveLimitLayer::new(&LIMIT).layer(strict.clone()), &counts, || LIMIT.try_acquire().unwrap()).await;
    check(CircuitBreakerLayer::new(&BREAKER).layer(strict), &counts, || BREAKER.permit().unwrap().failure()).await;
}

/// Else it would keep the permits from those who have what it waits for.
#[tokio::test(start_paused = true)]
async fn who_was_refused_within_waits_there_for_nothing_while_it_stands_in_line() {
    static QUOTA: RateLimiter = RateLimiter::new(Rate::per_second(1_000)).max_concurrent(1);
    static TENANT: Bulkhead = Bulkhead::new(2).max_waiting(0);
    static DATABASE: Bulkhead = Bulkhead::new(1);
    let service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(&QUOTA))
        .layer(BulkheadLayer::new(&TENANT))
        .layer(BulkheadLayer::new(&DATABASE))
        .service(Strict::new().0);
    let running = QUOTA.try_acquire(1).unwrap();
    let crowd = [(); 2].map(|()| TENANT.try_acquire().unwrap());
    let refused = tokio::spawn(service.clone().oneshot(()));
    tokio::task::yield_now().await;
    drop(crowd);
    let behind = tokio::spawn(service.oneshot(()));
    tokio::task::yield_now().await;
    drop(running);
    let ended = tokio::time::timeout(secs(1), async { (refused.await.unwrap(), behind.await.unwrap()) }).await;
    let (refused, behind) = ended.expect("nobody waits for the other");
    assert!(refused.unwrap_err().into_inner().unwrap().is_rejected());
    assert_eq!(behind.unwrap(), "done");
}

/// Half-open with as many probes as may be, it lets as little through as when it is open; least of all when the service is stuck by its probes.
#[tokio::test(start_paused = true)]
async fn who_cannot_be_a_probe_does_not_wait_for_the_service_within() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(1)).half_open_for(secs(10));
    BREAKER.permit().unwrap().failure();
    tokio::time::advance(secs(1)).await;
    let hangs = service_fn(|()| std::future::pending::<Result<(), Infallible>>());
    let service = CircuitBreakerLayer::new(&BREAKER).layer(BulkheadLayer::new(&PLACES).layer(hangs));
    let probe = tokio::spawn(service.clone().oneshot(()));
    tokio::task::yield_now().await;
    let at_once = async || tokio::time::timeout(ms(0), service.clone().oneshot(())).await.expect("an answer");
    assert_eq!(at_once().await, Err(BreakerError::HalfOpen { retry_after: Some(secs(1)) }));
    // The probe's time is over.
    tokio::time::advance(secs(10)).await;
    assert_eq!(at_once().await, Err(BreakerError::Open { retry_after: Some(secs(1)) }));
    assert_eq!((BREAKER.snapshot().rejected, PLACES.snapshot().waiting), (2, 0));
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    tokio::time::advance(secs(1)).await;
    let mut next = service.clone();
    assert!(is_ready(&mut next), "for a probe");
    assert_eq!(PLACES.snapshot().running, 1);
}

/// What the service within has a call wait for says nothing of how quick it is.
#[tokio::test(start_paused = true)]
async fn waiting_for_the_service_within_makes_no_call_slow() {
    static QUOTA: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1));
    const fn rule() -> CircuitBreaker<LastCalls> {
        CircuitBreaker::last_calls(4).min_calls(1).slow_calls(ms(500), percent(50))
    }
    static BREAKER: CircuitBreaker<LastCalls> = rule();
    static HOSTS: KeyedCircuitBreaker<u8, LastCalls> = KeyedCircuitBreaker::new(rule());
    let within = RateLimitLayer::new(&QUOTA).layer(service_fn(async |takes| {
        tokio::time::sleep(takes).await;
        Ok::<_, Infallible>(())
    }));
    let one = CircuitBreakerLayer::new(&BREAKER).layer(within.clone());
    let keyed = KeyedCircuitBreakerLayer::new(&HOSTS, |_: &std::time::Duration| 7).layer(within);
    let ask = |takes| [tokio::spawn(one.clone().oneshot(takes)), tokio::spawn(keyed.clone().oneshot(takes))];
    for call in ask(ms(10)).into_iter().chain(ask(ms(500))) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((BREAKER.state(), HOSTS.state(&7)), (State::Closed, State::Closed));
    for call in ask(ms(501)).into_iter().chain(ask(ms(501))) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((BREAKER.state(), HOSTS.state(&7)), (State::Open, State::Open));
}

/// Also one that comes when the circuit would let it through again, and could not be made.
#[tokio::test(start_paused = true)]
async fn each_rejection_is_counted_and_told() {
    static TOLD: Mutex<Vec<Event>> = Mutex::new(Vec::new());
    fn tell(event: &Event) {
        if matches!(event, Event::Rejected { .. }) {
            TOLD.lock().unwrap().push(*event);
        }
    }
    type Told = CircuitBreaker<Consecutive, Constant, AnyError, Heap, fn(&Event)>;
    static BREAKER: Told = CircuitBreaker::consecutive(1).open_for(secs(1)).observed_by(tell as fn(&Event));
    BREAKER.permit().unwrap().failure();
    let mut service = CircuitBreakerLayer::new(&BREAKER).layer(Strict::new().0);
    let mut rejected = async |after| {
        assert!(is_ready(&mut service));
        tokio::time::advance(after).await;
        service.call(()).await.unwrap_err().retry_after()
    };
    assert_eq!((rejected(secs(0)).await, rejected(ms(999)).await), (Some(secs(1)), Some(ms(1))));
    assert_eq!(rejected(ms(1)).await, Some(secs(0)));
    assert_eq!(BREAKER.state(), State::HalfOpen);
    let told = [secs(1), ms(1), secs(0)].map(|time| Event::Rejected { retry_after: Some(time) });
    assert_eq!((TOLD.lock().unwrap().as_slice(), BREAKER.snapshot().rejected), (&told[..], 3));
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(BREAKER.state(), State::Closed);
}

/// A clock that counts how often it is read.
#[derive(Clone, Copy)]
struct Counting;

static READ: AtomicU32 = AtomicU32::new(0);

impl Clock for Counting {
    type Sleep = <TokioClock as Clock>::Sleep;

    fn now(&self) -> aplomb::Instant {
        READ.fetch_add(1, Ordering::SeqCst);
        TokioClock.now()
    }

    fn sleep_until(&self, deadline: aplomb::Instant) -> Self::Sleep {
        TokioClock.sleep_until(deadline)
    }
}

struct Counted;

impl Platform for Counted {
    type Clock = Counting;
    type RawMutex = <Tokio as Platform>::RawMutex;
    type Word = <Tokio as Platform>::Word;
    type Storage = <Tokio as Platform>::Storage;
    type Children = <Tokio as Platform>::Children;

    fn random() -> u64 {
        Tokio::random()
    }
}

/// Nor the lock is taken then, under which it is read.
#[tokio::test(start_paused = true)]
async fn a_success_behind_a_closed_circuit_reads_no_clock() {
    static BREAKER: aplomb::CircuitBreaker<Counted> = aplomb::CircuitBreaker::with_clock(Counting, Consecutive::new(1));
    let (strict, counts) = Strict::new();
    let mut service = CircuitBreakerLayer::new(&BREAKER).layer(strict);
    let mut call = async || {
        READ.store(0, Ordering::SeqCst);
        let ended = service.ready().await.unwrap().call(()).await.is_ok();
        (ended, READ.load(Ordering::SeqCst))
    };
    // At first nobody knows yet how it stands.
    assert!(call().await.0);
    assert_eq!(call().await, (true, 0));
    counts.failures.store(1, Ordering::SeqCst);
    assert!(!call().await.0);
    assert_eq!(call().await, (false, 2), "whether the service is to be asked, and for how long it is open");
}

/// The permit of a limiter that paces is taken when the service within is ready, not while it is waited for.
#[tokio::test(start_paused = true)]
async fn a_permit_that_is_waited_for_is_taken_last() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(10));
    let (strict, counts) = Strict::new();
    counts.is_busy.store(true, Ordering::SeqCst);
    let mut service = RateLimitLayer::new(&LIMITER).layer(strict);
    assert!(!is_ready(&mut service));
    assert_eq!(LIMITER.snapshot().available, 10);
    counts.is_busy.store(false, Ordering::SeqCst);
    assert!(is_ready(&mut service));
    assert_eq!(LIMITER.snapshot().available, 9);
}

#[tokio::test(start_paused = true)]
async fn a_limit_to_the_wait() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::with_burst(Rate::per_second(10), 1);
    let began = Instant::now();
    let service = RateLimitLayer::new(&LIMITER).max_wait(ms(150)).layer(Strict::new().0);
    let (a, b, c) = tokio::join!(service.clone().oneshot(()), service.clone().oneshot(()), service.clone().oneshot(()));
    assert!(a.is_ok() && b.is_ok());
    assert!(c.unwrap_err().is_timeout());
    assert_eq!(began.elapsed(), ms(100));

    let service = KeyedRateLimitLayer::new(&KEYED, |key: &u8| *key).max_wait(ms(150)).layer(Strict::new().0);
    let calls = [1, 1, 1, 2].map(|key| tokio::spawn(service.clone().oneshot(key)));
    let mut ended = Vec::new();
    for call in calls {
        ended.push(call.await.unwrap().map_err(|error| error.is_timeout()));
    }
    assert_eq!(ended, [Ok("done"), Ok("done"), Err(true), Ok("done")]);
    assert_eq!(began.elapsed(), ms(200));
}

/// A service that is ready, and then never called, keeps no probe from being sent.
#[tokio::test(start_paused = true)]
async fn readiness_takes_no_probe() {
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(1));
    BREAKER.permit().unwrap().failure();
    tokio::time::advance(secs(1)).await;
    let mut idle = CircuitBreakerLayer::new(&BREAKER).layer(Strict::new().0);
    let busy = idle.clone();
    assert!(is_ready(&mut idle));
    busy.oneshot(()).await.unwrap();
    assert_eq!(BREAKER.state(), State::Closed);
}
