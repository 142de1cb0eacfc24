//! What users of tower have complained of, each a test, named after where they did.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_tokio::rate_limiter::RateLimitError;
use aplomb_tokio::{Deadline, Tokio, prelude::*};
use aplomb_tower::web::{AttemptNumber, DeadlineLayer, GrpcStatus, HttpStatus, Idempotent, InExtensions, Transient};
use aplomb_tower::{BulkheadLayer, RateLimitLayer, RetryLayer, TimeoutLayer};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

async fn status(app: &Router) -> StatusCode {
    app.clone().oneshot(request()).await.unwrap().status()
}

/// `RateLimit` is not `Clone`, so that neither axum nor tonic takes it. Here it goes into a router as it is, with neither `HandleErrorLayer` nor `BufferLayer`.
#[tokio::test(start_paused = true)]
async fn axum_278_axum_876_tower_712_tower_794_a_rate_limit_goes_into_a_router() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(1));
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(HttpStatus::new()));
    assert_eq!(status(&app).await, StatusCode::OK);
    assert_eq!(status(&app).await, StatusCode::TOO_MANY_REQUESTS);
    tokio::time::advance(secs(1)).await;
    assert_eq!(status(&app).await, StatusCode::OK);
}

/// The state was per clone: a limit of 5 a second let 1,500 requests through.
#[tokio::test(start_paused = true)]
async fn axum_2634_axum_3682_a_limit_of_five_lets_five_through_however_often_it_is_cloned() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(5));
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(HttpStatus::new()));
    let requests: Vec<_> = (0..1_500).map(|_| tokio::spawn(app.clone().oneshot(request()))).collect();
    let mut served = 0;
    for request in requests {
        served += u32::from(request.await.unwrap().unwrap().status() == StatusCode::OK);
    }
    assert_eq!(served, 5);
}

/// One layer put around many services is one limit too.
#[tokio::test(start_paused = true)]
async fn axum_3682_a_layer_around_two_services_is_one_limit() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(3));
    let layer = RateLimitLayer::new(&LIMITER).without_waiting();
    let services = [0, 1].map(|_| layer.layer(service_fn(async |()| Ok::<_, Infallible>(()))));
    let mut served = 0;
    for service in services.iter().cycle().take(10) {
        served += u32::from(service.clone().oneshot(()).await.is_ok());
    }
    assert_eq!(served, 3);
}

/// A buffer makes a `BoxError` of everything, so that a retry above cannot decide by it. Here it sees what the limiter said, and waits as long as it said.
#[tokio::test(start_paused = true)]
async fn axum_278_a_retry_above_a_limit_sees_its_error() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_minute(2), 1);
    type Refused = RateLimitError<Infallible>;
    #[derive(Clone, Copy)]
    struct WhenLimited;
    impl aplomb_tokio::retry::Rules<(), Refused> for WhenLimited {
        fn retries(&mut self, outcome: Result<&(), &Refused>) -> bool {
            outcome.is_err_and(RateLimitError::is_rejected)
        }
        fn retry_after(&mut self, outcome: Result<&(), &Refused>) -> Option<Duration> {
            outcome.err()?.retry_after()
        }
    }
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(Retry::new().rules(WhenLimited)))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting())
        .service(service_fn(async |()| Ok::<_, Infallible>(())));
    let began = Instant::now();
    for _ in 0..3 {
        service.clone().oneshot(()).await.unwrap();
    }
    assert_eq!(began.elapsed(), secs(60));
}

/// tower's limits queue where users want to reject.
#[tokio::test(start_paused = true)]
async fn tower_793_a_limit_rejects_at_once() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_minute(1));
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let began = Instant::now();
    let limited = RateLimitLayer::new(&LIMITER).without_waiting().layer(service_fn(async |()| Ok::<_, Infallible>(())));
    limited.clone().oneshot(()).await.unwrap();
    assert_eq!(limited.oneshot(()).await.unwrap_err(), RateLimitError::Limited { retry_after: Some(secs(60)) });

    let place = PLACES.try_acquire().unwrap();
    let crowded = BulkheadLayer::new(&PLACES).layer(service_fn(async |()| Ok::<_, Infallible>(())));
    assert_eq!(crowded.oneshot(()).await.unwrap_err(), BulkheadError::QueueFull { waiting: 0 });
    drop(place);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// `LoadShed` answers `BoxError`, where axum and tonic want `Infallible`.
#[tokio::test(start_paused = true)]
async fn iota_12137_shedding_keeps_the_error_infallible() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let mut service = BulkheadLayer::new(&PLACES)
        .respond(GrpcStatus)
        .layer(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty()))));
    let place = PLACES.try_acquire().unwrap();
    let shed: Result<Response<Body>, Infallible> = service.ready().await.unwrap().call(request()).await;
    assert_eq!(shed.unwrap().headers()["grpc-status"], "8");
    drop(place);
    let served: Result<Response<Body>, Infallible> = service.ready().await.unwrap().call(request()).await;
    assert!(!served.unwrap().headers().contains_key("grpc-status"));
}

/// A 503 of one's own burns the objectives, and makes proxies eject the node: 429 is offered for shedding.
#[tokio::test(start_paused = true)]
async fn ray_65193_shedding_may_be_told_by_429() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let _place = PLACES.try_acquire().unwrap();
    let shedding =
        |responder| Router::new().route("/", get(async || "hello")).layer(BulkheadLayer::new(&PLACES).respond(responder));
    assert_eq!(status(&shedding(HttpStatus::new())).await, StatusCode::SERVICE_UNAVAILABLE);
    let responder = HttpStatus::new().overloaded(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(&shedding(responder)).await, StatusCode::TOO_MANY_REQUESTS);
}

/// The policy that computes the delay never sees the response, and so no `Retry-After`.
#[tokio::test(start_paused = true)]
async fn reqwest_middleware_146_a_retry_sees_the_response() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static RETRY: Retry<Exponential, Transient> = Retry::new().rules(Transient::new());
    let service = RetryLayer::new(RETRY).replay(Idempotent).layer(service_fn(async |_: Request<String>| {
        let response = Response::builder();
        let response = match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => response.status(429).header("retry-after", "7"),
            _ => response,
        };
        Ok::<_, Infallible>(response.body("").unwrap())
    }));
    let began = Instant::now();
    let response = service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!((response.status(), began.elapsed()), (StatusCode::OK, secs(7)));
}

/// reqwest's own retry has a budget and no backoff. Here there are both, whatever the service is.
#[tokio::test(start_paused = true)]
async fn reqwest_0_13_retries_with_a_budget_and_a_backoff() {
    static BUDGET: RetryBudget = RetryBudget::new(15).retry_cost(5);
    static RETRY: Retry<Exponential, Transient> =
        Retry::standard(&BUDGET).max_attempts(3).backoff(Exponential::from(ms(100)).max(secs(1))).rules(Transient::new());
    let service = RetryLayer::new(RETRY)
        .replay(Idempotent)
        .layer(service_fn(async |_: Request<String>| Err::<Response<()>, _>(std::io::Error::other("down"))));
    let mut attempts = Vec::new();
    let began = Instant::now();
    for _ in 0..3 {
        let error = service.clone().oneshot(Request::new(String::new())).await.unwrap_err();
        attempts.push((error.attempts(), error.is_rejected(), began.elapsed()));
    }
    // Two retries are paid for, then one, and then none.
    assert_eq!(attempts, [(3, false, ms(300)), (2, true, ms(400)), (1, true, ms(400))]);
}

/// Some services ask to come again in an hour.
#[tokio::test(start_paused = true)]
async fn safe_eth_py_1171_an_hour_is_more_than_its_patience() {
    static RETRY: Retry<Exponential, Transient> = Retry::new().rules(Transient::new());
    static CAPPED: Retry<Exponential, Transient> =
        Retry::new().max_attempts(2).retry_after_max(secs(10)).rules(Transient::new().patience(Duration::MAX));
    let busy = service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::builder().status(503).header("retry-after", "3600").body("").unwrap())
    });
    let began = Instant::now();
    let response = RetryLayer::new(RETRY).layer(busy).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!((response.status().as_u16(), began.elapsed()), (503, Duration::ZERO));
    let response = RetryLayer::new(CAPPED).layer(busy).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!((response.status().as_u16(), began.elapsed()), (503, secs(10)));
}

/// A timeout for each request, by what it is.
#[tokio::test(start_paused = true)]
async fn tower_798_each_request_has_its_own_timeout() {
    let service = TimeoutLayer::<Tokio>::new(secs(5))
        .deadline(|seconds: &u64| if *seconds == 0 { Deadline::NEVER } else { deadline(secs(*seconds)) })
        .layer(service_fn(async |_: u64| std::future::pending::<Result<(), Infallible>>().await));
    for (asked, expected) in [(2, secs(2)), (0, secs(5)), (60, secs(5))] {
        let began = Instant::now();
        assert!(service.clone().oneshot(asked).await.unwrap_err().is_timeout());
        assert_eq!(began.elapsed(), expected, "{asked}");
    }
}

/// The deadline of a request ends what is made for it, and is there for what is called in turn.
#[tokio::test(start_paused = true)]
async fn grpc_rust_2316_a_deadline_travels() {
    static RETRY: Retry<Constant> = Retry::new().forever().backoff(Constant::every(ms(100)));
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::<Tokio>::new())
        .layer(RetryLayer::new(RETRY).replay(Idempotent).deadline(InExtensions))
        .service(service_fn(async |request: Request<String>| {
            let deadline = *request.extensions().get::<Deadline>().unwrap();
            assert!(deadline.remaining(aplomb_tokio::Clock::now(&aplomb_tokio::TokioClock)).unwrap() <= ms(250));
            Err::<(), _>(std::io::Error::other("busy"))
        }));
    let began = Instant::now();
    let request = Request::get("/").header("grpc-timeout", "250m").body(String::new()).unwrap();
    let gave_up = service.oneshot(request).await.unwrap_err();
    assert!(gave_up.is_timeout());
    assert_eq!((gave_up.attempts(), began.elapsed()), (3, ms(200)), "no pause begins that would end too late");
}

/// A layer below the retry cannot tell one attempt from another.
#[tokio::test(start_paused = true)]
async fn gears_rust_4510_attempts_can_be_told_apart() {
    static SEEN: Mutex<Vec<Option<AttemptNumber>>> = Mutex::new(Vec::new());
    let service = RetryLayer::new(Retry::new()).replay(Idempotent).layer(service_fn(async |request: Request<String>| {
        SEEN.lock().unwrap().push(request.extensions().get().copied());
        Err::<(), _>(std::io::Error::other("busy"))
    }));
    service.oneshot(Request::new(String::new())).await.unwrap_err();
    assert_eq!(*SEEN.lock().unwrap(), [None, Some(AttemptNumber(2)), Some(AttemptNumber(3))]);
}
