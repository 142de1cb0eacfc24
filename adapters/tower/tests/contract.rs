//! What tower asks of a service, and what these promise beyond it: readiness, permits that no other clone spends, what is given back, errors with a type.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aplomb_tokio::circuit_breaker::State;
use aplomb_tokio::key::FoldHash;
use aplomb_tokio::rate_limiter::TokenBucket;
use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::{
    BulkheadLayer, CircuitBreakerLayer, HedgeLayer, KeyedCircuitBreakerLayer, KeyedRateLimitLayer, PipelineLayer, RateLimitLayer,
    Reason, Rejection, RetryLayer, TimeoutLayer,
};
use futures_lite::FutureExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// A service that panics when it is called without having been ready, and counts both.
#[derive(Debug)]
struct Strict<Q> {
    shared: Arc<Counts>,
    is_ready: bool,
    requests: PhantomData<fn(Q)>,
}

#[derive(Debug, Default)]
struct Counts {
    readied: AtomicU32,
    called: AtomicU32,
    /// It is not ready while this is set.
    is_busy: AtomicBool,
    /// So many calls fail.
    failures: AtomicU32,
}

impl Counts {
    fn counts(&self) -> (u32, u32) {
        (self.readied.load(Ordering::SeqCst), self.called.load(Ordering::SeqCst))
    }
}

impl<Q> Strict<Q> {
    fn new() -> (Self, Arc<Counts>) {
        let shared = Arc::new(Counts::default());
        (Self { shared: Arc::clone(&shared), is_ready: false, requests: PhantomData }, shared)
    }
}

impl<Q> Clone for Strict<Q> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), is_ready: false, requests: PhantomData }
    }
}

impl<Q> Service<Q> for Strict<Q> {
    type Response = &'static str;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<&'static str, std::io::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        if self.shared.is_busy.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        if !self.is_ready {
            self.shared.readied.fetch_add(1, Ordering::SeqCst);
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Q) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "it was not ready");
        self.shared.called.fetch_add(1, Ordering::SeqCst);
        let fails = self.shared.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        std::future::ready(if fails { Err(std::io::Error::other("busy")) } else { Ok("done") })
    }
}

fn is_ready<S: Service<()>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn each_layer_calls_the_clone_that_was_ready() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(1_000));
    static KEYED: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(1_000), 1);
    static PLACES: Bulkhead = Bulkhead::new(10);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
    static BREAKERS: KeyedCircuitBreaker<u32> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(5));
    static HEDGE: Hedge = Hedge::after(secs(1));
    static GUARDED: Pipeline<aplomb::layers![Retry, &'static Bulkhead]> = Pipeline::new().retry(Retry::new()).bulkhead(&PLACES);
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
    static GUARDED: Pipeline<aplomb::layers![Retry<Constant>]> = Pipeline::new().retry(RETRY);
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

/// A clone has no permit before it has asked itself, and asking twice takes one.
#[tokio::test(start_paused = true)]
async fn no_permit_is_spent_twice() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_minute(4));
    for layer in [RateLimitLayer::new(&LIMITER), RateLimitLayer::new(&LIMITER).without_waiting()] {
        let before = LIMITER.snapshot().available;
        let mut service = layer.layer(Strict::new().0);
        assert!(is_ready(&mut service) && is_ready(&mut service));
        assert_eq!(LIMITER.snapshot().available, before - 1);
        let mut clone = service.clone();
        service.call(()).await.unwrap();
        assert_eq!(LIMITER.snapshot().available, before - 1, "the permit that it had");
        assert!(is_ready(&mut clone));
        clone.call(()).await.unwrap();
        assert_eq!(LIMITER.snapshot().available, before - 2, "the clone's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_is_ready_and_dropped_gives_its_place_back() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(10)).max_concurrent(1);
    let mut service = BulkheadLayer::new(&PLACES).layer(Strict::new().0);
    let mut other = service.clone();
    assert!(is_ready(&mut service));
    assert!(!is_ready(&mut other));
    drop(service);
    assert!(is_ready(&mut other));

    let mut service = RateLimitLayer::new(&LIMITER).layer(Strict::new().0);
    let mut other = service.clone();
    assert!(is_ready(&mut service));
    assert!(!is_ready(&mut other));
    drop(service);
    assert!(is_ready(&mut other));
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_waits_and_is_dropped_makes_way() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    let held = PLACES.try_acquire().unwrap();
    let [mut first, mut second] = [0; 2].map(|_| BulkheadLayer::new(&PLACES).layer(Strict::new().0));
    assert!(!is_ready(&mut first) && !is_ready(&mut second));
    assert_eq!(PLACES.snapshot().waiting, 2);
    drop(first);
    drop(held);
    assert!(is_ready(&mut second));
}

/// Whoever waits has one place, and no other is full for it.
#[tokio::test(start_paused = true)]
async fn the_last_waiting_place_can_be_had() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(1);
    let held = PLACES.try_acquire().unwrap();
    let mut waits = BulkheadLayer::new(&PLACES).layer(Strict::new().0);
    assert!(!is_ready(&mut waits));
    assert_eq!(PLACES.snapshot().waiting, 1);
    drop(held);
    waits.ready().await.unwrap().call(()).await.unwrap();
}

/// Whoever listens hears of each wait once, and of nobody turned away who was not.
#[tokio::test(start_paused = true)]
async fn a_wait_is_told_once() {
    use aplomb_tokio::bulkhead::Event as Place;
    use aplomb_tokio::rate_limiter::Event;
    static TOLD: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    fn permits(event: &Event) {
        TOLD.lock().unwrap().push(match event {
            Event::Waiting { .. } => "waits",
            Event::Admitted { .. } => "admitted",
            _ => "rejected",
        });
    }
    fn places(event: &Place) {
        TOLD.lock().unwrap().push(if matches!(event, Place::Waiting { .. }) { "waits" } else { "admitted" });
    }
    static LIMITER: RateLimiter<TokenBucket, Heap, fn(&Event)> =
        RateLimiter::with_burst(Rate::per_second(1), 1).observed_by(permits as fn(&Event));
    static KEYED: KeyedRateLimiter<u8, TokenBucket, Heap, FoldHash, 1, fn(&Event)> =
        KeyedRateLimiter::with_burst(Rate::per_second(1), 1).observed_by(permits as fn(&Event));
    static PLACES: Bulkhead<Heap, fn(&Place)> = Bulkhead::new(1).observed_by(places as fn(&Place));
    let told = || std::mem::take(&mut *TOLD.lock().unwrap());

    let service = RateLimitLayer::new(&LIMITER).layer(Strict::new().0);
    let (first, second) = tokio::join!(service.clone().oneshot(()), service.oneshot(()));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(told(), ["waits", "admitted"]);

    let service = KeyedRateLimitLayer::new(&KEYED, |(): &()| 7).max_wait(secs(2)).layer(Strict::new().0);
    let (first, second) = tokio::join!(service.clone().oneshot(()), service.oneshot(()));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(told(), ["waits", "admitted"]);

    let held = PLACES.try_acquire().unwrap();
    let mut service = BulkheadLayer::new(&PLACES).layer(Strict::new().0);
    assert!(!is_ready(&mut service));
    drop(held);
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(told(), ["waits", "admitted"]);
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

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_key_and_is_dropped_spends_nothing() {
    static KEYED: KeyedRateLimiter<String> = KeyedRateLimiter::with_burst(Rate::per_second(10), 1);
    let service = KeyedRateLimitLayer::new(&KEYED, |key: &String| key.clone()).max_wait(secs(9)).layer(Strict::new().0);
    service.clone().oneshot("ann".to_owned()).await.unwrap();
    let mut waiting = Box::pin(service.clone().oneshot("ann".to_owned()));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(KEYED.snapshot("ann").waiting, 1);
    drop(waiting);
    tokio::time::advance(ms(100)).await;
    assert_eq!((KEYED.snapshot("ann").waiting, KEYED.snapshot("ann").available), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_counts_as_nothing() {
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(1));
    BREAKER.permit().unwrap().failure();
    tokio::time::advance(secs(1)).await;
    let service = CircuitBreakerLayer::new(&BREAKER).layer(service_fn(|()| pending::<Result<(), Infallible>>()));
    let mut probe = Box::pin(service.clone().oneshot(()));
    assert!(poll(probe.as_mut()).is_pending());
    assert_eq!(service.clone().oneshot(()).await, Err(BreakerError::HalfOpen { retry_after: Some(secs(1)) }));
    drop(probe);
    assert_eq!((BREAKER.state(), BREAKER.snapshot().probes), (State::HalfOpen, 0));
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

#[tokio::test(start_paused = true)]
async fn the_permit_of_a_call_that_panics_goes_back_at_once() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let service =
        BulkheadLayer::new(&PLACES).layer(service_fn(async |()| -> Result<(), Infallible> { panic!("the call's own") }));
    let mut call = pin!(service.oneshot(()));
    assert!(std::panic::AssertUnwindSafe(call.as_mut()).catch_unwind().await.is_err());
    assert_eq!(PLACES.snapshot().running, 0, "though the future is still there");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_place_to_the_next() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    let service = BulkheadLayer::new(&PLACES).layer(service_fn(|()| pending::<Result<(), Infallible>>()));
    let mut call = Box::pin(service.clone().oneshot(()));
    let mut next = Box::pin(service.oneshot(()));
    assert!(poll(call.as_mut()).is_pending() && poll(next.as_mut()).is_pending());
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (1, 1));
    drop(call);
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (1, 0));
}

/// The service's own errors are told from the patterns', through all layers.
#[tokio::test(start_paused = true)]
async fn errors_keep_their_types() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(10));
    static PLACES: Bulkhead = Bulkhead::new(10);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(2);
    let (strict, counts) = Strict::new();
    counts.failures.store(9, Ordering::SeqCst);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(&PLACES))
        .layer(RateLimitLayer::new(&LIMITER))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .service(strict);
    for _ in 0..2 {
        let error = service.clone().oneshot(()).await.unwrap_err();
        assert!(!error.is_rejected());
        let own = error.into_inner().and_then(RateLimitError::into_inner).and_then(BreakerError::into_inner);
        assert_eq!(own.map(|error| error.to_string()).as_deref(), Some("busy"));
    }
    let open = service.oneshot(()).await.unwrap_err();
    assert!(open.inner().and_then(RateLimitError::inner).is_some_and(BreakerError::is_rejected));
}

/// What makes no sense is an error that names the setting, before anything starts; it never panics.
#[tokio::test(start_paused = true)]
async fn a_wrong_configuration_is_an_error() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(0));
    static PLACES: Bulkhead = Bulkhead::new(0);
    static HEDGE: Hedge = Hedge::after(secs(1)).max_hedges(0);
    static GUARDED: Pipeline<aplomb::layers![&'static Bulkhead]> = Pipeline::new().bulkhead(&PLACES);
    let (strict, counts) = Strict::new();
    let told = [
        RateLimitLayer::new(&LIMITER).layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
        RateLimitLayer::new(&LIMITER).without_waiting().layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
        BulkheadLayer::new(&PLACES).layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
        RetryLayer::new(Retry::new().max_attempts(0)).layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
        HedgeLayer::new(&HEDGE).layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
        PipelineLayer::new(&GUARDED).layer(strict.clone()).oneshot(()).await.unwrap_err().to_string(),
    ];
    let (permits, places) = ("permits is 0, must be at least 1", "max_concurrent is 0, must be at least 1");
    let (attempts, hedges) = ("max_attempts is 0, must be at least 1", "max_hedges is 0, must be from 1 to 1");
    let within = format!("layer 0 (bulkhead): {places}");
    assert_eq!(told, [permits, permits, places, attempts, hedges, &within]);
    assert_eq!(counts.called.load(Ordering::SeqCst), 0);
    let respond = |rejection: &Rejection| if rejection.reason == Reason::Misconfigured { "sorry" } else { "" };
    assert_eq!(BulkheadLayer::new(&PLACES).respond(respond).layer(strict.clone()).oneshot(()).await.unwrap(), "sorry");
    assert_eq!(HedgeLayer::new(&HEDGE).respond(respond).layer(strict.clone()).oneshot(()).await.unwrap(), "sorry");
    assert_eq!(PipelineLayer::new(&GUARDED).respond(respond).layer(strict).oneshot(()).await.unwrap(), "sorry");
}

/// Owned by an `Arc`, too.
#[tokio::test(start_paused = true)]
async fn a_limiter_may_be_owned() {
    let limiter: Arc<RateLimiter> = Arc::new(RateLimiter::new(Rate::per_second(2)));
    let service = RateLimitLayer::new(Arc::clone(&limiter)).layer(Strict::new().0);
    tokio::spawn(service.clone().oneshot(())).await.unwrap().unwrap();
    tokio::spawn(service.oneshot(())).await.unwrap().unwrap();
    assert_eq!(limiter.snapshot().available, 0);
}

/// The same layers, in simulation: the platform comes with the limiter.
#[test]
fn in_simulation() {
    use aplomb_sim::prelude::{RateLimiter, Retry};
    let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    let retry: Retry<Constant> = Retry::new().backoff(Constant::every(ms(5)));
    aplomb_sim::block_on(async {
        let (strict, counts) = Strict::new();
        counts.failures.store(2, Ordering::SeqCst);
        let mut service =
            ServiceBuilder::new().layer(RetryLayer::new(retry)).layer(RateLimitLayer::new(&limiter)).service(strict);
        assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), "done");
        assert_eq!(aplomb_sim::now().as_nanos(), 200_000_000);
    });
}

/// On a clock that is moved by hand, too.
#[test]
fn by_hand() {
    use aplomb_sim::{Manual, ManualClock};
    let time = ManualClock::<4>::new();
    let limiter: aplomb::RateLimiter<Manual<'_, 4>> =
        aplomb::RateLimiter::with_clock(&time, TokenBucket::new(Rate::per_second(1)));
    let mut service = RateLimitLayer::new(&limiter).max_wait(secs(2)).layer(Strict::new().0);
    for now in [true, false] {
        assert_eq!(is_ready(&mut service), now);
        if now {
            assert!(poll(pin!(service.call(()))).is_ready());
        }
    }
    time.advance(secs(1));
    assert!(is_ready(&mut service));
}

/// What goes into a router has to be so.
#[test]
fn services_and_futures_go_to_other_threads() {
    fn is_send_and_sync<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send + 'static>(_: &T) {}
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(10));
    static KEYED: KeyedRateLimiter<u32> = KeyedRateLimiter::new(Rate::per_second(10));
    static PLACES: Bulkhead = Bulkhead::new(10);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(2);
    static HEDGE: Hedge = Hedge::after(secs(1));
    static GUARDED: Pipeline<aplomb::layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::<Tokio>::new(secs(1)))
        .layer(RetryLayer::new(Retry::new()))
        .layer(HedgeLayer::new(&HEDGE))
        .layer(PipelineLayer::new(&GUARDED))
        .layer(BulkheadLayer::new(&PLACES))
        .layer(RateLimitLayer::new(&LIMITER))
        .layer(KeyedRateLimitLayer::new(&KEYED, |(): &()| 7))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .service(Strict::new().0);
    is_send_and_sync(&service);
    is_send(&service.oneshot(()));
}
