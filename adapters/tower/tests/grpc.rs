//! Around tonic's services, which have names by which they are routed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::web::{DeadlineLayer, GrpcStatus, InExtensions, ServerErrors, Transient};
use aplomb_tower::{
    AdaptiveLimitLayer, BulkheadLayer, CircuitBreakerLayer, KeyedRateLimitLayer, RateLimitLayer, RetryLayer, TimeoutLayer,
};
use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// What a generated server looks like.
#[derive(Debug, Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        ready(Ok(Status::ok("served").into_http()))
    }
}

async fn list(routes: &Routes) -> Status {
    let request = Request::post("/shop.Orders/List").body(Body::empty()).expect("a request");
    let response = routes.clone().oneshot(request).await.expect("no error");
    Status::from_header_map(response.headers()).expect("a status among the headers")
}

/// No limiter of tower's hands on the name, and what is too much became `INTERNAL` (grpc-rust#1616).
#[tokio::test(start_paused = true)]
async fn iota_12137_grpc_rust_1616_a_limited_service_is_routed_and_rejects_by_resource_exhausted() {
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_minute(6), 2);
    static CLIENTS: KeyedRateLimiter<u8> = KeyedRateLimiter::new(Rate::per_second(10));
    static PLACES: Bulkhead = Bulkhead::new(10);
    static LIMIT: AdaptiveLimit = AdaptiveLimit::new();
    static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
    let orders = ServiceBuilder::new()
        .layer(DeadlineLayer::<Tokio>::new())
        .layer(TimeoutLayer::<Tokio>::new(secs(5)).deadline(InExtensions).respond(GrpcStatus))
        .layer(BulkheadLayer::new(&PLACES).respond(GrpcStatus))
        .layer(AdaptiveLimitLayer::new(&LIMIT).respond(GrpcStatus))
        .layer(CircuitBreakerLayer::new(&BREAKER).respond(GrpcStatus))
        .layer(KeyedRateLimitLayer::new(&CLIENTS, |_: &Request<Body>| 0).respond(GrpcStatus))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(GrpcStatus))
        .service(Orders);
    let routes = Routes::new(orders);
    for _ in 0..2 {
        assert_eq!(list(&routes).await.code(), Code::Ok);
    }
    let rejected = list(&routes).await;
    assert_eq!((rejected.code(), rejected.message()), (Code::ResourceExhausted, "rate limited, try again in 10 s"));
    assert_eq!(rejected.metadata().get("grpc-retry-pushback-ms").unwrap(), "10000");
}

/// A server answers all with 200: what failed is told by gRPC's own status.
#[tokio::test(start_paused = true)]
async fn a_client_sees_the_status_of_grpc() {
    static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> = CircuitBreaker::consecutive(2).judged_by(ServerErrors);
    let orders = CircuitBreakerLayer::new(&BREAKER)
        .layer(service_fn(async |status: Status| Ok::<_, Infallible>(status.into_http::<Body>())));
    let ask = async |status: Status| orders.clone().oneshot(status).await.is_ok();
    for _ in 0..5 {
        assert!(ask(Status::not_found("no such order")).await);
        assert!(ask(Status::ok("")).await);
    }
    assert!(ask(Status::unavailable("the database is down")).await);
    assert!(ask(Status::internal("the database is gone")).await);
    assert!(!ask(Status::ok("")).await, "the circuit is open");
}

/// By what a limiter of this crate answers, among others.
#[tokio::test(start_paused = true)]
async fn a_client_comes_back_when_it_is_told_to() {
    static RETRY: Retry<Exponential, Transient> = Retry::new().rules(Transient::new());
    static LIMITER: RateLimiter = RateLimiter::with_burst(Rate::per_minute(6), 1);
    let orders = ServiceBuilder::new()
        .layer(RetryLayer::new(RETRY))
        .layer(RateLimitLayer::new(&LIMITER).without_waiting().respond(GrpcStatus))
        .service(service_fn(async |()| Ok::<_, Infallible>(Status::ok("served").into_http::<Body>())));
    let began = Instant::now();
    for _ in 0..3 {
        let response = orders.clone().oneshot(()).await.unwrap();
        assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Ok);
    }
    assert_eq!(began.elapsed(), secs(20));
}
