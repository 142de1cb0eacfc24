use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::mem::replace;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use aplomb::key::KeyHash;
use aplomb::observe::SharedObserver;
use aplomb::rate_limiter::{Acquire, Algorithm, Event, Lines, Own, Permit};
use aplomb::{KeyedRateLimiter, Platform, RateLimitError, Storage};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::key::KeyOf;
use crate::mode::{Mode, Respond, Typed};
use crate::rate_limit::Patience;

/// Lets the calls of each client, user or host through as there are permits for its key. All clones of its services share that limiter.
///
/// Whose permit a call needs is known when there is a request. So it waits in the call's future, with the clone that was ready, if it waits at all: by default, it is rejected at once, and told when to come back.
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
    X: KeyOf<Q, Key = K>,
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
    type Future = InTurn<S, Q, L, K, RateLimitError<S::Error>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| self.mode.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let (key, limiter, mut mode) = (self.key_of.key(&request), &self.limiter, self.mode.clone());
        if let Patience::AtMost(_) = self.patience {
            let deadline = self.patience.deadline(limiter.clock());
            let announced = mode.announces().then(|| key.clone());
            let acquire = KeyedRateLimiter::acquire_own(limiter.clone(), key, 1, deadline);
            // The clone that is ready is the one that is called.
            let fresh = self.inner.clone();
            let service = replace(&mut self.inner, fresh);
            let call = Waiting { service, request, announced, limiter: limiter.clone(), mode };
            return InTurn { stage: Stage::Waiting { acquire, call: Some(call) } };
        }
        InTurn::guarded(match KeyedRateLimiter::try_acquire_owned(limiter.clone(), &key, 1) {
            Ok(permit) => {
                mode.admitted(|| limiter.snapshot(&key).available);
                Guarded::running(self.inner.call(request), permit, mode)
            }
            Err(error) => Guarded::refused(error.of_operation(), mode),
        })
    }
}

/// What is to be called when its turn has come.
struct Waiting<S, Q, L, K, M> {
    service: S,
    request: Q,
    /// For whoever tells the client what is left.
    announced: Option<K>,
    limiter: L,
    mode: M,
}

pin_project! {
    /// A call that may have to wait for a permit of its key; made by [`KeyedRateLimit`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it has been let through gives up the place in the queue, and nothing is spent. Later it drops the call, and its place among those that run is free; so does a panic in the call, at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct InTurn<S, Q, L, K, X, M>
    where
        S: Service<Q>,
        L: Deref,
        L::Target: Lines,
    {
        #[pin]
        stage: Stage<Waiting<S, Q, L, K, M>, Acquire<L, Own<K>>, Guarded<S::Future, Permit<L>, X, M>>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<C, A, G> {
        Waiting { #[pin] acquire: A, call: Option<C> },
        Guarded { #[pin] call: G },
    }
}

impl<S, Q, L, K, X, M> InTurn<S, Q, L, K, X, M>
where
    S: Service<Q>,
    L: Deref<Target: Lines>,
{
    const fn guarded(call: Guarded<S::Future, Permit<L>, X, M>) -> Self {
        Self { stage: Stage::Guarded { call } }
    }
}

impl<S, Q, L, M, P, K, A, W, H, O, const SHARDS: usize> Future for InTurn<S, Q, L, K, RateLimitError<S::Error>, M>
where
    S: Service<Q>,
    L: Deref<Target = KeyedRateLimiter<P, K, A, W, H, SHARDS, O>>,
    P: Platform,
    K: Hash + Eq + Clone,
    A: Algorithm + Copy,
    W: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
    M: Mode<S::Response, RateLimitError<S::Error>>,
{
    type Output = Result<S::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        if let StageProjection::Waiting { acquire, call } = stage.as_mut().project() {
            let outcome = ready!(acquire.poll(cx));
            let Some(Waiting { mut service, request, announced, limiter, mut mode }) = call.take() else { return Poll::Pending };
            let call = match outcome {
                Ok(permit) => {
                    if let Some(key) = announced {
                        mode.admitted(|| limiter.snapshot(&key).available);
                    }
                    Guarded::running(service.call(request), permit, mode)
                }
                Err(error) => Guarded::refused(error.of_operation(), mode),
            };
            stage.set(Stage::Guarded { call });
        }
        match stage.project() {
            StageProjection::Guarded { call } => call.poll(cx),
            StageProjection::Waiting { .. } => Poll::Pending,
        }
    }
}

impl<S, Q, L, K, X, M> fmt::Debug for InTurn<S, Q, L, K, X, M>
where
    S: Service<Q>,
    L: Deref<Target: Lines>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Guarded { .. } => "let through, or refused",
        };
        f.debug_struct("InTurn").field("stage", &stage).finish_non_exhaustive()
    }
}
