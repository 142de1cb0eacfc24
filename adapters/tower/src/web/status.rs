use aplomb::rate_limiter::Rate;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::policy::Policy;
use crate::{Reason, Rejection, Responder};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-after");

/// Makes an HTTP response of a rejection, with `Retry-After` where it is known when to come back, in whole seconds, rounded up.
///
/// | | status |
/// | --- | --- |
/// | [`RateLimited`](Reason::RateLimited) | 429 |
/// | [`Overloaded`](Reason::Overloaded) | 503, or what [`overloaded`](HttpStatus::overloaded) says |
/// | [`CircuitOpen`](Reason::CircuitOpen) | 503 |
/// | [`TimedOut`](Reason::TimedOut) | 504 |
/// | [`Lost`](Reason::Lost), [`Misconfigured`](Reason::Misconfigured) | 500 |
///
/// With a [`policy`](HttpStatus::policy), both these and the responses of the service tell the quota, by `RateLimit-Policy` and `RateLimit` as `draft-ietf-httpapi-ratelimit-headers-11` has them. Of layers that each do so, the outermost has the last word.
///
/// # Examples
///
/// ```
/// use aplomb::time::ms;
/// use aplomb_tower::web::HttpStatus;
/// use aplomb_tower::{Reason, Rejection, Responder};
/// use http::Response;
///
/// let rejection = Rejection::new(Reason::RateLimited, Some(ms(1_200)));
/// let response: Response<String> = HttpStatus::new().respond(&rejection);
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "2");
/// assert_eq!(response.body(), "rate limited, try again in 2 s\n");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HttpStatus {
    overloaded: StatusCode,
    policy: Option<Policy>,
    is_legacy: bool,
}

impl HttpStatus {
    /// Without a policy.
    #[must_use]
    pub const fn new() -> Self {
        Self { overloaded: StatusCode::SERVICE_UNAVAILABLE, policy: None, is_legacy: false }
    }

    /// Answers so where there is no place. With 429 in place of the default, 503, neither a proxy takes the server out of service for it, nor a client another one.
    #[must_use]
    pub const fn overloaded(mut self, status: StatusCode) -> Self {
        self.overloaded = status;
        self
    }

    /// Tells the client its quota, under that name: printable ASCII, or nothing is told. The rate is the limiter's; one with a burst of its own has a [policy with that](HttpStatus::policy_with_burst).
    ///
    /// A window has whole seconds: of 5 permits in 100 ms, the client is told as `q=50;w=1`. What is left is the limiter's to say, at any time. The quota is not: after `set_rate`, it is told as it stands here, and never less than what is said to be left.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_tokio::prelude::*;
    /// use aplomb_tower::RateLimitLayer;
    /// use aplomb_tower::web::HttpStatus;
    ///
    /// const RATE: Rate = Rate::per_minute(100);
    /// static LIMITER: RateLimiter = checked!(RateLimiter::new(RATE));
    ///
    /// let layer = RateLimitLayer::new(&LIMITER).without_waiting().respond(HttpStatus::new().policy("default", RATE));
    /// # let _ = layer; // RateLimit-Policy: "default";q=100;w=60, RateLimit: "default";r=99
    /// ```
    #[must_use]
    pub const fn policy(mut self, name: &'static str, rate: Rate) -> Self {
        self.policy = Some(Policy { name, rate, burst: rate.permits() });
        self
    }

    /// As [`policy`](HttpStatus::policy), of a limiter with a burst of its own: the quota is what a full bucket has, and the window the time in which it fills.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_tokio::prelude::*;
    /// use aplomb_tower::RateLimitLayer;
    /// use aplomb_tower::web::HttpStatus;
    ///
    /// const RATE: Rate = Rate::per_minute(1);
    /// static LIMITER: RateLimiter = checked!(RateLimiter::with_burst(RATE, 10));
    ///
    /// let responder = HttpStatus::new().policy_with_burst("default", RATE, 10);
    /// let layer = RateLimitLayer::new(&LIMITER).without_waiting().respond(responder);
    /// # let _ = layer; // RateLimit-Policy: "default";q=10;w=600, RateLimit: "default";r=9
    /// ```
    #[must_use]
    pub const fn policy_with_burst(mut self, name: &'static str, rate: Rate, burst: u32) -> Self {
        self.policy = Some(Policy { name, rate, burst });
        self
    }

    /// Tells it by `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-After` too, as `tower_governor` does.
    #[must_use]
    pub const fn legacy(mut self) -> Self {
        self.is_legacy = true;
        self
    }

    fn status(&self, reason: Reason) -> StatusCode {
        match reason {
            Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Reason::Overloaded => self.overloaded,
            Reason::CircuitOpen => StatusCode::SERVICE_UNAVAILABLE,
            Reason::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Reason::Lost | Reason::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Tells what is left, and if that is nothing, until when.
    fn tell(&self, fields: &mut HeaderMap, remaining: u32, after: Option<u64>) {
        let Some(policy) = self.policy else { return };
        let (quota, window) = policy.quota();
        // A limiter whose rate was changed may have more.
        let remaining = quota.min(remaining.into());
        let name = quoted(policy.name);
        let policy = name.as_ref().map(|name| format!("{name};q={quota};w={window}"));
        let limit = name.as_ref().map(|name| match after {
            Some(after) => format!("{name};r={remaining};t={after}"),
            None => format!("{name};r={remaining}"),
        });
        for (field, text) in [(POLICY, policy), (LIMIT, limit)] {
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                fields.insert(field, value);
            }
        }
        if self.is_legacy {
            fields.insert(LEGACY_LIMIT, quota.into());
            fields.insert(LEGACY_REMAINING, remaining.into());
            if let Some(after) = after {
                fields.insert(LEGACY_AFTER, after.into());
            }
        }
    }
}

/// A string of structured fields (RFC 9651, 3.3.3).
fn quoted(name: &str) -> Option<String> {
    if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    Some(format!("\"{}\"", name.replace('\\', r"\\").replace('"', "\\\"")))
}

impl Default for HttpStatus {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: From<String>> Responder<Response<B>> for HttpStatus {
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        let mut response = Response::new(B::from(format!("{rejection}\n")));
        *response.status_mut() = self.status(rejection.reason);
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let after = rejection.retry_after_secs();
        if let Some(after) = after {
            fields.insert(RETRY_AFTER, after.into());
        }
        if rejection.reason == Reason::RateLimited {
            self.tell(fields, 0, after);
        }
        response
    }

    fn announces(&self) -> bool {
        self.policy.is_some()
    }

    fn announce(&self, response: &mut Response<B>, remaining: u32) {
        self.tell(response.headers_mut(), remaining, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("default").as_deref(), Some("\"default\""));
        assert_eq!(quoted("a \"b\" \\").as_deref(), Some(r#""a \"b\" \\""#));
        assert_eq!(quoted("tägl"), None);
        assert_eq!(quoted("a\r\nset-cookie: b"), None);
    }
}
