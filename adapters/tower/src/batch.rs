use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::task::{Context, Poll};

use aplomb::batcher::{Again, Answer, BatchOperation, Call, Event, Keep, Once};
use aplomb::observe::SharedObserver;
use aplomb::{BatchError, Batcher, Platform, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};
use crate::when_ready::WhenReady;

/// Makes a service of single requests of one that takes many at once: requests that come together go together, and each has its own response. All clones of its services share that batcher.
///
/// The service within takes what the batcher collects, a `Vec` of requests where that lies on the heap, and answers with as many responses, in the same order; or each with a `Result` of its own: see [`Answer`]. Its error is for all, and each caller has a clone of it; where it has none, put it in an `Arc` by `map_err`.
///
/// | setting | default |
/// | --- | --- |
/// | [`once`](BatchLayer::once) | requests are clones: if the caller that leads a batch is dropped, they are sent again for the others |
/// | [`respond`](BatchLayer::respond) | the error is [`BatchError`] |
///
/// # Readiness
///
/// It is ready at once. Of the callers of a batch, one calls the service within, when that is ready: in the call, since nobody knows before who that is. How many wait is the batcher's [`max_waiting`](Batcher::max_waiting); put a limit of calls outside, and one of batches within.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::BatchLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static NAMES: Batcher<u32, String, &str> = checked!(Batcher::new(100).max_wait(ms(5)));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let names = ServiceBuilder::new().layer(BatchLayer::new(&NAMES)).service(service_fn(async |ids: Vec<u32>| {
///     assert_eq!(ids, [7, 8], "one query for both");
///     Ok::<_, &str>(ids.iter().map(|id| format!("user {id}")).collect::<Vec<_>>())
/// }));
/// let both = tokio::join!(names.clone().oneshot(7), names.oneshot(8));
/// assert_eq!(both, (Ok("user 7".into()), Ok("user 8".into())));
/// # }
/// ```
pub struct BatchLayer<L, K = Again, M = Typed> {
    batcher: L,
    mode: M,
    keep: PhantomData<fn() -> K>,
}

impl<L> BatchLayer<L> {
    /// Requests are collected by the batcher that `batcher` points to: a `static`, or an `Arc`.
    pub const fn new(batcher: L) -> Self {
        Self { batcher, mode: Typed, keep: PhantomData }
    }
}

impl<L, M> BatchLayer<L, Again, M> {
    /// Sends none of its requests twice, for what must not be done twice, or has no clone: if the caller that leads a batch is dropped while it is under way, they end with [`BatchError::Abandoned`].
    pub fn once(self) -> BatchLayer<L, Once, M> {
        BatchLayer { batcher: self.batcher, mode: self.mode, keep: PhantomData }
    }
}

impl<L, K> BatchLayer<L, K> {
    /// What the batcher has decided becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> BatchLayer<L, K, Respond<R>> {
        BatchLayer { batcher: self.batcher, mode: Respond::by(responder), keep: PhantomData }
    }
}

impl<L: Clone, K, M: Clone> Clone for BatchLayer<L, K, M> {
    fn clone(&self) -> Self {
        Self { batcher: self.batcher.clone(), mode: self.mode.clone(), keep: PhantomData }
    }
}

impl<L: fmt::Debug, K, M> fmt::Debug for BatchLayer<L, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLayer").field("batcher", &self.batcher).finish_non_exhaustive()
    }
}

impl<S, L: Clone, K, M: Clone> Layer<S> for BatchLayer<L, K, M> {
    type Service = Batch<S, L, K, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Batch { inner, layer: self.clone() }
    }
}

/// A service of single requests; made by [`BatchLayer`].
pub struct Batch<S, L, K = Again, M = Typed> {
    inner: S,
    layer: BatchLayer<L, K, M>,
}

impl<S: Clone, L: Clone, K, M: Clone> Clone for Batch<S, L, K, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, L: fmt::Debug, K, M> fmt::Debug for Batch<S, L, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("inner", &self.inner).field("batcher", &self.layer.batcher).finish_non_exhaustive()
    }
}

impl<S, L, P, I, T, E, W, O, K, M> Service<I> for Batch<S, L, K, M>
where
    L: Deref<Target = Batcher<P, I, T, E, W, O>> + Clone,
    S: Service<W::Slots<I>, Error = E> + Clone,
    S::Response: IntoIterator<Item: Answer<T, E>> + AsRef<[<S::Response as IntoIterator>::Item]>,
    P: Platform,
    E: Clone,
    W: Storage,
    O: SharedObserver<Event>,
    K: Keep<I>,
    M: Mode<T, BatchError<E>> + Clone,
{
    type Response = T;
    type Error = M::Error;
    type Future = Concluded<Call<L, P, I, T, E, W, O, K, Sends<S>, WhenReady<S, W::Slots<I>>>, M>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: I) -> Self::Future {
        let BatchLayer { batcher, mode, .. } = &self.layer;
        Concluded::new(Batcher::call_operation(batcher.clone(), request, Sends { service: self.inner.clone() }), mode.clone())
    }
}

/// Sends a batch to a service, as a [`BatchOperation`].
#[derive(Debug)]
pub struct Sends<S> {
    service: S,
}

impl<S: Service<B>, B> BatchOperation<B> for Sends<S> {
    type Future = WhenReady<S, B>;

    fn begin(self, items: B) -> WhenReady<S, B> {
        WhenReady::new(self.service, items)
    }
}
