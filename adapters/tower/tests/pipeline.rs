//! A pipeline as one layer: what it makes of responses and errors, which requests are sent again, and what is given back.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb::circuit_breaker::State;
use aplomb::layers;
use aplomb::pipeline::TimeoutLayer;
use aplomb_tokio::adaptive_limit::Aimd;
use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::web::{GrpcStatus, HttpStatus, Idempotent, ServerErrors, Transient};
use aplomb_tower::{BulkheadLayer, PipelineLayer, RateLimitLayer};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn its_layers_see_the_response() {
    static RETRY: Retry<Constant, Transient> =
        Retry::new().max_attempts(3).backoff(Constant::every(ms(100))).rules(Transient::new());
    static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> =
        CircuitBreaker::consecutive(5).open_for(secs(9)).judged_by(ServerErrors);
    type Layers = layers![Retry<Constant, Transient>, &'static CircuitBreaker<Consecutive, Constant, ServerErrors>];
    static GUARDED: Pipeline<Layers> = Pipeline::new().retry(RETRY).circuit_breaker(&BREAKER);
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let service = PipelineLayer::new(&GUARDED).replay(Idempotent).layer(service_fn(async |_: Request<String>| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Response::builder().status(503).body(String::new()).unwrap())
    }));
    let send = async |request: http::request::Builder| service.clone().oneshot(request.body(String::new()).unwrap()).await;
    let began = Instant::now();
    assert_eq!(send(Request::get("/")).await.unwrap().status(), 503, "the last one, as it was");
    assert_eq!((ASKED.swap(0, Ordering::Relaxed), began.elapsed()), (3, ms(200)));
    assert_eq!(send(Request::post("/")).await.unwrap().status(), 503);
    assert_eq!(ASKED.swap(0, Ordering::Relaxed), 1, "what may not be sent twice");
    let open = send(Request::get("/")).await.unwrap_err();
    let told = "layer 1 (circuit breaker): rejected: circuit open, next probe in 8.9s; layer 0 (retry) stopped after 2 attempts";
    assert_eq!(open.to_string(), told);
    assert_eq!(ASKED.load(Ordering::Relaxed), 1, "five failures have opened it, and the retry leaves that alone");
}

#[tokio::test(start_paused = true)]
async fn in_the_terms_of_http_and_of_grpc() {
    macro_rules! check {
        ($ask:ident $slow:ident $($pipeline:ident: $http:expr, $grpc:expr;)+) => { $(
            let http = $ask($slow().layer(PipelineLayer::new(&$pipeline).replay(Idempotently).respond(HttpStatus::new()))).await;
            assert_eq!(http.status(), $http);
            let grpc = $ask($slow().layer(PipelineLayer::new(&$pipeline).replay(Idempotently).respond(GrpcStatus))).await;
            assert_eq!(grpc.headers()["grpc-status"], $grpc);
        )+ };
    }
    static RATE: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1).max_waiting(0));
    static LIMITED: Pipeline<layers![&'static RateLimiter]> = Pipeline::new().rate_limiter(&RATE);
    static PLACES: Bulkhead = checked!(Bulkhead::new(1).max_waiting(0));
    static CROWDED: Pipeline<layers![&'static Bulkhead]> = Pipeline::new().bulkhead(&PLACES);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    static BROKEN: Pipeline<layers![&'static CircuitBreaker]> = Pipeline::new().circuit_breaker(&BREAKER);
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(0);
    static NARROW: Pipeline<layers![&'static AdaptiveLimit]> = Pipeline::new().adaptive_limit(&LIMIT);
    static LATE: Pipeline<layers![TimeoutLayer<Tokio>]> = Pipeline::new().timeout(ms(50));
    let slow = || Router::<()>::new().route("/", get(async || sleep(ms(100)).await));
    let ask = async |app: Router| app.oneshot(Request::new(Body::empty())).await.expect("no error");
    drop(RATE.try_acquire(1).unwrap());
    let place = PLACES.try_acquire().unwrap();
    BREAKER.force_open();
    let _permit = LIMIT.try_acquire().unwrap();
    check! {
        ask slow
        LIMITED: StatusCode::TOO_MANY_REQUESTS, "8";
        CROWDED: StatusCode::SERVICE_UNAVAILABLE, "8";
        NARROW: StatusCode::SERVICE_UNAVAILABLE, "8";
        BROKEN: StatusCode::SERVICE_UNAVAILABLE, "14";
        LATE: StatusCode::GATEWAY_TIMEOUT, "4";
    }
    drop(place);
    assert_eq!(ask(slow().layer(PipelineLayer::new(&CROWDED).replay(Idempotently).respond(GrpcStatus))).await.status(), 200);
}

/// Nothing with a body that streams is sent again.
#[derive(Clone)]
struct Idempotently;

impl aplomb_tower::Replay<Request<Body>> for Idempotently {
    type Kept = Infallible;

    fn keep(&self, _request: &Request<Body>) -> Option<Infallible> {
        None
    }

    fn again(&self, kept: &Infallible, _attempt: u32) -> Request<Body> {
        match *kept {}
    }
}

/// The service's own error is handed on as it was, though a retry gave up.
#[tokio::test(start_paused = true)]
async fn in_the_other_mode_the_error_is_the_services_own() {
    static GUARDED: Pipeline<layers![Retry]> = Pipeline::new().retry(Retry::new());
    let fails = service_fn(async |()| Err::<Response<String>, _>("refused"));
    let typed = PipelineLayer::new(&GUARDED).layer(fails).oneshot(()).await.unwrap_err();
    assert_eq!(typed.to_string(), "refused; layer 0 (retry) gave up after 3 attempts");
    let own = PipelineLayer::new(&GUARDED).respond(HttpStatus::new()).layer(fails).oneshot(()).await.unwrap_err();
    assert_eq!(own, "refused");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_all_back() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static GUARDED: Pipeline<layers![Retry, &'static Bulkhead]> = Pipeline::new().retry(Retry::new()).bulkhead(&PLACES);
    let hangs = service_fn(async |()| std::future::pending::<Result<(), Infallible>>().await);
    let service = PipelineLayer::new(&GUARDED).layer(hangs);
    let [runs, waits] = [0; 2].map(|_| tokio::spawn(service.clone().oneshot(())));
    sleep(ms(1)).await;
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (1, 1));
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert_eq!((PLACES.snapshot().running, PLACES.snapshot().waiting), (1, 0));
    runs.abort();
    assert!(runs.await.unwrap_err().is_cancelled());
    assert_eq!(PLACES.snapshot().running, 0);
}

/// What has waited for the service within to be ready, and was not called, says nothing of it.
#[tokio::test(start_paused = true)]
async fn what_timed_out_before_the_service_was_ready_is_nothing() {
    static PLACES: Bulkhead = Bulkhead::new(1);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1);
    static LIMIT: AdaptiveLimit<Aimd> = checked!(
        AdaptiveLimit::new()
            .algorithm(Aimd::new(secs(9)))
            .initial_limit(10)
            .window(ms(0))
            .min_calls(1)
            .overload_tolerance(percent(0))
    );
    type Layers = layers![&'static CircuitBreaker, &'static AdaptiveLimit<Aimd>, TimeLimit];
    static GUARDED: Pipeline<Layers> = Pipeline::new().circuit_breaker(&BREAKER).adaptive_limit(&LIMIT).timeout(secs(1));
    static CALLED: AtomicU32 = AtomicU32::new(0);
    let service = PipelineLayer::new(&GUARDED).layer(BulkheadLayer::new(&PLACES).layer(service_fn(async |()| {
        CALLED.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<(), Infallible>>().await
    })));
    let held = PLACES.try_acquire().unwrap();
    assert!(service.clone().oneshot(()).await.unwrap_err().is_timeout());
    assert_eq!((CALLED.load(Ordering::Relaxed), BREAKER.state(), LIMIT.limit()), (0, State::Closed, 10));
    drop(held);
    assert!(service.oneshot(()).await.unwrap_err().is_timeout());
    assert_eq!((CALLED.load(Ordering::Relaxed), BREAKER.state(), LIMIT.limit()), (1, State::Open, 9), "it was called");
}

/// Nor does that wait make a call slow, or count as latency.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_call_counts_from_when_the_service_is_called() {
    static QUOTA: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1));
    static BREAKER: CircuitBreaker<LastCalls> =
        checked!(CircuitBreaker::last_calls(4).min_calls(1).slow_calls(ms(500), percent(50)));
    static LIMIT: AdaptiveLimit<Aimd> =
        checked!(AdaptiveLimit::new().algorithm(Aimd::new(ms(500))).initial_limit(4).window(ms(0)).min_calls(1));
    type Layers = layers![&'static CircuitBreaker<LastCalls>, &'static AdaptiveLimit<Aimd>];
    static GUARDED: Pipeline<Layers> = Pipeline::new().circuit_breaker(&BREAKER).adaptive_limit(&LIMIT);
    let service =
        PipelineLayer::new(&GUARDED).layer(RateLimitLayer::new(&QUOTA).layer(service_fn(async |takes: std::time::Duration| {
            sleep(takes).await;
            Ok::<_, Infallible>(())
        })));
    let began = Instant::now();
    for call in [0; 4].map(|_| tokio::spawn(service.clone().oneshot(ms(10)))) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(began.elapsed(), ms(3_010));
    assert_eq!(BREAKER.state(), State::Closed);
    assert!(LIMIT.limit() >= 4);
    for _ in 0..2 {
        service.clone().oneshot(ms(600)).await.unwrap();
    }
    assert_eq!(BREAKER.state(), State::Open, "two of four were slow");
}

/// A start that never came to the service has cost nothing.
#[tokio::test(start_paused = true)]
async fn a_hedge_that_waits_within_to_the_end_is_paid_back() {
    static HEDGE: Hedge = Hedge::after(ms(50)).burst(1);
    static PLACES: Bulkhead = Bulkhead::new(1);
    static GUARDED: Pipeline<layers![&'static Hedge]> = Pipeline::new().hedge(&HEDGE);
    let service = PipelineLayer::new(&GUARDED).layer(BulkheadLayer::new(&PLACES).layer(service_fn(async |()| {
        sleep(ms(100)).await;
        Ok::<_, Infallible>("done")
    })));
    for hedges in 1..=3 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "done");
        assert_eq!((HEDGE.snapshot().hedges, HEDGE.snapshot().denied), (hedges, 0));
    }
}
