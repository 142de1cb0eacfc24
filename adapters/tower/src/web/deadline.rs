use core::fmt;
use core::task::{Context, Poll};
use core::time::Duration;

use aplomb::{Ambient, Clock, Deadline, Platform};
use http::{HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::DeadlineOf;

/// Notes among a request's extensions until when its client wants the response: for [`InExtensions`], and for whatever the service calls in turn.
///
/// By default that is read from gRPC's `grpc-timeout`. If there is a [`Deadline`] already, the earlier one holds.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::{Deadline, Tokio, prelude::*};
/// use aplomb_tower::TimeoutLayer;
/// use aplomb_tower::web::{DeadlineLayer, InExtensions};
/// use http::Request;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(DeadlineLayer::<Tokio>::new())
///     .layer(TimeoutLayer::<Tokio>::new(secs(60)).deadline(InExtensions))
///     .service(service_fn(async |request: Request<()>| {
///         let deadline: Deadline = *request.extensions().get().unwrap(); // for calls of its own
///         # let _ = deadline;
///         std::future::pending::<Result<(), std::io::Error>>().await
///     }));
/// let request = Request::post("/shop.Orders/List").header("grpc-timeout", "250m").body(()).unwrap();
/// assert!(service.oneshot(request).await.unwrap_err().is_timeout());
/// # }
/// ```
pub struct DeadlineLayer<P: Platform, F = GrpcTimeout> {
    clock: P::Clock,
    time_of: F,
}

impl<P: Platform<Clock: Ambient>> DeadlineLayer<P> {
    /// Reads `grpc-timeout`.
    #[must_use]
    pub const fn new() -> Self {
        Self { clock: Ambient::CLOCK, time_of: GrpcTimeout }
    }
}

impl<P: Platform, F: Clone> Clone for DeadlineLayer<P, F> {
    fn clone(&self) -> Self {
        Self { clock: self.clock.clone(), time_of: self.time_of.clone() }
    }
}

impl<P: Platform, F> fmt::Debug for DeadlineLayer<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineLayer").finish_non_exhaustive()
    }
}

impl<P: Platform<Clock: Ambient>> Default for DeadlineLayer<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> DeadlineLayer<P> {
    /// Reads by a function of one's own how much time a client gives.
    pub fn time_of<F: Fn(&HeaderMap) -> Option<Duration>>(self, time_of: F) -> DeadlineLayer<P, F> {
        DeadlineLayer { clock: self.clock, time_of }
    }
}

impl<S, P: Platform, F: Clone> Layer<S> for DeadlineLayer<P, F> {
    type Service = Deadlines<S, P, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadlines { inner, clock: self.clock.clone(), time_of: self.time_of.clone() }
    }
}

/// A service whose requests have deadlines; made by [`DeadlineLayer`].
pub struct Deadlines<S, P: Platform, F = GrpcTimeout> {
    inner: S,
    clock: P::Clock,
    time_of: F,
}

impl<S: Clone, P: Platform, F: Clone> Clone for Deadlines<S, P, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), clock: self.clock.clone(), time_of: self.time_of.clone() }
    }
}

impl<S: fmt::Debug, P: Platform, F> fmt::Debug for Deadlines<S, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, P, F, B> Service<Request<B>> for Deadlines<S, P, F>
where
    S: Service<Request<B>>,
    P: Platform,
    F: TimeOf,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(time) = self.time_of.time_of(request.headers()) {
            let told = Deadline::after(self.clock.now(), time);
            let known = request.extensions().get().copied().unwrap_or(Deadline::NEVER);
            request.extensions_mut().insert(told.earlier(known));
        }
        self.inner.call(request)
    }
}

/// How much time a client gives. Every `Fn(&HeaderMap) -> Option<Duration>` is one.
pub trait TimeOf {
    /// The time, if it says so.
    fn time_of(&self, fields: &HeaderMap) -> Option<Duration>;
}

impl<F: Fn(&HeaderMap) -> Option<Duration>> TimeOf for F {
    fn time_of(&self, fields: &HeaderMap) -> Option<Duration> {
        self(fields)
    }
}

/// What gRPC has for it: [`grpc_timeout`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GrpcTimeout;

impl TimeOf for GrpcTimeout {
    fn time_of(&self, fields: &HeaderMap) -> Option<Duration> {
        grpc_timeout(fields)
    }
}

/// The time that a gRPC client gives, by `grpc-timeout`: up to eight digits, and a unit.
///
/// # Examples
///
/// ```
/// use aplomb_tower::web::grpc_timeout;
/// use core::time::Duration;
/// use http::HeaderMap;
///
/// let mut fields = HeaderMap::new();
/// fields.insert("grpc-timeout", "250m".parse().unwrap());
/// assert_eq!(grpc_timeout(&fields), Some(Duration::from_millis(250)));
/// ```
#[must_use]
pub fn grpc_timeout(fields: &HeaderMap) -> Option<Duration> {
    let text = fields.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !matches!(digits.len(), 1..=8) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The [`Deadline`] that lies among a request's extensions, if one does.
#[derive(Debug, Clone, Copy, Default)]
pub struct InExtensions;

impl<B> DeadlineOf<Request<B>> for InExtensions {
    fn deadline(&self, request: &Request<B>) -> Deadline {
        request.extensions().get().copied().unwrap_or(Deadline::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_grpc() {
        for (text, expected) in [
            ("1H", Some(Duration::from_hours(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("2M", Some(Duration::from_mins(2))),
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("123456789S", None),
            ("10", None),
            ("S", None),
            ("", None),
            ("+1S", None),
            ("1s", None),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert("grpc-timeout", text.parse().expect("a value"));
            assert_eq!(grpc_timeout(&fields), expected, "{text}");
        }
    }
}
