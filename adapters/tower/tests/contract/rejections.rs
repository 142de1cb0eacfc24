//! A call that is rejected waits for nothing within, and holds nothing there.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

use aplomb_tokio::circuit_breaker::State;
use aplomb_tokio::prelude::*;
use aplomb_tower::{
    AdaptiveLimitLayer, BulkheadLayer, CircuitBreakerLayer, KeyedCircuitBreakerLayer, KeyedRateLimitLayer, PipelineLayer,
    RateLimitLayer,
};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{Strict, is_ready};

/// Is rejected, and keeps the service that was.
async fn rejected<S: Service<(), Error: Debug>>(mut service: S) -> S {
    let call = async { service.ready().await.expect("it is ready for that").call(()).await };
    let rejected = timeout(ms(0), call).await.err().expect("a rejection");
    assert!(!rejected.is_timeout(), "it waits for nothing");
    service
}

/// What a clone had of the service within when its call was rejected goes to others, though the clone is still there.
#[tokio::test(start_paused = true)]
async fn who_is_rejected_holds_nothing_within() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    static BREAKERS: KeyedCircuitBreaker<u8> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1));
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_day(1));
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
    static CROWDED: Bulkhead = Bulkhead::new(1).max_waiting(0);
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(0);
    static GUARDED: Pipeline<layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
    BREAKER.force_open();
    BREAKERS.force_open(&7).unwrap();
    drop((LIMITER.try_acquire(1).unwrap(), KEYED.try_acquire(&7, 1).unwrap()));
    let _held = (CROWDED.try_acquire().unwrap(), LIMIT.try_acquire().unwrap());
    let key = |(): &()| 7;
    let within = BulkheadLayer::new(&PLACES).layer(Strict::new().0);
    let _rejected = (
        rejected(CircuitBreakerLayer::new(&BREAKER).layer(within.clone())).await,
        rejected(KeyedCircuitBreakerLayer::new(&BREAKERS, key).layer(within.clone())).await,
        rejected(RateLimitLayer::new(&LIMITER).max_wait(secs(1)).layer(within.clone())).await,
        rejected(RateLimitLayer::new(&LIMITER).without_waiting().layer(within.clone())).await,
        rejected(KeyedRateLimitLayer::new(&KEYED, key).layer(within.clone())).await,
        rejected(KeyedRateLimitLayer::new(&KEYED, key).max_wait(secs(1)).layer(within.clone())).await,
        rejected(BulkheadLayer::new(&CROWDED).layer(within.clone())).await,
        rejected(AdaptiveLimitLayer::new(&LIMIT).layer(within.clone())).await,
        rejected(PipelineLayer::new(&GUARDED).layer(within.clone())).await,
    );
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (0, 0));
    within.oneshot(()).await.unwrap();
}

/// Also where the circuit opens between readiness and the call, or while a clone waits within.
#[tokio::test(start_paused = true)]
async fn a_circuit_that_opens_leaves_what_is_within_to_others() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    let within = BulkheadLayer::new(&PLACES).layer(Strict::new().0);
    let service = CircuitBreakerLayer::new(&BREAKER).layer(within.clone());
    let (mut ready, mut asked, mut waits) = (service.clone(), service.clone(), service);
    assert!(is_ready(&mut ready));
    assert!(!is_ready(&mut waits));
    BREAKER.force_open();
    assert!(ready.call(()).await.unwrap_err().is_rejected());
    assert!(is_ready(&mut waits), "to be rejected");
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (0, 0));
    BREAKER.force_closed();
    assert!(is_ready(&mut asked));
    BREAKER.force_open();
    assert!(is_ready(&mut asked), "to be rejected");
    assert_eq!(PLACES.snapshot().running, 0);
    BREAKER.force_closed();
    assert!(waits.call(()).await.unwrap_err().is_rejected(), "it was ready for that");
    ready.ready().await.unwrap().call(()).await.unwrap();
}

/// An open circuit and a used-up limit answer at once just when it matters: while the service is stuck.
#[tokio::test(start_paused = true)]
async fn a_stuck_service_delays_no_rejection() {
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    static BREAKERS: KeyedCircuitBreaker<u8> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1));
    static GUARDED: Pipeline<layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
    BREAKER.force_open();
    BREAKERS.force_open(&7).unwrap();
    drop(KEYED.try_acquire(&7, 1).unwrap());
    let key = |(): &()| 7;
    let (stuck, counts) = Strict::new();
    counts.is_busy.store(true, Ordering::SeqCst);
    rejected(PipelineLayer::new(&GUARDED).layer(stuck.clone())).await;
    rejected(KeyedCircuitBreakerLayer::new(&BREAKERS, key).layer(stuck.clone())).await;
    rejected(KeyedRateLimitLayer::new(&KEYED, key).layer(stuck.clone())).await;
    rejected(KeyedRateLimitLayer::new(&KEYED, key).max_wait(secs(1)).layer(stuck)).await;
}

/// That a service fails before it is ready counts, where that is part of the call.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_be_ready_has_failed() {
    #[derive(Clone)]
    struct Lost;

    impl Service<()> for Lost {
        type Response = ();
        type Error = &'static str;
        type Future = std::future::Ready<Result<(), &'static str>>;

        fn poll_ready(&mut self, _cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), &'static str>> {
            std::task::Poll::Ready(Err("connection lost"))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    static BREAKERS: KeyedCircuitBreaker<u8> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1));
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    static GUARDED: Pipeline<layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
    let key = |(): &()| 7;
    let broken = KeyedCircuitBreakerLayer::new(&BREAKERS, key).layer(Lost);
    assert_eq!(broken.oneshot(()).await, Err(BreakerError::Failed("connection lost")));
    assert_eq!(BREAKERS.state(&7), State::Open);
    PipelineLayer::new(&GUARDED).layer(Lost).oneshot(()).await.unwrap_err();
    assert_eq!(BREAKER.state(), State::Open);
    // It was not called: that costs nothing.
    let limited = KeyedRateLimitLayer::new(&KEYED, key).layer(Lost);
    assert_eq!(limited.oneshot(()).await, Err(RateLimitError::Failed("connection lost")));
    assert_eq!(KEYED.snapshot(&7).available, 1);
}

/// An attempt that is cut off while it waits within gives up its place there at once, and not when the next one begins.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_cut_off_holds_up_nobody_within() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static RETRY: Retry<Constant> = Retry::new().max_attempts(2).backoff(Constant::every(secs(60)));
    static GUARDED: Pipeline<layers![Retry<Constant>, TimeLimit]> = Pipeline::new().retry(RETRY).timeout(secs(1));
    let held = PLACES.try_acquire().unwrap();
    let within = BulkheadLayer::new(&PLACES).layer(service_fn(async |()| Ok::<_, Infallible>(())));
    let began = Instant::now();
    let retried = tokio::spawn(PipelineLayer::new(&GUARDED).layer(within.clone()).oneshot(()));
    tokio::time::sleep(secs(2)).await;
    assert_eq!(PLACES.snapshot().waiting, 0);
    drop(held);
    within.oneshot(()).await.unwrap();
    assert_eq!(began.elapsed(), secs(2));
    retried.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), secs(61));
}
