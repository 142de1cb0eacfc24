use core::ops::Deref;
use core::task::{Context, Poll};

use aplomb::children::PinnedStorage;
use aplomb::hedge::{Delay, Event, Run, Verdict};
use aplomb::observe::SharedObserver;
use aplomb::{Hedge as Hedging, HedgeError, Judge, Platform};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};
use crate::replay::{Attempts, Cloned, Replay};

/// Sends a request once more when the response is late or a failure, and takes what succeeds first. All clones of its services share that hedge, and its budget.
///
/// | setting | default |
/// | --- | --- |
/// | [`replay`](HedgeLayer::replay) | every request is sent again, as its [`Clone`] |
/// | [`respond`](HedgeLayer::respond) | the error is [`HedgeError`] |
///
/// What is a failure is the hedge's [`Judge`]'s to say, who sees the response: by default, only an error of the service is one. For HTTP, see `web::ServerErrors`. A response that is a failure, and came to no better, is handed on as it is.
///
/// The first start is made by the clone that was ready, each other by one of its own, when that is ready: the time until then is part of what makes it late, and one that still waits when the call ends has cost nothing. To ask other replicas, put a balancer within. A limiter or breaker within counts, and may reject, every start, of which there are no more then if the judge is within [`LetThrough`](crate::LetThrough); put the one that counts calls outside.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::HedgeLayer;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
/// static ASKED: AtomicU32 = AtomicU32::new(0);
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let users = ServiceBuilder::new().layer(HedgeLayer::new(&HEDGE)).service(service_fn(async |id: u32| {
///     let is_first = ASKED.fetch_add(1, Ordering::Relaxed) == 0;
///     tokio::time::sleep(if is_first { secs(5) } else { ms(10) }).await;
///     Ok::<_, std::io::Error>(format!("user {id}"))
/// }));
/// let began = tokio::time::Instant::now();
/// assert_eq!(users.oneshot(7).await.unwrap(), "user 7");
/// assert_eq!(began.elapsed(), ms(60));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HedgeLayer<L, Y = Cloned, M = Typed> {
    shared: L,
    replay: Y,
    mode: M,
}

impl<L> HedgeLayer<L> {
    /// Hedges as the hedge says that `hedge` points to: a `static`, or an `Arc`.
    pub const fn new(hedge: L) -> Self {
        Self { shared: hedge, replay: Cloned, mode: Typed }
    }
}

impl<L, M> HedgeLayer<L, Cloned, M> {
    /// Sends requests again as `replay` says, and only those that it has kept; all others are sent once.
    pub fn replay<Y>(self, replay: Y) -> HedgeLayer<L, Y, M> {
        HedgeLayer { shared: self.shared, replay, mode: self.mode }
    }
}

impl<L, Y> HedgeLayer<L, Y> {
    /// The last error of the service is handed on as it was; a configuration that makes no sense becomes a response.
    pub fn respond<R>(self, responder: R) -> HedgeLayer<L, Y, Respond<R>> {
        HedgeLayer { shared: self.shared, replay: self.replay, mode: Respond::by(responder) }
    }
}

impl<S, L: Clone, Y: Clone, M: Clone> Layer<S> for HedgeLayer<L, Y, M> {
    type Service = Hedge<S, L, Y, M>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { shared, replay, mode } = self.clone();
        Hedge { inner, shared, replay, mode }
    }
}

/// A service that is asked once more when it is late; made by [`HedgeLayer`].
#[derive(Debug, Clone)]
pub struct Hedge<S, L, Y = Cloned, M = Typed> {
    inner: S,
    shared: L,
    replay: Y,
    mode: M,
}

impl<S, L, Y, M, P, D, W, J, O, Q> Service<Q> for Hedge<S, L, Y, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = Hedging<P, D, W, J, O>> + Clone,
    Y: Replay<Q> + Clone,
    P: Platform,
    D: Delay,
    W: PinnedStorage,
    J: Judge<S::Response, S::Error, Verdict>,
    O: SharedObserver<Event>,
    M: Mode<S::Response, HedgeError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Concluded<Run<L, Attempts<S, Q, Y>>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| self.mode.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let attempts = Attempts::by_ready(&mut self.inner, request, self.replay.clone());
        Concluded::new(Hedging::run_operation(self.shared.clone(), attempts), self.mode.clone())
    }
}
