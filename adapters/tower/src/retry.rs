use core::fmt;
use core::future::IntoFuture;
use core::task::{Context, Poll};

use aplomb::retry::{Nothing, Plain, Policy, RetryAll, Rules, Run};
use aplomb::{Backoff, Deadline, Platform, Retry as RetryPolicy, RetryError};
use tower_layer::Layer;
use tower_service::Service;

use crate::deadline::{DeadlineOf, NoDeadline};
use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};
use crate::replay::{Attempts, Cloned, Replay};

/// Calls a service again as a [`Retry`](RetryPolicy) policy says. Its rules see the response, so that a status is retried, and a `Retry-After` is heeded: `web::Transient` is such rules.
///
/// | setting | default |
/// | --- | --- |
/// | [`replay`](RetryLayer::replay) | every request is sent again, as its [`Clone`] |
/// | [`deadline`](RetryLayer::deadline) | the policy's own |
/// | [`respond`](RetryLayer::respond) | the error is [`RetryError`] |
///
/// The first attempt is made by the clone that was ready, each other by one of its own, when that is ready. So a limiter or breaker below it counts, and may reject, every attempt; put the one that counts calls above it.
/// A response that was to be retried, and came to no better, is handed on as it is.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::RetryLayer;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static RETRY: Retry = checked!(Retry::standard(&BUDGET));
/// static ASKED: AtomicU32 = AtomicU32::new(0);
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let users = ServiceBuilder::new().layer(RetryLayer::new(RETRY)).service(service_fn(async |id: u32| {
///     if ASKED.fetch_add(1, Ordering::Relaxed) < 2 { Err(std::io::Error::other("busy")) } else { Ok(format!("user {id}")) }
/// }));
/// assert_eq!(users.oneshot(7).await.unwrap(), "user 7");
/// # }
/// ```
pub struct RetryLayer<P: Platform + 'static, B, R = RetryAll, Y = Cloned, D = NoDeadline, M = Typed> {
    terms: Terms<P, B, R, Y, D, M>,
}

struct Terms<P: Platform + 'static, B, R, Y, D, M> {
    policy: RetryPolicy<'static, P, B, R>,
    replay: Y,
    deadline: D,
    mode: M,
}

impl<P: Platform + 'static, B: Clone, R: Clone, Y: Clone, D: Clone, M: Clone> Clone for Terms<P, B, R, Y, D, M> {
    fn clone(&self) -> Self {
        let Self { policy, replay, deadline, mode } = self;
        Self { policy: policy.clone(), replay: replay.clone(), deadline: deadline.clone(), mode: mode.clone() }
    }
}

impl<P: Platform + 'static, B: Clone, R: Clone, Y: Clone, D: Clone, M: Clone> Clone for RetryLayer<P, B, R, Y, D, M> {
    fn clone(&self) -> Self {
        Self { terms: self.terms.clone() }
    }
}

impl<P: Platform + 'static, B: fmt::Debug, R, Y, D, M> fmt::Debug for RetryLayer<P, B, R, Y, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer").field("policy", &self.terms.policy).finish_non_exhaustive()
    }
}

impl<P: Platform + 'static, B, R> RetryLayer<P, B, R> {
    /// Retries by that policy and its [rules](RetryPolicy::rules). Its budget lies in a `static`; one that is made at run time is put there by [`Box::leak`].
    #[must_use]
    pub const fn new(policy: RetryPolicy<'static, P, B, R>) -> Self {
        Self { terms: Terms { policy, replay: Cloned, deadline: NoDeadline, mode: Typed } }
    }
}

impl<P: Platform + 'static, B, R, D, M> RetryLayer<P, B, R, Cloned, D, M> {
    /// Sends requests again as `replay` says, and only those that it has kept.
    pub fn replay<Y>(self, replay: Y) -> RetryLayer<P, B, R, Y, D, M> {
        let Terms { policy, deadline, mode, .. } = self.terms;
        RetryLayer { terms: Terms { policy, replay, deadline, mode } }
    }
}

impl<P: Platform + 'static, B, R, Y, M> RetryLayer<P, B, R, Y, NoDeadline, M> {
    /// Requests have deadlines of their own: they end the call, and no pause begins that would end later. They stand in place of the policy's [`deadline_at`](RetryPolicy::deadline_at).
    pub fn deadline<D>(self, deadline: D) -> RetryLayer<P, B, R, Y, D, M> {
        let Terms { policy, replay, mode, .. } = self.terms;
        RetryLayer { terms: Terms { policy, replay, deadline, mode } }
    }
}

impl<P: Platform + 'static, B, R, Y, D> RetryLayer<P, B, R, Y, D> {
    /// The last error of the service is handed on as it was. Where there is none, since time ran out, that becomes a response.
    pub fn respond<N>(self, responder: N) -> RetryLayer<P, B, R, Y, D, Respond<N>> {
        let Terms { policy, replay, deadline, .. } = self.terms;
        RetryLayer { terms: Terms { policy, replay, deadline, mode: Respond::by(responder) } }
    }
}

impl<S, P: Platform + 'static, B: Clone, R: Clone, Y: Clone, D: Clone, M: Clone> Layer<S> for RetryLayer<P, B, R, Y, D, M> {
    type Service = Retry<S, P, B, R, Y, D, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { inner, terms: self.terms.clone() }
    }
}

/// A service that is called again; made by [`RetryLayer`].
pub struct Retry<S, P: Platform + 'static, B, R = RetryAll, Y = Cloned, D = NoDeadline, M = Typed> {
    inner: S,
    terms: Terms<P, B, R, Y, D, M>,
}

impl<S: Clone, P: Platform + 'static, B: Clone, R: Clone, Y: Clone, D: Clone, M: Clone> Clone for Retry<S, P, B, R, Y, D, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), terms: self.terms.clone() }
    }
}

impl<S: fmt::Debug, P: Platform + 'static, B: fmt::Debug, R, Y, D, M> fmt::Debug for Retry<S, P, B, R, Y, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("inner", &self.inner).field("policy", &self.terms.policy).finish_non_exhaustive()
    }
}

impl<S, P, B, R, Y, D, M, Q> Service<Q> for Retry<S, P, B, R, Y, D, M>
where
    S: Service<Q> + Clone,
    P: Platform + 'static,
    B: Backoff + Clone,
    R: Rules<S::Response, S::Error> + Clone,
    Y: Replay<Q> + Clone,
    D: DeadlineOf<Q>,
    M: Mode<S::Response, RetryError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Concluded<Run<Policy<'static, P, B>, R, Plain<Attempts<S, Q, Y>>, Nothing>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| self.terms.mode.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let Terms { policy, replay, deadline, mode } = &self.terms;
        let mut policy = policy.clone();
        let deadline = deadline.deadline(&request);
        if deadline != Deadline::NEVER {
            policy = policy.deadline_at(deadline);
        }
        let attempts = Attempts::by_ready(&mut self.inner, request, replay.clone());
        Concluded::new(policy.call_operation(attempts).into_future(), mode.clone())
    }
}
