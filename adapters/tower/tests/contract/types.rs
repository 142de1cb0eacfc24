//! Errors with a type, and what may be sent where.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aplomb_tokio::rate_limiter::TokenBucket;
use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::{
    BulkheadLayer, CircuitBreakerLayer, HedgeLayer, KeyedRateLimitLayer, PipelineLayer, RateLimitLayer, Reason, Rejection,
    RetryLayer, TimeoutLayer,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::{Strict, is_ready, poll};

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
    static GUARDED: Pipeline<layers![&'static Bulkhead]> = Pipeline::new().bulkhead(&PLACES);
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
    static GUARDED: Pipeline<layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
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

/// All of both, side by side: no name stands for two things.
mod globs {
    use aplomb_tokio::prelude::*;
    use aplomb_tower::*;

    static BUDGET: RetryBudget = RetryBudget::new(500);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
    static PLACES: Bulkhead = Bulkhead::new(10);
    static HEDGE: Hedge = Hedge::after(ms(50));
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new();
    static KEYED: KeyedCircuitBreaker<u8> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(5));
    type Layers = layers![TimeLimit, Retry, &'static Bulkhead];
    static GUARDED: Pipeline<Layers> = Pipeline::new().timeout(secs(2)).retry(Retry::standard(&BUDGET)).bulkhead(&PLACES);

    #[test]
    fn an_adapters_prelude_and_the_layers() {
        let _layers = (
            TimeoutLayer::<aplomb_tokio::Tokio>::new(secs(2)),
            RetryLayer::new(Retry::standard(&BUDGET)),
            FallbackLayer::new(|outcome: Result<u8, ()>| std::future::ready(outcome)),
            (CircuitBreakerLayer::new(&BREAKER), BulkheadLayer::new(&PLACES), HedgeLayer::new(&HEDGE)),
            (AdaptiveLimitLayer::new(&LIMIT), PipelineLayer::new(&GUARDED)),
            KeyedCircuitBreakerLayer::new(&KEYED, |key: &u8| *key),
        );
    }
}
