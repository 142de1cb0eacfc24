use core::hash::Hash;
use core::ops::Deref;
use core::task::{Context, Poll};
use core::time::Duration;

use aplomb::key::KeyHash;
use aplomb::observe::SharedObserver;
use aplomb::rate_limiter::{Algorithm, Event, Lines};
use aplomb::{KeyedRateLimiter, Platform, RateLimitError, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::in_turn::{Call, InTurn};
use crate::key::KeyOf;
use crate::mode::{Mode, Respond, Typed};
use crate::rate_limit::Patience;

/// Lets the calls of each client, user or host through as there are permits for its key. All clones of its services share that limiter.
///
/// # Readiness
///
/// It is ready at once: whose permit a call needs is known when there is a request. By default it is rejected then if there is none, and told when to come back; with [`max_wait`](KeyedRateLimitLayer::max_wait), it waits in its future. With the permit it waits there until the service within is ready; if it is dropped before that, the permit is [given back](KeyedRateLimiter::give_back).
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::KeyedRateLimitLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// struct Upload { user: u32 }
///
/// static UPLOADS: KeyedRateLimiter<u32> = checked!(KeyedRateLimiter::with_burst(Rate::per_minute(1), 1));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let uploads = ServiceBuilder::new()
///     .layer(KeyedRateLimitLayer::new(&UPLOADS, |upload: &Upload| upload.user))
///     .service(service_fn(async |_: Upload| Ok::<_, std::io::Error>(())));
///
/// assert!(uploads.clone().oneshot(Upload { user: 1 }).await.is_ok());
/// assert!(uploads.clone().oneshot(Upload { user: 2 }).await.is_ok());
/// let rejected = uploads.oneshot(Upload { user: 1 }).await.unwrap_err();
/// assert_eq!(rejected.retry_after(), Some(secs(60)));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KeyedRateLimitLayer<L, K, M = Typed> {
    limiter: L,
    key_of: K,
    patience: Patience,
    mode: M,
}

impl<L, K> KeyedRateLimitLayer<L, K> {
    /// Calls take permits of the limiter that `limiter` points to, a `static` or an `Arc`, for the key that `key_of` finds.
    pub const fn new(limiter: L, key_of: K) -> Self {
        Self { limiter, key_of, patience: Patience::None, mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> KeyedRateLimitLayer<L, K, Respond<R>> {
        let Self { limiter, key_of, patience, .. } = self;
        KeyedRateLimitLayer { limiter, key_of, patience, mode: Respond::by(responder) }
    }
}

impl<L, K, M> KeyedRateLimitLayer<L, K, M> {
    /// A call waits for its permit, and for no longer than that. [`Duration::MAX`] is as long as it takes. Default: none waits.
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.patience = Patience::AtMost(time);
        self
    }
}

impl<S, L: Clone, K: Clone, M: Clone> Layer<S> for KeyedRateLimitLayer<L, K, M> {
    type Service = KeyedRateLimit<S, L, K, M>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { limiter, key_of, patience, mode } = self.clone();
        KeyedRateLimit { inner, limiter, key_of, patience, mode }
    }
}

/// A service whose calls keep to a rate, each key to its own; made by [`KeyedRateLimitLayer`].
#[derive(Debug, Clone)]
pub struct KeyedRateLimit<S, L, K, M = Typed> {
    inner: S,
    limiter: L,
    key_of: K,
    patience: Patience,
    mode: M,
}

impl<S, L, X, M, P, K, A, W, H, O, Q, const SHARDS: usize> Service<Q> for KeyedRateLimit<S, L, X, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = KeyedRateLimiter<P, K, A, W, H, SHARDS, O>> + Clone,
    X: KeyOf<Q, Key = K> + Clone,
    P: Platform,
    K: Hash + Eq + Clone,
    A: Algorithm + Copy,
    W: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
    M: Mode<S::Response, RateLimitError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = InTurn<S, Q, L, X, M>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let Self { inner, limiter, key_of, patience, mode } = self.clone();
        if let Patience::None = patience {
            return InTurn::at_once(Call { service: inner, request, limiter, key_of, mode });
        }
        let deadline = patience.deadline(limiter.clock());
        let acquire = KeyedRateLimiter::acquire_own(limiter.clone(), key_of.key(&request), 1, deadline);
        InTurn::waiting(acquire, Call { service: inner, request, limiter, key_of, mode })
    }
}
