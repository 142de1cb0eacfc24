use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb::circuit_breaker::{Circuit, KeyedEvent, OfOwnedKey, Permit, Trip, Verdict};
use aplomb::key::KeyHash;
use aplomb::observe::SharedObserver;
use aplomb::{Backoff, BreakerError, Judge, KeyedCircuitBreaker as Breakers, Platform, Storage};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::key::KeyOf;
use crate::mode::{Mode, Respond, Typed};
use crate::when_ready::WhenReady;

/// Lets calls through by a breaker for each key: of many hosts, only the one that is down is left alone. All clones of its services share those breakers.
///
/// # Readiness
///
/// It is ready at once: which breaker decides is known when there is a request. A call that is let through waits in its future until the service within is ready, which makes it no slower for the breaker; one that is rejected does not.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::KeyedCircuitBreakerLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static HOSTS: KeyedCircuitBreaker<&str> = checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1)));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let pages = ServiceBuilder::new()
///     .layer(KeyedCircuitBreakerLayer::new(&HOSTS, |host: &&'static str| *host))
///     .service(service_fn(async |host: &'static str| if host == "down" { Err(std::io::Error::other(host)) } else { Ok(host) }));
///
/// assert!(!pages.clone().oneshot("down").await.unwrap_err().is_rejected());
/// assert!(pages.clone().oneshot("down").await.unwrap_err().is_rejected());
/// assert_eq!(pages.oneshot("up").await.unwrap(), "up");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KeyedCircuitBreakerLayer<L, K, M = Typed> {
    breakers: L,
    key_of: K,
    mode: M,
}

impl<L, K> KeyedCircuitBreakerLayer<L, K> {
    /// Calls go through the breakers that `breakers` points to, a `static` or an `Arc`, by the key that `key_of` finds.
    pub const fn new(breakers: L, key_of: K) -> Self {
        Self { breakers, key_of, mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> KeyedCircuitBreakerLayer<L, K, Respond<R>> {
        KeyedCircuitBreakerLayer { breakers: self.breakers, key_of: self.key_of, mode: Respond::by(responder) }
    }
}

impl<S, L: Clone, K: Clone, M: Clone> Layer<S> for KeyedCircuitBreakerLayer<L, K, M> {
    type Service = KeyedCircuitBreaker<S, L, K, M>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { breakers, key_of, mode } = self.clone();
        KeyedCircuitBreaker { inner, breakers, key_of, mode }
    }
}

/// A service behind a breaker for each key; made by [`KeyedCircuitBreakerLayer`].
#[derive(Debug, Clone)]
pub struct KeyedCircuitBreaker<S, L, K, M = Typed> {
    inner: S,
    breakers: L,
    key_of: K,
    mode: M,
}

impl<S, L, X, M, P, K, T, B, J, W, H, O, Q, const SHARDS: usize> Service<Q> for KeyedCircuitBreaker<S, L, X, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = Breakers<P, K, T, B, J, W, H, SHARDS, O>> + Clone,
    X: KeyOf<Q, Key = K>,
    P: Platform + 'static,
    K: Hash + Eq + Clone,
    T: Trip + 'static,
    B: Backoff<State: Copy> + 'static,
    J: Judge<S::Response, S::Error, Verdict>,
    W: Storage + 'static,
    H: KeyHash + 'static,
    O: SharedObserver<KeyedEvent<K>> + 'static,
    M: Mode<S::Response, BreakerError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = InCircuit<S, Q, OfOwnedKey<L, K>, M>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let mode = self.mode.clone();
        let call = match Breakers::permit_owned(self.breakers.clone(), self.key_of.key(&request)) {
            Ok(permit) => Guarded::running(WhenReady::new(self.inner.clone(), request), permit, mode),
            Err(error) => Guarded::refused(error.of_operation(), mode),
        };
        InCircuit { call }
    }
}

pin_project! {
    /// A call that a breaker has let through, and that waits for the service, or was refused; made by [`KeyedCircuitBreaker`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, or the service with its place in whatever queue that has, and counts as nothing; so does a panic in the call, at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct InCircuit<S, Q, C, M>
    where
        S: Service<Q>,
        C: Circuit,
    {
        #[pin]
        call: Guarded<WhenReady<S, Q>, Permit<C>, BreakerError<S::Error>, M>,
    }
}

impl<S, Q, C, M> Future for InCircuit<S, Q, C, M>
where
    S: Service<Q>,
    C: Circuit<Judge: Judge<S::Response, S::Error, Verdict>>,
    M: Mode<S::Response, BreakerError<S::Error>>,
{
    type Output = Result<S::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut call = self.project().call;
        if let Some(permit) = call.as_mut().guard_if(|call| !call.is_called()) {
            permit.begin();
        }
        call.poll(cx)
    }
}

impl<S: Service<Q>, Q, C: Circuit, M> fmt::Debug for InCircuit<S, Q, C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}
