use core::convert::identity;
use core::fmt;
use core::ops::Deref;
use core::task::{Context, Poll, ready};

use aplomb::bulkhead::{Acquire, Event};
use aplomb::observe::SharedObserver;
use aplomb::sync::{Lender, Permit};
use aplomb::{Bulkhead as Places, BulkheadError, Platform, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::mode::{Mode, Respond, Typed};
use crate::turn::Turn;

/// Lets so many calls run at once as the bulkhead has places. All clones of its services share that bulkhead.
///
/// Calls wait for their place in `poll_ready`, in the order in which they came, before the service within is asked whether it is ready; whoever is refused waits for nothing more. The place is kept by the very clone that was asked, and goes back when the call has ended, or when that clone is dropped.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::BulkheadLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// static DATABASE: Bulkhead = checked!(Bulkhead::new(1).max_waiting(0));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let mut rows = ServiceBuilder::new()
///     .layer(BulkheadLayer::new(&DATABASE))
///     .service(service_fn(async |id: u32| Ok::<_, std::io::Error>(format!("row {id}"))));
///
/// let first = rows.ready().await.unwrap().call(1);
/// let rejected = rows.clone().oneshot(2).await.unwrap_err();
/// assert_eq!(rejected.to_string(), "queue full: 0 are waiting");
/// assert_eq!(first.await.unwrap(), "row 1");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BulkheadLayer<L, M = Typed> {
    places: L,
    mode: M,
}

impl<L> BulkheadLayer<L> {
    /// Calls wait for places of the bulkhead that `bulkhead` points to: a `static`, or an `Arc`. How many wait, and how long, are its own settings.
    pub const fn new(bulkhead: L) -> Self {
        Self { places: bulkhead, mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> BulkheadLayer<L, Respond<R>> {
        BulkheadLayer { places: self.places, mode: Respond::by(responder) }
    }
}

impl<S, L, M> Layer<S> for BulkheadLayer<L, M>
where
    L: Deref<Target: Lender> + Clone,
    M: Clone,
{
    type Service = Bulkhead<S, L, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Bulkhead { inner, places: self.places.clone(), mode: self.mode.clone(), turn: Turn::Unasked }
    }
}

/// A service of whose calls so many run at once; made by [`BulkheadLayer`].
pub struct Bulkhead<S, L: Deref<Target: Lender>, M = Typed> {
    inner: S,
    places: L,
    mode: M,
    turn: Turn<Acquire<L>, Permit<L>, BulkheadError>,
}

impl<S, L, M, P, W, O, Q> Service<Q> for Bulkhead<S, L, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = Places<P, W, O>> + Clone,
    P: Platform,
    W: Storage,
    O: SharedObserver<Event>,
    M: Mode<S::Response, BulkheadError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Guarded<S::Future, Permit<L>, BulkheadError<S::Error>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let refused = self.turn.refused();
        ready!(self.turn.poll(|| Places::acquire_owned(self.places.clone()), Acquire::at_once, identity, cx));
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
        let (mode, places) = (self.mode.clone(), &self.places);
        match self.turn.take().unwrap_or_else(|| Places::try_acquire_owned(places.clone())) {
            Ok(place) => Guarded::running(self.inner.call(request), place, mode),
            Err(error) => Guarded::refused(error.of_operation(), mode),
        }
    }
}

impl<S: Clone, L: Deref<Target: Lender> + Clone, M: Clone> Clone for Bulkhead<S, L, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), places: self.places.clone(), mode: self.mode.clone(), turn: Turn::Unasked }
    }
}

impl<S: fmt::Debug, L: Deref<Target: Lender>, M> fmt::Debug for Bulkhead<S, L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("inner", &self.inner).finish_non_exhaustive()
    }
}
