use http::{Method, Request};

use crate::Replay;

/// Requests are sent again if that does no more than sending them once: by their method ([`is_idempotent`]), or since an `Idempotency-Key` lets the service tell. Another one has one attempt.
///
/// The body has to be one that can be cloned, as `Full<Bytes>` or a `String` can. One that streams has been read when it is needed again: collect it first (`http_body_util::BodyExt::collect`), within a limit.
///
/// An attempt after the first has its [`AttemptNumber`] among its extensions, so that a layer below can tell one from another.
///
/// # Examples
///
/// ```
/// use aplomb_tower::Replay;
/// use aplomb_tower::web::Idempotent;
/// use http::Request;
///
/// assert!(Idempotent.keep(&Request::get("/orders").body(()).unwrap()).is_some());
/// assert!(Idempotent.keep(&Request::post("/orders").body(()).unwrap()).is_none());
/// assert!(Idempotent.keep(&Request::post("/orders").header("idempotency-key", "7").body(()).unwrap()).is_some());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Idempotent;

impl<B: Clone> Replay<Request<B>> for Idempotent {
    type Kept = Request<B>;

    fn keep(&self, request: &Request<B>) -> Option<Request<B>> {
        let is_told_apart = request.headers().contains_key("idempotency-key");
        (is_idempotent(request.method()) || is_told_apart).then(|| request.clone())
    }

    fn again(&self, kept: &Request<B>, attempt: u32) -> Request<B> {
        let mut request = kept.clone();
        request.extensions_mut().insert(AttemptNumber(attempt));
        request
    }
}

/// Which attempt a request is, for layers below a retry: 2 is the first that is one. It lies among the extensions of requests that [`Idempotent`] has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(pub u32);

/// Whether a request with that method has the same effect sent once or more often (RFC 9110, 9.2.2): `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE`.
#[must_use]
pub const fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}
