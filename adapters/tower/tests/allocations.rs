//! Layers allocate nothing for a call that goes through, or is turned away. One that waits in `poll_ready` allocates its place once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::{
    AdaptiveLimitLayer, BulkheadLayer, CircuitBreakerLayer, HedgeLayer, KeyedRateLimitLayer, PipelineLayer, RateLimitLayer,
    Rejection, RetryLayer, TimeoutLayer,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn served((): ()) -> Ready<Result<&'static str, Infallible>> {
    ready(Ok("served"))
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn nothing_is_allocated_for_a_call() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(1_000_000));
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_second(1_000_000));
    static PLACES: Bulkhead = Bulkhead::new(10).max_waiting(0);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
    static BUDGET: RetryBudget = RetryBudget::new(500);
    static RETRY: Retry = Retry::standard(&BUDGET);
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new();
    static ONE: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1);
    static HEDGE: Hedge = Hedge::after(secs(1));
    static GUARDED: Pipeline<layers![Retry, &'static CircuitBreaker]> = Pipeline::new().retry(RETRY).circuit_breaker(&BREAKER);
    static SLOW: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    let respond = |_: &Rejection| "rejected";
    let mut service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(&PLACES).respond(respond))
        .layer(AdaptiveLimitLayer::new(&LIMIT).respond(respond))
        .layer(HedgeLayer::new(&HEDGE).respond(respond))
        .layer(PipelineLayer::new(&GUARDED).respond(respond))
        .layer(KeyedRateLimitLayer::new(&KEYED, |(): &()| 7).max_wait(secs(1)).respond(respond))
        .layer(TimeoutLayer::<Tokio>::new(secs(1)).respond(respond))
        .layer(RetryLayer::new(RETRY).respond(respond))
        .layer(CircuitBreakerLayer::new(&BREAKER).respond(respond))
        .layer(RateLimitLayer::new(&LIMITER).respond(respond))
        .service(service_fn(served));
    // The first call makes the key.
    assert_eq!(service.ready().await.unwrap().call(()).await, Ok("served"));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(()).await, Ok("served"));
    }
    let places: [_; 10] = std::array::from_fn(|_| PLACES.try_acquire().unwrap());
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(()).await, Ok("rejected"));
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);
    drop(places);

    let service = RateLimitLayer::new(&SLOW).layer(service_fn(served));
    assert_eq!(service.clone().oneshot(()).await, Ok("served"));
    let wait = || {
        let mut waits = service.clone();
        assert!(waits.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        waits
    };
    // The first who waits makes the queue.
    drop(wait());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut waits = wait();
    assert_eq!(waits.ready().await.unwrap().call(()).await, Ok("served"));
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before + 1);

    // So does one that waits for an adaptive limit.
    let service = AdaptiveLimitLayer::new(&ONE).layer(service_fn(served));
    let wait = || {
        let held = ONE.try_acquire().unwrap();
        let mut waits = service.clone();
        assert!(waits.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        (waits, held)
    };
    drop(wait());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let (mut waits, held) = wait();
    drop(held);
    assert_eq!(waits.ready().await.unwrap().call(()).await, Ok("served"));
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before + 1);
}
