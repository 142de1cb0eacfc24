use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

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
/// use aplomb_tower::web::GrpcStatus;
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

/// The status of a response. One of gRPC is 200 whatever has come of the call; where `grpc-status` is among its headers, that tells, in the terms of HTTP as `google.rpc.Code` has them.
pub(super) fn status_of<B>(response: &Response<B>) -> StatusCode {
    let Some(code) = response.headers().get(STATUS) else { return response.status() };
    match code.as_bytes() {
        b"0" => StatusCode::OK,
        b"1" => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        b"3" | b"9" | b"11" => StatusCode::BAD_REQUEST,
        b"4" => StatusCode::GATEWAY_TIMEOUT,
        b"5" => StatusCode::NOT_FOUND,
        b"6" | b"10" => StatusCode::CONFLICT,
        b"7" => StatusCode::FORBIDDEN,
        b"8" => StatusCode::TOO_MANY_REQUESTS,
        b"12" => StatusCode::NOT_IMPLEMENTED,
        b"14" => StatusCode::SERVICE_UNAVAILABLE,
        b"16" => StatusCode::UNAUTHORIZED,
        // Unknown, internal, lost data; and what is none of its codes.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// How long a gRPC service asks to wait (gRFC A6). What is no time, as `-1`, asks not to come again: for ever.
pub(super) fn pushback(fields: &HeaderMap) -> Option<Duration> {
    let millis = fields.get(PUSHBACK)?.to_str().ok().and_then(|millis| millis.parse().ok());
    Some(millis.map_or(Duration::MAX, Duration::from_millis))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_terms_of_http() {
        assert_eq!(status_of(&Response::builder().status(404).body(()).expect("a response")), 404);
        for (code, expected) in [
            ("0", 200),
            ("1", 499),
            ("2", 500),
            ("3", 400),
            ("4", 504),
            ("5", 404),
            ("6", 409),
            ("7", 403),
            ("8", 429),
            ("9", 400),
            ("10", 409),
            ("11", 400),
            ("12", 501),
            ("13", 500),
            ("14", 503),
            ("15", 500),
            ("16", 401),
            ("17", 500),
            ("fine", 500),
        ] {
            assert_eq!(status_of(&Response::builder().header(STATUS, code).body(()).expect("a response")), expected, "{code}");
        }
    }

    #[test]
    fn what_is_no_time_is_for_ever() {
        let asked = |value: &'static str| pushback(&HeaderMap::from_iter([(PUSHBACK, HeaderValue::from_static(value))]));
        assert_eq!(pushback(&HeaderMap::new()), None);
        assert_eq!(asked("250"), Some(Duration::from_millis(250)));
        assert_eq!(asked("0"), Some(Duration::ZERO));
        assert_eq!(["-1", "soon", ""].map(asked), [Some(Duration::MAX); 3]);
    }
}
