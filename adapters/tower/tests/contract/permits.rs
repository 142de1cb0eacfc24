//! Whose a permit is, and when it goes back.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use aplomb_tokio::circuit_breaker::State;
use aplomb_tokio::key::FoldHash;
use aplomb_tokio::prelude::*;
use aplomb_tokio::rate_limiter::TokenBucket;
use aplomb_tower::{BulkheadLayer, CircuitBreakerLayer, KeyedRateLimitLayer, RateLimitLayer};
use futures_lite::FutureExt;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{Strict, is_ready, poll};

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

/// Nothing was called: a permit of a whole day is there again, whatever was waited for.
#[tokio::test(start_paused = true)]
async fn a_permit_that_found_no_use_is_given_back() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_day(1));
    static KEYED: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_day(1));
    let (strict, counts) = Strict::new();
    for layer in [RateLimitLayer::new(&LIMITER), RateLimitLayer::new(&LIMITER).without_waiting()] {
        let mut idle = layer.layer(strict.clone());
        idle.ready().await.unwrap();
        assert_eq!(LIMITER.snapshot().available, 0);
        tokio::time::advance(secs(1)).await;
        drop(idle);
        assert_eq!(LIMITER.snapshot().available, 1, "{layer:?}");
        counts.is_busy.store(true, Ordering::SeqCst);
        let call = tokio::time::timeout(secs(1), layer.layer(strict.clone()).oneshot(()));
        assert!(call.await.is_err());
        counts.is_busy.store(false, Ordering::SeqCst);
        assert_eq!(LIMITER.snapshot().available, 1, "{layer:?}");
    }
    let keyed = KeyedRateLimitLayer::new(&KEYED, |(): &()| 7);
    for layer in [keyed.clone(), keyed.max_wait(secs(9))] {
        counts.is_busy.store(true, Ordering::SeqCst);
        let mut call = Box::pin(layer.layer(strict.clone()).oneshot(()));
        assert!(poll(call.as_mut()).is_pending());
        assert_eq!(KEYED.snapshot(&7).available, 0);
        tokio::time::advance(secs(1)).await;
        drop(call);
        assert_eq!(KEYED.snapshot(&7).available, 1);
    }
    counts.is_busy.store(false, Ordering::SeqCst);
    assert_eq!(counts.counts().1, 0);
    RateLimitLayer::new(&LIMITER).layer(strict.clone()).oneshot(()).await.unwrap();
    KeyedRateLimitLayer::new(&KEYED, |(): &()| 7).layer(strict).oneshot(()).await.unwrap();
    assert_eq!((LIMITER.snapshot().available, KEYED.snapshot(&7).available), (0, 0), "these were called");
}
