use core::convert::identity;
use core::fmt;
use core::ops::Deref;
use core::task::{Context, Poll, ready};

use aplomb::adaptive_limit::{Acquire, Algorithm, Event, Permit, Settle, Verdict};
use aplomb::observe::SharedObserver;
use aplomb::{AdaptiveLimit as Limit, Judge, LimitError, Platform, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::mode::{Mode, Respond, Typed};
use crate::turn::Turn;

/// Lets as many calls run at once as the service can take, which is found from how long they take. All clones of its services share that limit.
///
/// Calls wait in `poll_ready`, in the order in which they came, before the service within is asked whether it is ready; whoever is refused waits for nothing more. The permit is kept by the very clone that was asked, and goes back when the call has ended, or when that clone is dropped.
/// How a call has ended is told to the limit's [`Judge`], which sees the response: `web::Overloads` is one. One that looks at errors sees the service's own within [`LetThrough`](crate::LetThrough). A call that is dropped or panics counts as nothing.
///
/// A call is measured from when it is made: neither what its clone waits for in `poll_ready`, that of the service within included, nor the time for which it is ready and not called counts as latency. Meanwhile its permit is taken all the same.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::AdaptiveLimitLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// static DATABASE: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(1).max_waiting(0));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let mut rows = ServiceBuilder::new()
///     .layer(AdaptiveLimitLayer::new(&DATABASE))
///     .service(service_fn(async |id: u32| Ok::<_, std::io::Error>(format!("row {id}"))));
///
/// let first = rows.ready().await.unwrap().call(1);
/// let rejected = rows.clone().oneshot(2).await.unwrap_err();
/// assert_eq!(rejected.to_string(), "queue full: 0 are waiting");
/// assert_eq!(first.await.unwrap(), "row 1");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveLimitLayer<L, M = Typed> {
    limit: L,
    mode: M,
}

impl<L> AdaptiveLimitLayer<L> {
    /// Calls wait for the limit that `limit` points to: a `static`, or an `Arc`. How many wait, and how long, are its own settings.
    pub const fn new(limit: L) -> Self {
        Self { limit, mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> AdaptiveLimitLayer<L, Respond<R>> {
        AdaptiveLimitLayer { limit: self.limit, mode: Respond::by(responder) }
    }
}

impl<S, L, M> Layer<S> for AdaptiveLimitLayer<L, M>
where
    L: Deref<Target: Settle> + Clone,
    M: Clone,
{
    type Service = AdaptiveLimit<S, L, M>;

    fn layer(&self, inner: S) -> Self::Service {
        AdaptiveLimit { inner, limit: self.limit.clone(), mode: self.mode.clone(), turn: Turn::Unasked }
    }
}

/// A service of whose calls as many run at once as it can take; made by [`AdaptiveLimitLayer`].
pub struct AdaptiveLimit<S, L: Deref<Target: Settle>, M = Typed> {
    inner: S,
    limit: L,
    mode: M,
    turn: Turn<Acquire<L>, Permit<L>, LimitError>,
}

impl<S, L, M, P, A, J, W, O, Q> Service<Q> for AdaptiveLimit<S, L, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = Limit<P, A, J, W, O>> + Clone,
    P: Platform,
    A: Algorithm,
    J: Judge<S::Response, S::Error, Verdict>,
    W: Storage,
    O: SharedObserver<Event>,
    M: Mode<S::Response, LimitError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Guarded<S::Future, Permit<L>, LimitError<S::Error>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let refused = self.turn.refused();
        ready!(self.turn.poll(|| Limit::acquire_owned(self.limit.clone()), Acquire::at_once, identity, cx));
        if self.turn.is_refused() {
            return Poll::Ready(Ok(()));
        }
        let ready = self.inner.poll_ready(cx);
        if ready.is_pending() && self.turn.stays_refused(refused, &mut self.inner) {
            return Poll::Ready(Ok(()));
        }
        ready.map_err(|error| self.mode.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let (mode, limit) = (self.mode.clone(), &self.limit);
        match self.turn.take().unwrap_or_else(|| Limit::try_acquire_owned(limit.clone())) {
            Ok(mut permit) => {
                permit.begin();
                Guarded::running(self.inner.call(request), permit, mode)
            }
            Err(error) => Guarded::refused(error.of_operation(), mode),
        }
    }
}

impl<S: Clone, L: Deref<Target: Settle> + Clone, M: Clone> Clone for AdaptiveLimit<S, L, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limit: self.limit.clone(), mode: self.mode.clone(), turn: Turn::Unasked }
    }
}

impl<S: fmt::Debug, L: Deref<Target: Settle>, M> fmt::Debug for AdaptiveLimit<S, L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}
