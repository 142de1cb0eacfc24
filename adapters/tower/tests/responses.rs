//! What a server says, through an axum router.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::web::{DeadlineLayer, ForwardedFor, GrpcStatus, HttpStatus, InExtensions, PeerAddress, ServerErrors};
use aplomb_tower::{
    BulkheadLayer, CircuitBreakerLayer, FallbackLayer, KeyedRateLimitLayer, RateLimitLayer, Respond, TimeoutLayer,
};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt;
use tower::ServiceExt;

const RATE: Rate = Rate::per_minute(2);

/// The fields of a response that are ours, as text.
fn fields(fields: &HeaderMap) -> Vec<String> {
    let ours = |name: &str| name == "retry-after" || name.contains("ratelimit") || name.starts_with("grpc");
    let mut told: Vec<_> = fields
        .iter()
        .filter(|(name, _)| ours(name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    told.sort();
    told
}

async fn get_root(app: &Router, change: impl FnOnce(&mut Request<Body>)) -> (StatusCode, Vec<String>, String) {
    let mut request = Request::new(Body::empty());
    change(&mut request);
    let response = app.clone().oneshot(request).await.expect("no error");
    let (status, told) = (response.status(), fields(response.headers()));
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, told, String::from_utf8(body.into()).expect("text"))
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_told_with_each_response() {
    static LIMITER: RateLimiter = RateLimiter::new(RATE);
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(HttpStatus::new().policy("default", RATE)));
    let policy = r#"ratelimit-policy: "default";q=2;w=60"#;
    for limit in [r#"ratelimit: "default";r=1"#, r#"ratelimit: "default";r=0"#] {
        let (status, told, body) = get_root(&app, |_| {}).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "hello"));
        assert_eq!(told, [policy, limit]);
    }
    tokio::time::advance(ms(100)).await;
    let (status, told, body) = get_root(&app, |_| {}).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // 29.9 s, rounded up: who comes then comes late enough.
    assert_eq!(told, [policy, r#"ratelimit: "default";r=0;t=30"#, "retry-after: 30"]);
    assert_eq!(body, "rate limited, try again in 30 s\n");
    tokio::time::advance(secs(30)).await;
    assert_eq!(get_root(&app, |_| {}).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn and_by_the_older_names() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(RATE, 1);
    let responder = HttpStatus::new().policy("default", RATE).legacy();
    let app: Router =
        Router::new().route("/", get(async || "hello")).layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(responder));
    let older = |told: Vec<String>| told.into_iter().filter(|field| field.starts_with("x-")).collect::<Vec<_>>();
    assert_eq!(older(get_root(&app, |_| {}).await.1), ["x-ratelimit-limit: 2", "x-ratelimit-remaining: 0"]);
    assert_eq!(
        older(get_root(&app, |_| {}).await.1),
        ["x-ratelimit-after: 30", "x-ratelimit-limit: 2", "x-ratelimit-remaining: 0"]
    );
}

/// What clients of a limiter are told of their quota, call after call.
async fn quotas<const N: usize>(layer: RateLimitLayer<&'static RateLimiter, Respond<HttpStatus>>) -> [String; N] {
    let app: Router = Router::new().route("/", get(async || "hello")).layer(layer);
    let mut quotas = [const { String::new() }; N];
    for quota in &mut quotas {
        let (status, told, _) = get_root(&app, |_| {}).await;
        *quota = format!("{} {}", status.as_u16(), told.join(" ").replace("\"a\";", "").replace("ratelimit", "limit"));
    }
    quotas
}

#[tokio::test(start_paused = true)]
async fn a_quota_has_whole_seconds_and_no_more_is_left_than_it_is() {
    const QUICK: Rate = Rate::new(5, ms(100));
    static QUICK_ONE: RateLimiter = RateLimiter::new(QUICK);
    static BURSTS: RateLimiter = RateLimiter::with_burst(RATE, 10);
    let layer = RateLimitLayer::new(&QUICK_ONE).without_waiting().respond(HttpStatus::new().policy("a", QUICK));
    assert_eq!(quotas(layer).await, ["200 limit-policy: q=50;w=1 limit: r=4", "200 limit-policy: q=50;w=1 limit: r=3"]);

    let layer = RateLimitLayer::new(&BURSTS).without_waiting();
    let told = quotas(layer.clone().respond(HttpStatus::new().policy_with_burst("a", RATE, 10))).await;
    assert_eq!(told, ["200 limit-policy: q=10;w=300 limit: r=9"]);
    let told = quotas(layer.respond(HttpStatus::new().policy("a", RATE))).await;
    assert_eq!(told, ["200 limit-policy: q=2;w=60 limit: r=2"], "of a burst it was not told");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_follows_a_rate_that_is_changed() {
    static CHANGED: RateLimiter = RateLimiter::new(Rate::per_minute(100));
    let layer = RateLimitLayer::new(&CHANGED).without_waiting().respond(HttpStatus::new().policy("a", Rate::per_minute(100)));
    assert_eq!(quotas(layer.clone()).await, ["200 limit-policy: q=100;w=60 limit: r=99"]);
    CHANGED.set_rate(RATE).unwrap();
    let [left, none, refused] = quotas(layer.clone()).await;
    assert!(left.ends_with(" limit: r=1") && none.ends_with(" limit: r=0"), "{left}, {none}");
    assert_eq!(refused, "429 limit-policy: q=100;w=60 limit: r=0;t=30 retry-after: 30");
    CHANGED.set_rate(Rate::per_second(1_000)).unwrap();
    tokio::time::advance(secs(1)).await;
    assert_eq!(quotas(layer).await, ["200 limit-policy: q=100;w=60 limit: r=100"]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_told_to_those_who_have_waited_for_it() {
    static WAITS: RateLimiter = RateLimiter::new(RATE);
    let layer = RateLimitLayer::new(&WAITS).max_wait(secs(30)).respond(HttpStatus::new().policy("a", RATE));
    let [_, _, waited] = quotas(layer.clone()).await;
    assert_eq!(waited, "200 limit-policy: q=2;w=60 limit: r=0");
    tokio::time::advance(ms(100)).await;
    let impatient = RateLimitLayer::new(&WAITS).max_wait(secs(1)).respond(HttpStatus::new().policy("a", RATE));
    assert_eq!(quotas(impatient).await, ["429 limit-policy: q=2;w=60 limit: r=0;t=30 retry-after: 30"]);
}

/// Each client has a quota of its own; those that cannot be told apart share one.
#[tokio::test(start_paused = true)]
async fn a_quota_for_each_client() {
    static CLIENTS: KeyedRateLimiter<Option<IpAddr>> = KeyedRateLimiter::new(RATE);
    let peer = PeerAddress::new(|ConnectInfo(address): &ConnectInfo<SocketAddr>| *address);
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(KeyedRateLimitLayer::new(&CLIENTS, peer).respond(HttpStatus::new().policy("client", RATE)));
    let from = async |address: Option<[u8; 4]>| {
        let (status, told, _) = get_root(&app, |request| {
            if let Some(address) = address {
                request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
            }
        })
        .await;
        (status.as_u16(), told[0].clone())
    };
    for client in [Some([10, 0, 0, 1]), Some([10, 0, 0, 2]), None] {
        assert_eq!(from(client).await, (200, r#"ratelimit-policy: "client";q=2;w=60"#.to_owned()));
        assert_eq!(from(client).await.0, 200);
        assert_eq!(from(client).await.0, 429);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_for_each_client_behind_a_proxy() {
    static CLIENTS: KeyedRateLimiter<Option<IpAddr>> = KeyedRateLimiter::with_burst(RATE, 1);
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(KeyedRateLimitLayer::new(&CLIENTS, ForwardedFor::proxies(1)).respond(HttpStatus::new()));
    let from = async |chain: &str| {
        get_root(&app, |request| {
            request.headers_mut().insert("x-forwarded-for", chain.parse().unwrap());
        })
        .await
        .0
        .as_u16()
    };
    assert_eq!(from("203.0.113.7").await, 200);
    assert_eq!(from("198.51.100.1, 203.0.113.7").await, 429, "it cannot make itself another");
    assert_eq!(from("203.0.113.8").await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_open() {
    static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> =
        CircuitBreaker::consecutive(2).open_for(secs(10)).judged_by(ServerErrors);
    let app: Router = Router::new()
        .route("/", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(CircuitBreakerLayer::new(&BREAKER).respond(HttpStatus::new()));
    for _ in 0..2 {
        assert_eq!(get_root(&app, |_| {}).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    }
    let (status, told, body) = get_root(&app, |_| {}).await;
    assert_eq!((status.as_u16(), body.as_str()), (503, "circuit open, try again in 10 s\n"));
    assert_eq!(told, ["retry-after: 10"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_in_place_of_a_rejection() {
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    type Outcome = Result<Response<Body>, Infallible>;
    let is_full = |outcome: Result<&Response<Body>, &Infallible>| {
        outcome.is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE)
    };
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(BulkheadLayer::new(&PLACES).respond(HttpStatus::new()))
        .layer(FallbackLayer::new(async |_: Outcome| Ok(Response::new(Body::from("yesterday's")))).fallback_if(is_full));
    assert_eq!(get_root(&app, |_| {}).await.2, "hello");
    let _place = PLACES.try_acquire().unwrap();
    assert_eq!(get_root(&app, |_| {}).await, (StatusCode::OK, vec![], "yesterday's".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out() {
    let app: Router = Router::new()
        .route(
            "/",
            get(async || {
                tokio::time::sleep(secs(60)).await;
                "at last"
            }),
        )
        .layer(TimeoutLayer::<Tokio>::new(secs(2)).deadline(InExtensions).respond(HttpStatus::new()))
        .layer(DeadlineLayer::<Tokio>::new());
    let began = tokio::time::Instant::now();
    assert_eq!(get_root(&app, |_| {}).await, (StatusCode::GATEWAY_TIMEOUT, vec![], "timed out\n".to_owned()));
    assert_eq!(began.elapsed(), secs(2));
    let hurried = get_root(&app, |request| {
        request.headers_mut().insert("grpc-timeout", "500m".parse().unwrap());
    });
    assert_eq!(hurried.await.0, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(began.elapsed(), ms(2_500));
}

#[tokio::test(start_paused = true)]
async fn in_the_terms_of_grpc() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(RATE, 1);
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(10));
    drop(LIMITER.try_acquire(1).unwrap());
    let _place = PLACES.try_acquire().unwrap();
    BREAKER.permit().unwrap().failure();
    let app = || {
        Router::new().route(
            "/",
            get(async || {
                tokio::time::sleep(secs(60)).await;
            }),
        )
    };
    let told = async |app: Router| {
        let (status, told, body) = get_root(&app, |_| {}).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, ""));
        told
    };
    assert_eq!(
        told(app().layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(GrpcStatus))).await,
        ["grpc-message: rate limited, try again in 30 s", "grpc-retry-pushback-ms: 30000", "grpc-status: 8"]
    );
    assert_eq!(
        told(app().layer(BulkheadLayer::new(&PLACES).respond(GrpcStatus))).await,
        ["grpc-message: overloaded", "grpc-status: 8"]
    );
    assert_eq!(
        told(app().layer(CircuitBreakerLayer::new(&BREAKER).respond(GrpcStatus))).await,
        ["grpc-message: circuit open, try again in 10 s", "grpc-retry-pushback-ms: 10000", "grpc-status: 14"]
    );
    assert_eq!(
        told(app().layer(TimeoutLayer::<Tokio>::new(secs(1)).respond(GrpcStatus))).await,
        ["grpc-message: timed out", "grpc-status: 4"]
    );
}
