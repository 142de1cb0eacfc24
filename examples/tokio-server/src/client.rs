//! Clients of the service.

use std::net::SocketAddr;

use aplomb_tokio::prelude::*;
use aplomb_tower::web::{EveryError, Idempotent, ServerErrors, Transient};
use aplomb_tower::{CircuitBreakerLayer, LetThrough, RateLimitLayer, RetryLayer};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceBuilder, ServiceExt};

static BUDGET: RetryBudget = RetryBudget::new(500);
static RETRY: Retry<Exponential, Transient<LetThrough<EveryError>>> =
    Retry::standard(&BUDGET).max_attempts(5).attempt_timeout(secs(5)).rules(Transient::new().errors(LetThrough(EveryError)));
static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> =
    CircuitBreaker::consecutive(3).open_for(secs(30)).judged_by(ServerErrors);
static PACE: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(40), 4));

/// What a guarded client fails with.
type Guarded = RetryError<BreakerError<RateLimitError<Error>>>;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Status(StatusCode),
    /// It was not even sent.
    Rejected,
    Failed,
}

impl From<Error> for Ending {
    fn from(_: Error) -> Self {
        Self::Failed
    }
}

impl From<Guarded> for Ending {
    fn from(error: Guarded) -> Self {
        if error.inner().is_some_and(BreakerError::is_rejected) { Self::Rejected } else { Self::Failed }
    }
}

/// Sends each request once.
pub(crate) fn bare() -> Client<HttpConnector, String> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends so many requests a second, and each again when that does no harm, and when the service says so; and leaves a service alone that is down.
pub(crate) fn guarded()
-> impl Service<Request<String>, Response = Response<Incoming>, Error = Guarded, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new()
        .layer(RetryLayer::new(RETRY).replay(Idempotent))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .layer(RateLimitLayer::new(&PACE))
        .service(bare())
}

/// Asks for so many users at once.
pub(crate) async fn burst<C>(client: C, server: SocketAddr, requests: u32) -> Vec<Ending>
where
    C: Service<Request<String>, Response = Response<Incoming>, Error: Into<Ending> + Send, Future: Send> + Clone + Send + 'static,
{
    let calls: Vec<_> =
        (0..requests).map(|id| tokio::spawn(get(client.clone(), format!("http://{server}/users/{id}")))).collect();
    let mut endings = Vec::new();
    for call in calls {
        endings.push(call.await.unwrap_or(Ending::Failed));
    }
    endings
}

/// Asks for so many reports, one after another.
pub(crate) async fn one_after_another<C>(client: C, server: SocketAddr, requests: u32) -> Vec<Ending>
where
    C: Service<Request<String>, Response = Response<Incoming>, Error: Into<Ending>> + Clone,
{
    let mut endings = Vec::new();
    for _ in 0..requests {
        endings.push(get(client.clone(), format!("http://{server}/reports")).await);
    }
    endings
}

async fn get<C>(client: C, uri: String) -> Ending
where
    C: Service<Request<String>, Response = Response<Incoming>, Error: Into<Ending>>,
{
    let Ok(request) = Request::get(uri).body(String::new()) else { return Ending::Failed };
    match client.oneshot(request).await {
        Ok(response) => {
            let status = response.status();
            // Read to the end, so that the connection is free for the next one.
            if response.into_body().collect().await.is_ok() { Ending::Status(status) } else { Ending::Failed }
        }
        Err(error) => error.into(),
    }
}
