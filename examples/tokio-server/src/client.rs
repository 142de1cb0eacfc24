//! Clients of the service.

use std::net::SocketAddr;

use aplomb_tokio::prelude::*;
use aplomb_tower::http::{Idempotent, ServerErrors, Transient};
use aplomb_tower::{CircuitBreakerLayer, RateLimitLayer, RetryLayer};
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

static BUDGET: RetryBudget = RetryBudget::new(500);
static RETRY: Retry<Exponential, Transient> =
    Retry::standard(&BUDGET).max_attempts(5).attempt_timeout(secs(5)).rules(Transient::new());
static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> =
    CircuitBreaker::consecutive(3).open_for(secs(30)).judged_by(ServerErrors);
static PACE: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(40), 4));

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Status(StatusCode),
    /// It was not even sent.
    Rejected,
    Failed,
}

/// Sends what it is given, once.
pub(crate) fn bare() -> impl Service<Request<String>, Response = Response<Incoming>, Error = BoxError, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new().map_err(BoxError::from).service(Client::builder(TokioExecutor::new()).build_http())
}

/// Sends no more than so many a second, calls again when that does no harm and as the service asks, and leaves one alone that is down.
pub(crate) fn guarded() -> impl Service<Request<String>, Response = Response<Incoming>, Error = BoxError, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new()
        .map_err(|error: RetryError<BreakerError<RateLimitError<_>>>| match error.into_inner() {
            Some(error) if error.is_rejected() => BoxError::from(NotSent),
            _ => BoxError::from("failed"),
        })
        .layer(RetryLayer::new(RETRY).replay(Idempotent))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .layer(RateLimitLayer::new(&PACE))
        .service(Client::builder(TokioExecutor::new()).build_http())
}
