//! Retries that see the response: which statuses, `Retry-After` in both its forms, which requests, until when.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use aplomb_tokio::circuit_breaker::Verdict;
use aplomb_tokio::prelude::*;
use aplomb_tokio::{Judge, Tokio, hedge};
use aplomb_tower::web::{EveryError, HttpStatus, Idempotent, ServerErrors, Transient};
use aplomb_tower::{CircuitBreakerLayer, HedgeLayer, LetThrough, RetryLayer, TimeoutLayer};
use http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

/// How often a service is asked that answers so, for how long, and with what it ends.
async fn asked(status: u16, retry_after: Option<&'static str>, method: Method) -> (u32, Duration, u16) {
    static RETRY: Retry<Constant, Transient> = Retry::new()
        .backoff(Constant::every(ms(100)))
        .rules(Transient::new().patience(secs(30)).clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)));
    let count = AtomicU32::new(0);
    let service = RetryLayer::new(RETRY).replay(Idempotent).layer(service_fn(|_: Request<String>| {
        count.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header("retry-after", value);
        }
        std::future::ready(Ok::<_, Infallible>(response.body(()).expect("a response")))
    }));
    let began = Instant::now();
    let request = Request::builder().method(method).body(String::new()).expect("a request");
    let response = service.oneshot(request).await.expect("no error");
    (count.load(Ordering::Relaxed), began.elapsed(), response.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn by_status() {
    for (status, attempts) in [(200, 1), (404, 1), (500, 1), (501, 1), (429, 3), (502, 3), (503, 3), (504, 3)] {
        let pauses = ms(100) * (attempts - 1);
        assert_eq!(asked(status, None, Method::GET).await, (attempts, pauses, status), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_method() {
    for (method, attempts) in [
        ("GET", 3),
        ("HEAD", 3),
        ("OPTIONS", 3),
        ("PUT", 3),
        ("DELETE", 3),
        ("POST", 1),
        ("PATCH", 1),
        ("CONNECT", 1),
        ("SPLICE", 1),
    ] {
        assert_eq!(asked(503, None, method.parse().unwrap()).await.0, attempts, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_in_both_its_forms() {
    // It is 08:49:37 there.
    for (value, attempts, pauses) in [
        ("2", 3, secs(4)),
        // That is no time to wait for: the backoff stands.
        ("0", 3, ms(200)),
        ("30", 3, secs(60)),
        ("31", 1, secs(0)),
        ("Sun, 06 Nov 1994 08:49:42 GMT", 3, secs(10)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 3, ms(200)),
        ("Sun, 06 Nov 1994 07:00:00 GMT", 3, ms(200)),
        ("Sun, 06 Nov 1994 09:49:37 GMT", 1, secs(0)),
        ("soon", 3, ms(200)),
    ] {
        assert_eq!(asked(429, Some(value), Method::GET).await, (attempts, pauses, 429), "{value}");
    }
}

/// A request that is told apart by the service may be sent twice.
#[tokio::test(start_paused = true)]
async fn an_idempotency_key() {
    static RETRY: Retry<Constant, Transient> = Retry::new().backoff(Constant::every(ms(0))).rules(Transient::new());
    let service = RetryLayer::new(RETRY)
        .replay(Idempotent)
        .layer(service_fn(async |_: Request<()>| Err::<Response<()>, _>(std::io::Error::other("reset"))));
    let bare = Request::post("/orders").body(()).unwrap();
    assert_eq!(service.clone().oneshot(bare).await.unwrap_err().attempts(), 1);
    let told_apart = Request::post("/orders").header("idempotency-key", "7").body(()).unwrap();
    assert_eq!(service.oneshot(told_apart).await.unwrap_err().attempts(), 3);
}

/// Each attempt has its timeout, the call its own, and both become what the mode makes of them.
#[tokio::test(start_paused = true)]
async fn timeouts_inside_and_outside() {
    static RETRY: Retry<Constant, Transient> = Retry::new().backoff(Constant::every(ms(100))).rules(Transient::new());
    let hangs = service_fn(async |_: Request<String>| std::future::pending::<Result<Response<String>, Infallible>>().await);
    let attempts = TimeoutLayer::<aplomb_tokio::Tokio>::new(secs(1)).respond(HttpStatus::new());
    let began = Instant::now();
    // The timeout's 504 is retried as any.
    let service = ServiceBuilder::new().layer(RetryLayer::new(RETRY).replay(Idempotent)).layer(attempts).service(hangs);
    let response = service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!((response.status(), began.elapsed()), (StatusCode::GATEWAY_TIMEOUT, ms(3_200)));

    let began = Instant::now();
    let late = RetryLayer::new(RETRY.deadline(ms(1_500))).respond(HttpStatus::new()).layer(hangs);
    let response: Result<_, Infallible> = late.oneshot(Request::new(String::new())).await;
    assert_eq!((response.unwrap().status(), began.elapsed()), (StatusCode::GATEWAY_TIMEOUT, ms(1_500)));
}

/// What a breaker below rejects is not asked for again, unless that is wanted.
#[tokio::test(start_paused = true)]
async fn rejections_may_be_left_alone() {
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(2).open_for(secs(60));
    let service = CircuitBreakerLayer::new(&BREAKER)
        .layer(service_fn(async |_: Request<String>| Err::<Response<()>, _>(std::io::Error::other("reset"))));
    let patient = Retry::new().max_attempts(5).backoff(Constant::every(ms(100)));
    let retried = RetryLayer::new(patient.rules(Transient::new().errors(LetThrough(EveryError)))).layer(service.clone());
    let gave_up = retried.oneshot(Request::new(String::new())).await.unwrap_err();
    assert_eq!(gave_up.attempts(), 3, "two that fail, and one that is rejected");
    let retried = RetryLayer::new(patient.rules(Transient::new())).layer(service);
    assert_eq!(retried.oneshot(Request::new(String::new())).await.unwrap_err().attempts(), 5);
}

/// Nor below the timeout and the hedge that each attempt has.
#[tokio::test(start_paused = true)]
async fn rejections_may_be_left_alone_however_deep_they_lie() {
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(60));
    static HEDGE: Hedge = Hedge::after(ms(50));
    type Errors = LetThrough<LetThrough<LetThrough<EveryError>>>;
    static RETRY: Retry<Constant, Transient<Errors>> = Retry::new()
        .backoff(Constant::every(ms(100)))
        .max_attempts(5)
        .rules(Transient::new().errors(LetThrough(LetThrough(LetThrough(EveryError)))));
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(RETRY))
        .layer(TimeoutLayer::<Tokio>::new(secs(1)))
        .layer(HedgeLayer::new(&HEDGE))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .service(service_fn(async |_: Request<String>| Err::<Response<()>, _>(std::io::Error::other("reset"))));
    let gave_up = service.oneshot(Request::new(String::new())).await.unwrap_err();
    assert_eq!(gave_up.attempts(), 1, "the hedge has asked once more, and was rejected: {gave_up}");
}

/// The last error is handed on as it was.
#[tokio::test(start_paused = true)]
async fn in_the_other_mode_the_error_is_the_services_own() {
    let service = RetryLayer::new(Retry::new())
        .respond(HttpStatus::new())
        .layer(service_fn(async |()| Err::<Response<String>, _>("refused")));
    assert_eq!(service.oneshot(()).await.unwrap_err(), "refused");
}

#[test]
fn what_counts_as_a_failure() {
    let respond = |status| Response::builder().status(status).body(()).unwrap();
    let judged = |status| -> Verdict { ServerErrors.judge(Ok::<_, &Infallible>(&respond(status))) };
    assert_eq!([200, 304, 404, 408].map(judged), [Verdict::Success; 4]);
    assert_eq!([500, 502, 503, 504].map(judged), [Verdict::Failure; 4]);
    assert_eq!(judged(429), Verdict::Ignored);
    assert_eq!(Judge::<Response<()>, _, Verdict>::judge(&ServerErrors, Err(&"reset")), Verdict::Failure);

    let judged = |status| -> hedge::Verdict { ServerErrors.judge(Ok::<_, &Infallible>(&respond(status))) };
    assert_eq!([200, 304, 404, 408].map(judged), [hedge::Verdict::Success; 4]);
    assert_eq!([500, 502, 503, 504].map(judged), [hedge::Verdict::Failure; 4]);
    assert_eq!(judged(429), hedge::Verdict::Fatal);
}
