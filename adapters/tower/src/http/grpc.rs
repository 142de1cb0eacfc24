use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response};

use crate::{Reason, Rejection, Responder};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Makes a gRPC response of a rejection: one without a message, whose status is among its headers (`Trailers-Only`).
///
/// | | status |
/// | --- | --- |
/// | [`RateLimited`](Reason::RateLimited), [`Overloaded`](Reason::Overloaded) | 8, `RESOURCE_EXHAUSTED` |
/// | [`CircuitOpen`](Reason::CircuitOpen) | 14, `UNAVAILABLE` |
/// | [`TimedOut`](Reason::TimedOut) | 4, `DEADLINE_EXCEEDED` |
/// | [`Lost`](Reason::Lost) | 2, `UNKNOWN` |
/// | [`Misconfigured`](Reason::Misconfigured) | 13, `INTERNAL` |
///
/// Where it is known when to come back, `grpc-retry-pushback-ms` says so to clients that retry (gRFC A6).
///
/// # Examples
///
/// ```
/// use aplomb::time::ms;
/// use aplomb_tower::http::GrpcStatus;
/// use aplomb_tower::{Reason, Rejection, Responder};
/// use http::Response;
///
/// let response: Response<String> = GrpcStatus.respond(&Rejection::new(Reason::RateLimited, Some(ms(250))));
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["grpc-status"], "8");
/// assert_eq!(response.headers()["grpc-retry-pushback-ms"], "250");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GrpcStatus;

impl<B: Default> Responder<Response<B>> for GrpcStatus {
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        let mut response = Response::new(B::default());
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let status: u16 = match rejection.reason {
            Reason::RateLimited | Reason::Overloaded => 8,
            Reason::CircuitOpen => 14,
            Reason::TimedOut => 4,
            Reason::Lost => 2,
            Reason::Misconfigured => 13,
        };
        fields.insert(STATUS, status.into());
        // All of it is ASCII without a percent sign, which is as it is to be encoded.
        if let Ok(message) = HeaderValue::try_from(rejection.to_string()) {
            fields.insert(MESSAGE, message);
        }
        if let Some(after) = rejection.retry_after {
            let millis = after.as_nanos().div_ceil(1_000_000);
            // It is a signed number of 32 bits.
            fields.insert(PUSHBACK, u32::try_from(millis).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs()).into());
        }
        response
    }
}
