//! A fallback as a layer: what is replaced, what is handed on, and what is free when the alternative starts.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use aplomb_tokio::prelude::*;
use aplomb_tower::FallbackLayer;
use futures_lite::FutureExt;
use tower::{Layer, Service, ServiceExt, service_fn};

type Outcome = Result<u16, &'static str>;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Answers with the request itself; 0 is an error.
async fn echo(status: u16) -> Outcome {
    if status == 0 { Err("down") } else { Ok(status) }
}

#[tokio::test]
async fn errors_are_replaced_and_responses_are_not() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let service = FallbackLayer::new(async |outcome: Outcome| {
        MADE.fetch_add(1, Ordering::Relaxed);
        assert_eq!(outcome, Err("down"));
        Ok(200)
    })
    .layer(service_fn(echo));
    assert_eq!(service.clone().oneshot(503).await, Ok(503));
    assert_eq!(MADE.load(Ordering::Relaxed), 0, "it is made only when it is needed");
    assert_eq!(service.oneshot(0).await, Ok(200));
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_predicate_tells_which_outcomes_are() {
    let service = FallbackLayer::new(|_: Outcome| ready(Ok(200)))
        .fallback_if(|outcome: Result<&u16, &&'static str>| outcome == Ok(&503))
        .layer(service_fn(echo));
    assert_eq!(service.clone().oneshot(503).await, Ok(200));
    assert_eq!(service.clone().oneshot(500).await, Ok(500));
    assert_eq!(service.oneshot(0).await, Err("down"));
}

#[tokio::test]
async fn the_error_of_an_alternative_is_that_of_the_call() {
    let service = FallbackLayer::new(async |_: Outcome| Err("down as well")).layer(service_fn(echo));
    assert_eq!(service.oneshot(0).await, Err("down as well"));
}

#[tokio::test]
async fn what_the_call_held_is_free_when_the_alternative_starts() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let service = FallbackLayer::new(|outcome: Outcome| {
        assert_eq!(outcome, Err("down"));
        ready(PLACES.try_acquire().map(|_| 200).map_err(|_| "it is still held"))
    })
    .layer(service_fn(|_: u16| {
        // Held for as long as the future is there, and not only until it has ended.
        let place = PLACES.try_acquire().expect("a place");
        poll_fn(move |_| {
            let _held = &place;
            Poll::Ready(Outcome::Err("down"))
        })
    }));
    assert_eq!(service.oneshot(0).await, Ok(200));
}

/// An error of `poll_ready` is the end of the service, and of no call.
#[tokio::test]
async fn readiness_is_that_of_the_service_within() {
    struct Gone;
    impl Service<()> for Gone {
        type Response = u16;
        type Error = &'static str;
        type Future = std::future::Ready<Outcome>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("gone"))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(200))
        }
    }
    let service = FallbackLayer::new(async |_: Outcome| Ok(200)).layer(Gone);
    assert_eq!(service.oneshot(()).await, Err("gone"));
}

#[tokio::test]
async fn what_panics_or_is_dropped_is_gone_at_once() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let hold = || {
        let place = PLACES.try_acquire().expect("a place");
        async move {
            let _place = place;
            pending::<Outcome>().await
        }
    };
    let service = FallbackLayer::new(move |_: Outcome| hold()).layer(service_fn(echo));
    let mut call = Box::pin(service.oneshot(0));
    assert!(poll(call.as_mut()).is_pending());
    assert_eq!(PLACES.snapshot().running, 1);
    drop(call);
    assert_eq!(PLACES.snapshot().running, 0);

    let service = FallbackLayer::new(async |_: Outcome| {
        let _place = PLACES.try_acquire().expect("a place");
        tokio::task::yield_now().await;
        panic!("the alternative's own")
    })
    .layer(service_fn(echo));
    let mut service = service;
    let mut call = pin!(service.ready().await.unwrap().call(0));
    assert!(std::panic::AssertUnwindSafe(call.as_mut()).catch_unwind().await.is_err());
    assert_eq!(PLACES.snapshot().running, 0);
    assert!(poll(call).is_pending(), "after its end");
}
