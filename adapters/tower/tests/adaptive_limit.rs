//! An adaptive limit as a layer: what waits in `poll_ready`, what is given back, and what the judge hears of.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aplomb_tokio::adaptive_limit::{Aimd, Event, Gradient, IgnoreErrors};
use aplomb_tokio::prelude::*;
use aplomb_tower::web::{GrpcStatus, HttpStatus, Overloads};
use aplomb_tower::{AdaptiveLimitLayer, RateLimitLayer, Reason, Rejection};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_lite::FutureExt;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

fn is_ready<S: Service<()>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

async fn serve((): ()) -> Result<&'static str, Infallible> {
    Ok("served")
}

#[tokio::test(start_paused = true)]
async fn a_clone_has_a_permit_of_its_own_and_gives_it_back() {
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1);
    let mut service = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(serve));
    assert!(is_ready(&mut service) && is_ready(&mut service));
    let mut other = service.clone();
    assert!(!is_ready(&mut other));
    assert_eq!((LIMIT.snapshot().in_flight, LIMIT.snapshot().waiting), (1, 1));
    drop(service);
    assert!(is_ready(&mut other));
    assert_eq!(other.call(()).await, Ok("served"));
    assert_eq!(LIMIT.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_waits_and_is_dropped_makes_way() {
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1);
    let held = LIMIT.try_acquire().unwrap();
    let [mut first, mut second] = [0; 2].map(|_| AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(serve)));
    assert!(!is_ready(&mut first) && !is_ready(&mut second));
    assert_eq!(LIMIT.snapshot().waiting, 2);
    drop(first);
    drop(held);
    assert!(is_ready(&mut second));
}

/// Who is turned away waits for nothing behind the limit, and may come again.
#[tokio::test(start_paused = true)]
async fn a_rejection_leaves_the_service_usable() {
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(1).max_wait(ms(200));
    let mut service = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(serve));
    let held = LIMIT.try_acquire().unwrap();
    let mut waits = service.clone();
    assert!(!is_ready(&mut waits));
    let full = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(full, LimitError::QueueFull { waiting: 1 });
    let late = waits.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(late, LimitError::TimedOut { after: ms(200) });
    drop(held);
    assert_eq!(service.ready().await.unwrap().call(()).await, Ok("served"));
    LIMIT.close();
    assert_eq!(service.ready().await.unwrap().call(()).await, Err(LimitError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_told_once_and_no_rejection_that_is_none() {
    static TOLD: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    fn tell(event: &Event) {
        TOLD.lock().unwrap().push(match event {
            Event::Waiting { .. } => "waits",
            Event::Admitted { .. } => "admitted",
            Event::Rejected { .. } => "rejected",
            _ => "changed",
        });
    }
    static LIMIT: AdaptiveLimit<Gradient, IgnoreErrors, Heap, fn(&Event)> =
        AdaptiveLimit::new().initial_limit(1).observed_by(tell as fn(&Event));
    let held = LIMIT.try_acquire().unwrap();
    let mut service = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(serve));
    assert!(!is_ready(&mut service));
    drop(held);
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(*TOLD.lock().unwrap(), ["waits", "admitted"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_or_panics_makes_room_and_counts_as_nothing() {
    static LIMIT: AdaptiveLimit<Aimd> =
        AdaptiveLimit::new().algorithm(Aimd::new(ms(10))).initial_limit(1).window(ms(0)).min_calls(1);
    let hangs = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(|()| pending::<Result<(), Infallible>>()));
    let mut call = Box::pin(hangs.oneshot(()));
    assert!(poll(call.as_mut()).is_pending());
    tokio::time::advance(secs(1)).await;
    drop(call);
    assert_eq!((LIMIT.snapshot().in_flight, LIMIT.limit()), (0, 1));

    let panics =
        AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(async |()| -> Result<(), Infallible> { panic!("the call's own") }));
    let mut call = pin!(panics.oneshot(()));
    assert!(std::panic::AssertUnwindSafe(call.as_mut()).catch_unwind().await.is_err());
    assert_eq!((LIMIT.snapshot().in_flight, LIMIT.limit()), (0, 1), "though the future is still there");
}

/// Calls that end in time let the limit grow, and statuses that tell of an overload make it give way.
#[tokio::test(start_paused = true)]
async fn the_limit_learns_from_responses() {
    static LIMIT: AdaptiveLimit<Aimd, Overloads> =
        AdaptiveLimit::new().algorithm(Aimd::new(ms(100))).judged_by(Overloads).initial_limit(10).window(ms(0)).min_calls(1);
    let service = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(async |status: u16| {
        tokio::time::sleep(ms(10)).await;
        let status = StatusCode::from_u16(status).unwrap();
        if status == 418 { Err("broke off") } else { Ok(Response::builder().status(status).body(()).unwrap()) }
    }));
    let all_at_once = async |status: u16| {
        let calls: Vec<_> = (0..LIMIT.limit()).map(|_| tokio::spawn(service.clone().oneshot(status))).collect();
        for call in calls {
            let _ = call.await.unwrap();
        }
        LIMIT.limit()
    };
    for ignored in [500, 501, 418] {
        assert_eq!(all_at_once(ignored).await, 10, "{ignored}");
    }
    let grown = all_at_once(404).await;
    assert!(grown > 10, "{grown}");
    for overload in [429, 503, 504] {
        let before = LIMIT.limit();
        let after = all_at_once(overload).await;
        assert!(after < before, "{overload}: {before}, then {after}");
    }
}

/// The time for which a clone has a permit and makes no call is no latency, and neither is what it waits for behind the limit.
#[tokio::test(start_paused = true)]
async fn a_call_is_measured_from_when_it_is_made() {
    static LIMIT: AdaptiveLimit<Aimd> =
        AdaptiveLimit::new().algorithm(Aimd::new(ms(10))).initial_limit(2).window(ms(0)).min_calls(1);
    static RATE: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1);
    let mut service = AdaptiveLimitLayer::new(&LIMIT).layer(service_fn(serve));
    assert!(is_ready(&mut service));
    tokio::time::advance(secs(1)).await;
    service.call(()).await.unwrap();
    assert_eq!(LIMIT.limit(), 3);

    let service = AdaptiveLimitLayer::new(&LIMIT).layer(RateLimitLayer::new(&RATE).layer(service_fn(serve)));
    drop(RATE.try_acquire(1).unwrap());
    let (first, second) = tokio::join!(service.clone().oneshot(()), service.oneshot(()));
    assert!(first.is_ok() && second.is_ok());
    assert!(LIMIT.limit() >= 3, "{}", LIMIT.limit());
}

#[tokio::test(start_paused = true)]
async fn in_the_terms_of_http_and_of_grpc() {
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(0);
    let app = || Router::<()>::new().route("/", get(async || "hello"));
    let ask = async |app: Router| app.oneshot(Request::new(Body::empty())).await.expect("no error");
    let http = app().layer(AdaptiveLimitLayer::new(&LIMIT).respond(HttpStatus::new()));
    assert_eq!(ask(http.clone()).await.status(), StatusCode::OK);
    let _held = LIMIT.try_acquire().unwrap();
    assert_eq!(ask(http).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let grpc = ask(app().layer(AdaptiveLimitLayer::new(&LIMIT).respond(GrpcStatus))).await;
    assert_eq!((grpc.status(), grpc.headers()["grpc-status"].as_bytes()), (StatusCode::OK, &b"8"[..]));
    assert_eq!(grpc.headers()["grpc-message"], "overloaded");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_configuration_is_an_error() {
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().min_limit(0);
    let layer = AdaptiveLimitLayer::new(&LIMIT);
    let error = layer.layer(service_fn(serve)).oneshot(()).await.unwrap_err();
    assert_eq!(error.to_string(), "min_limit is 0, must be at least 1");
    let respond = |rejection: &Rejection| if rejection.reason == Reason::Misconfigured { "sorry" } else { "" };
    assert_eq!(layer.respond(respond).layer(service_fn(serve)).oneshot(()).await, Ok("sorry"));
}

#[tokio::test(start_paused = true)]
async fn it_may_be_owned_and_goes_to_other_threads() {
    fn is_send_and_sync<T: Clone + Send + Sync + 'static>(_: &T) {}
    let limit: Arc<AdaptiveLimit> = Arc::new(AdaptiveLimit::new().initial_limit(1));
    let service = AdaptiveLimitLayer::new(Arc::clone(&limit)).layer(service_fn(serve));
    is_send_and_sync(&AdaptiveLimitLayer::new(Arc::clone(&limit)).layer(()));
    assert_eq!(tokio::spawn(service.clone().oneshot(())).await.unwrap(), Ok("served"));
    assert_eq!(tokio::spawn(service.oneshot(())).await.unwrap(), Ok("served"));
    assert_eq!(limit.snapshot().in_flight, 0);
}
