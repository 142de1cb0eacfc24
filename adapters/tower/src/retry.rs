use core::fmt;
use core::future::{Future, IntoFuture};
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use aplomb::retry::{Nothing, Plain, Policy, RetryAll, Rules, Run};
use aplomb::{Backoff, Deadline, Operation, Platform, Retry as RetryPolicy, RetryError};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::deadline::{DeadlineOf, NoDeadline};
use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};

/// Calls a service again as a [`Retry`](RetryPolicy) policy says. Its rules see the response, so that a status is retried, and a `Retry-After` is heeded: `http::Transient` is such rules.
///
/// | setting | default |
/// | --- | --- |
/// | [`replay`](RetryLayer::replay) | every request is sent again, as its [`Clone`] |
/// | [`deadline`](RetryLayer::deadline) | the policy's own |
/// | [`respond`](RetryLayer::respond) | the error is [`RetryError`] |
///
/// All attempts are made by the clone that was ready for the first, each when it is ready again. So a limiter or breaker below it counts, and may reject, every attempt; put the one that counts calls above it.
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
    /// Retries by that policy and its [rules](RetryPolicy::rules).
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
        let kept = replay.keep(&request);
        if kept.is_none() {
            policy = policy.max_attempts(1);
        }
        // The clone that is ready is the one that is called.
        let fresh = self.inner.clone();
        let service = replace(&mut self.inner, fresh);
        let attempts = Attempts { service, first: Some(request), kept, replay: replay.clone(), number: 0 };
        Concluded::new(policy.call_operation(attempts).into_future(), mode.clone())
    }
}

/// The attempts at a call, as an [`Operation`]: each waits until the service is ready for it.
#[derive(Debug)]
pub struct Attempts<S, Q, Y: Replay<Q>> {
    service: S,
    first: Option<Q>,
    /// Without it there is one attempt.
    kept: Option<Y::Kept>,
    replay: Y,
    number: u32,
}

pin_project! {
    /// An attempt: a request that the service is to be ready for, and then the call.
    #[derive(Debug)]
    pub struct Attempt<Q, F> {
        request: Option<Q>,
        #[pin]
        call: Option<F>,
    }
}

impl<S, Q, Y> Operation for Attempts<S, Q, Y>
where
    S: Service<Q>,
    Y: Replay<Q>,
{
    type Output = Result<S::Response, S::Error>;
    type Run = Attempt<Q, S::Future>;

    fn start(&mut self) -> Self::Run {
        self.number = self.number.saturating_add(1);
        let again = || self.kept.as_ref().map(|kept| self.replay.again(kept, self.number));
        Attempt { request: self.first.take().or_else(again), call: None }
    }

    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut run = run.project();
        if run.request.is_some() {
            ready!(self.service.poll_ready(cx))?;
            if let Some(request) = run.request.take() {
                run.call.set(Some(self.service.call(request)));
            }
        }
        run.call.as_pin_mut().map_or(Poll::Pending, |call| call.poll(cx))
    }
}

/// How a request is sent again: what is kept of it, and how another is made of that. The default, [`Cloned`], keeps a clone; for HTTP, `http::Idempotent` keeps a clone of what may be sent twice.
///
/// # Examples
///
/// A body that can be read once is kept as the bytes that it is made of:
///
/// ```
/// use aplomb_tower::Replay;
/// use std::io::Cursor;
///
/// struct Upload { name: String, body: Cursor<Vec<u8>> }
///
/// #[derive(Clone)]
/// struct FromTheStart;
///
/// impl Replay<Upload> for FromTheStart {
///     type Kept = (String, Vec<u8>);
///
///     fn keep(&self, upload: &Upload) -> Option<Self::Kept> {
///         let bytes = upload.body.get_ref();
///         (bytes.len() < 65_536).then(|| (upload.name.clone(), bytes.clone()))
///     }
///
///     fn again(&self, (name, bytes): &Self::Kept, _attempt: u32) -> Upload {
///         Upload { name: name.clone(), body: Cursor::new(bytes.clone()) }
///     }
/// }
/// ```
pub trait Replay<Q> {
    /// What is kept.
    type Kept;

    /// What to keep of a request; nothing, if it is to be sent once only.
    fn keep(&self, request: &Q) -> Option<Self::Kept>;

    /// The request once more, for that attempt; the first was 1.
    fn again(&self, kept: &Self::Kept, attempt: u32) -> Q;
}

/// Every request is sent again, as its clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cloned;

impl<Q: Clone> Replay<Q> for Cloned {
    type Kept = Q;

    fn keep(&self, request: &Q) -> Option<Q> {
        Some(request.clone())
    }

    fn again(&self, kept: &Q, _attempt: u32) -> Q {
        kept.clone()
    }
}
