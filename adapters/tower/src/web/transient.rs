use std::fmt;
use std::time::{Duration, SystemTime};

use aplomb::retry::Rules;
use aplomb::{Judge, adaptive_limit, circuit_breaker, hedge};
use http::{Response, StatusCode};

use super::grpc::{pushback, status_of};
use super::retry_after;
use crate::{LetThrough, Reason, Refusal};

/// Rules of a retry that look at the response: 429, 502, 503 and 504 are retried, and of gRPC `RESOURCE_EXHAUSTED`, `UNAVAILABLE` and `DEADLINE_EXCEEDED`, as [`ServerErrors`] tells them; and every [error](Transient::errors) of the service. When, the response may say itself by `Retry-After`, in both its forms, or `grpc-retry-pushback-ms`. One that is no time away, `0` or a date that has passed, says nothing: the backoff holds, so that neither a service that asks for no pause nor a clock that is fast switches it off.
///
/// A response that asks for more [patience](Transient::patience) than there is, 60 s unless said otherwise, is not retried but handed on: to come sooner than it says would be no use. (To come sooner all the same, set [`Retry::retry_after_max`](aplomb::Retry::retry_after_max).)
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::RetryLayer;
/// use aplomb_tower::web::{Idempotent, Transient};
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static RETRY: Retry<Exponential, Transient> = Retry::standard(&BUDGET).rules(Transient::new().patience(secs(10)));
///
/// let layer = RetryLayer::new(RETRY).replay(Idempotent);
/// # let _ = layer;
/// ```
#[derive(Clone, Copy)]
pub struct Transient<V = EveryError> {
    patience: Duration,
    now: fn() -> SystemTime,
    errors: V,
}

impl Transient {
    /// Every error, with a patience of 60 s, by the system's clock.
    #[must_use]
    pub const fn new() -> Self {
        Self { patience: Duration::from_mins(1), now: SystemTime::now, errors: EveryError }
    }
}

impl<V: Copy> Transient<V> {
    /// Retries only such errors. Default: [`EveryError`].
    ///
    /// # Examples
    ///
    /// Above a breaker, so that what that rejects is not asked for again:
    ///
    /// ```
    /// use aplomb_tokio::prelude::*;
    /// use aplomb_tower::web::{EveryError, Idempotent, ServerErrors, Transient};
    /// use aplomb_tower::{CircuitBreakerLayer, LetThrough, RetryLayer};
    /// use tower::ServiceBuilder;
    ///
    /// static RETRY: Retry<Exponential, Transient<LetThrough<EveryError>>> =
    ///     Retry::new().rules(Transient::new().errors(LetThrough(EveryError)));
    /// static BREAKER: CircuitBreaker<Consecutive, Constant, ServerErrors> = CircuitBreaker::consecutive(5).judged_by(ServerErrors);
    ///
    /// let layers = ServiceBuilder::new()
    ///     .layer(RetryLayer::new(RETRY).replay(Idempotent))
    ///     .layer(CircuitBreakerLayer::new(&BREAKER));
    /// # let _ = layers;
    /// ```
    #[must_use]
    pub const fn errors<V2>(self, errors: V2) -> Transient<V2> {
        Transient { patience: self.patience, now: self.now, errors }
    }

    /// Retries no response that asks to wait for longer than that.
    #[must_use]
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Takes dates from another clock than the system's.
    #[must_use]
    pub const fn clock(mut self, now: fn() -> SystemTime) -> Self {
        self.now = now;
        self
    }
}

impl Default for Transient {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for Transient<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transient").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Which errors of a service are retried. Every `Fn(&E) -> bool` says so; [`LetThrough`] leaves alone what the layer right below has rejected, as a breaker that is open.
pub trait RetryErrors<E> {
    /// Whether that one is.
    fn retries(&self, error: &E) -> bool;
}

impl<E, F: Fn(&E) -> bool> RetryErrors<E> for F {
    fn retries(&self, error: &E) -> bool {
        self(error)
    }
}

/// All are.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryError;

impl<E> RetryErrors<E> for EveryError {
    fn retries(&self, _error: &E) -> bool {
        true
    }
}

impl<X: Refusal, V: RetryErrors<X::Inner>> RetryErrors<X> for LetThrough<V> {
    fn retries(&self, error: &X) -> bool {
        let by_layer = || matches!(error.reason(), Reason::TimedOut | Reason::Lost);
        error.inner().map_or_else(by_layer, |inner| self.0.retries(inner))
    }
}

impl<B, E, V: RetryErrors<E>> Rules<Response<B>, E> for Transient<V> {
    fn retries(&mut self, outcome: Result<&Response<B>, &E>) -> bool {
        match outcome {
            Err(error) => self.errors.retries(error),
            Ok(response) => is_transient(status_of(response)) && self.asked_by(response).is_none_or(|time| time <= self.patience),
        }
    }

    fn retry_after(&mut self, outcome: Result<&Response<B>, &E>) -> Option<Duration> {
        self.asked_by(outcome.ok()?).filter(|time| !time.is_zero())
    }
}

impl<V> Transient<V> {
    fn asked_by<B>(&self, response: &Response<B>) -> Option<Duration> {
        retry_after(response.headers(), (self.now)()).or_else(|| pushback(response.headers()))
    }
}

const fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What counts as a failure of an HTTP service, for a breaker or a hedge: errors, and statuses from 500 on. All else is a success, a 404 too: the service did answer.
///
/// A service of gRPC answers all with 200. Of a response with `grpc-status` among its headers, as most have that fail, that is what counts, in the terms of HTTP as `google.rpc.Code` has them: `UNAVAILABLE` is 503. What fails when its response has begun says so in trailers, which come later.
///
/// 429 says that there were too many calls, and not how the service is. For a breaker it counts as nothing; a hedge makes no more of them, and ends with it. So it is with what a layer right below has rejected, within [`LetThrough`](crate::LetThrough).
///
/// # Examples
///
/// ```
/// use aplomb_tokio::hedge::After;
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::web::{Idempotent, ServerErrors};
/// use aplomb_tower::{CircuitBreakerLayer, HedgeLayer};
/// use tower::ServiceBuilder;
///
/// static SEARCH: CircuitBreaker<Consecutive, Constant, ServerErrors> =
///     CircuitBreaker::consecutive(5).judged_by(ServerErrors);
/// static HEDGE: Hedge<After, Inline<1>, ServerErrors> = checked!(Hedge::after(ms(50)).judged_by(ServerErrors));
///
/// let layers = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(&SEARCH))
///     .layer(HedgeLayer::new(&HEDGE).replay(Idempotent));
/// # let _ = layers;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerErrors;

impl<B, E> Judge<Response<B>, E, circuit_breaker::Verdict> for ServerErrors {
    fn judge(&self, outcome: Result<&Response<B>, &E>) -> circuit_breaker::Verdict {
        use circuit_breaker::Verdict;
        match outcome.map(status_of) {
            Err(_) => Verdict::Failure,
            Ok(status) if status.is_server_error() => Verdict::Failure,
            Ok(StatusCode::TOO_MANY_REQUESTS) => Verdict::Ignored,
            Ok(_) => Verdict::Success,
        }
    }
}

impl<B, E> Judge<Response<B>, E, hedge::Verdict> for ServerErrors {
    fn judge(&self, outcome: Result<&Response<B>, &E>) -> hedge::Verdict {
        use hedge::Verdict;
        match outcome.map(status_of) {
            Err(_) => Verdict::Failure,
            Ok(status) if status.is_server_error() => Verdict::Failure,
            Ok(StatusCode::TOO_MANY_REQUESTS) => Verdict::Fatal,
            Ok(_) => Verdict::Success,
        }
    }
}

/// What is a sign of overload of an HTTP service, for an adaptive limit: 429, 503 and 504, or what gRPC has for those, as [`ServerErrors`] tells it. Errors, and all other statuses from 500 on, count as nothing: the service broke off, at whatever point. All else is measured, a 404 too.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::adaptive_limit::Gradient;
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::AdaptiveLimitLayer;
/// use aplomb_tower::web::Overloads;
///
/// static SEARCH: AdaptiveLimit<Gradient, Overloads> = checked!(AdaptiveLimit::new().judged_by(Overloads));
///
/// let layer = AdaptiveLimitLayer::new(&SEARCH);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Overloads;

impl<B, E> Judge<Response<B>, E, adaptive_limit::Verdict> for Overloads {
    fn judge(&self, outcome: Result<&Response<B>, &E>) -> adaptive_limit::Verdict {
        use adaptive_limit::Verdict;
        match outcome.map(status_of) {
            Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                Verdict::Overload
            }
            Ok(status) if !status.is_server_error() => Verdict::Success,
            Ok(_) | Err(_) => Verdict::Ignored,
        }
    }
}
