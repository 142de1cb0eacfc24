//! Hedges that see the response: what is late, what is a failure, which requests are sent again, and what is given back.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_tokio::hedge::After;
use aplomb_tokio::prelude::*;
use aplomb_tower::web::{HttpStatus, Idempotent, ServerErrors};
use aplomb_tower::{BulkheadLayer, HedgeLayer};
use http::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

/// How often a service is asked that answers so at first, and so from then on; for how long, and with what it ends.
async fn asked(statuses: [u16; 2], method: Method) -> (u32, Duration, u16) {
    static HEDGE: Hedge<After, Inline<1>, ServerErrors> = Hedge::after(ms(50)).burst(1_000).judged_by(ServerErrors);
    let count = AtomicU32::new(0);
    let service = HedgeLayer::new(&HEDGE).replay(Idempotent).layer(service_fn(|_: Request<String>| {
        let status = if count.fetch_add(1, Ordering::Relaxed) == 0 { statuses[0] } else { statuses[1] };
        async move {
            sleep(ms(10)).await;
            Ok::<_, Infallible>(Response::builder().status(status).body(()).expect("a response"))
        }
    }));
    let began = Instant::now();
    let request = Request::builder().method(method).body(String::new()).expect("a request");
    let response = service.oneshot(request).await.expect("no error");
    (count.load(Ordering::Relaxed), began.elapsed(), response.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_a_failure_has_another_start_take_its_place() {
    for (statuses, starts, ends) in [
        ([200, 200], 1, 200),
        ([404, 200], 1, 404),
        ([500, 200], 2, 200),
        ([503, 404], 2, 404),
        // When all have failed, what came last is handed on as it is.
        ([503, 502], 2, 502),
        // There were too many calls, and there are to be no more.
        ([429, 200], 1, 429),
    ] {
        assert_eq!(asked(statuses, Method::GET).await, (starts, ms(10) * starts, ends), "{statuses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_sent_twice_is_sent_once() {
    static HEDGE: Hedge = Hedge::after(ms(50));
    assert_eq!(asked([503, 200], Method::POST).await, (1, ms(10), 503));
    let slow = service_fn(async |_: Request<String>| {
        sleep(secs(1)).await;
        Ok::<_, Infallible>(Response::new(()))
    });
    let service = HedgeLayer::new(&HEDGE).replay(Idempotent).layer(slow);
    service.clone().oneshot(Request::post("/orders").body(String::new()).unwrap()).await.unwrap();
    assert_eq!((HEDGE.snapshot().hedges, HEDGE.snapshot().denied), (0, 0));
    service.oneshot(Request::get("/orders").body(String::new()).unwrap()).await.unwrap();
    assert_eq!(HEDGE.snapshot().hedges, 1);
}

#[tokio::test(start_paused = true)]
async fn all_clones_share_one_budget() {
    static HEDGE: Hedge = Hedge::after(ms(50)).burst(1);
    let starts = Arc::new(AtomicU32::new(0));
    let slow = service_fn(|()| {
        starts.fetch_add(1, Ordering::Relaxed);
        async {
            sleep(ms(200)).await;
            Ok::<_, Infallible>(())
        }
    });
    let [one, other] = [0; 2].map(|_| HedgeLayer::new(&HEDGE).layer(slow));
    let (first, second) = tokio::join!(one.oneshot(()), other.oneshot(()));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!((starts.load(Ordering::Relaxed), HEDGE.snapshot().denied), (3, 1));
}

/// A start that waits for the service is dropped with its place in the queue when another has won.
#[tokio::test(start_paused = true)]
async fn the_losers_place_is_free_at_once() {
    static HEDGE: Hedge = Hedge::after(ms(50));
    static PLACES: Bulkhead = Bulkhead::new(1);
    let service =
        ServiceBuilder::new().layer(HedgeLayer::new(&HEDGE)).layer(BulkheadLayer::new(&PLACES)).service(service_fn(async |()| {
            sleep(ms(100)).await;
            Ok::<_, Infallible>("done")
        }));
    let call = tokio::spawn(service.oneshot(()));
    sleep(ms(70)).await;
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (1, 1));
    assert_eq!(call.await.unwrap().unwrap(), "done");
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (0, 0));
}

/// A start that never came to the service has cost nothing.
#[tokio::test(start_paused = true)]
async fn one_that_waits_within_to_the_end_is_paid_back() {
    static HEDGE: Hedge = Hedge::after(ms(50)).burst(1);
    static PLACES: Bulkhead = Bulkhead::new(1);
    let service =
        ServiceBuilder::new().layer(HedgeLayer::new(&HEDGE)).layer(BulkheadLayer::new(&PLACES)).service(service_fn(async |()| {
            sleep(ms(100)).await;
            Ok::<_, Infallible>("done")
        }));
    for hedges in 1..=3 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "done");
        assert_eq!((HEDGE.snapshot().hedges, HEDGE.snapshot().denied), (hedges, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_drops_all_starts() {
    static HEDGE: Hedge = Hedge::after(ms(50));
    static PLACES: Bulkhead = Bulkhead::new(2);
    let hangs = service_fn(async |()| std::future::pending::<Result<(), Infallible>>().await);
    let service = ServiceBuilder::new().layer(HedgeLayer::new(&HEDGE)).layer(BulkheadLayer::new(&PLACES)).service(hangs);
    let call = tokio::spawn(service.oneshot(()));
    sleep(ms(70)).await;
    assert_eq!(PLACES.snapshot().running, 2);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(PLACES.snapshot().running, 0);
}

/// The last error, with its type; or as it was.
#[tokio::test(start_paused = true)]
async fn two_modes() {
    static HEDGE: Hedge = Hedge::after(ms(50));
    static WRONG: Hedge = Hedge::after(ms(50)).burst(0);
    let fails = service_fn(async |()| Err::<Response<String>, _>("refused"));
    let typed = HedgeLayer::new(&HEDGE).layer(fails).oneshot(()).await.unwrap_err();
    assert_eq!(typed, HedgeError::Failed { attempts: 2, error: "refused" });
    assert_eq!(HedgeLayer::new(&HEDGE).respond(HttpStatus::new()).layer(fails).oneshot(()).await.unwrap_err(), "refused");
    let response = HedgeLayer::new(&WRONG).respond(HttpStatus::new()).layer(fails).oneshot(()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn it_may_be_owned_and_goes_to_other_threads() {
    fn is_send_and_sync<T: Clone + Send + Sync + 'static>(_: &T) {}
    let hedge: Arc<Hedge> = Arc::new(Hedge::after(ms(50)));
    let service = HedgeLayer::new(Arc::clone(&hedge)).layer(service_fn(async |n: u32| Ok::<_, Infallible>(n)));
    is_send_and_sync(&HedgeLayer::new(Arc::clone(&hedge)).layer(()));
    assert_eq!(tokio::spawn(service.oneshot(7)).await.unwrap().unwrap(), 7);
    assert_eq!(hedge.snapshot().calls, 1);
}
