use core::fmt;
use core::task::{Context, Poll};

use aplomb::pipeline::{Innermost, Layer as Within, Run};
use aplomb::{Operation, Pipeline as Patterns, PipelineError, Platform};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};
use crate::replay::{Attempts, Cloned, Replay};

/// A whole pipeline as one layer: its patterns in the order written, and one flat error, which tells which of them ended the call.
///
/// | setting | default |
/// | --- | --- |
/// | [`replay`](PipelineLayer::replay) | a request that a retry or a hedge sends again is its [`Clone`] |
/// | [`respond`](PipelineLayer::respond) | the error is [`PipelineError`] |
///
/// Beside a layer for each pattern, there is one service and one future instead of a stack of them, a pipeline knows what its layers within have rejected (a retry leaves that alone, a breaker counts it as nothing, a limit takes a timeout for overload), and a service that is called without `tower`
/// elsewhere has the same `static`. In exchange there are no keys out of the request, nor its deadline, which a [`TimeoutLayer`](crate::TimeoutLayer) outside keeps.
///
/// # Readiness
///
/// It is ready at once. All waiting is done in the call, where a timeout bounds it: that of the layers, and that for the service within to be ready. What a layer rejects does not wait for that. Each attempt is made by a clone of its own, as soon as that is ready.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::PipelineLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(2).open_for(secs(10)));
/// type Layers = layers![TimeLimit, Retry, &'static CircuitBreaker, TimeLimit];
/// static GUARDED: Pipeline<Layers> =
///     Pipeline::new().timeout(secs(10)).retry(Retry::standard(&BUDGET)).circuit_breaker(&BREAKER).timeout(secs(2));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let search = ServiceBuilder::new()
///     .layer(PipelineLayer::new(&GUARDED))
///     .service(service_fn(async |_: &str| Err::<u32, _>(std::io::Error::other("down"))));
/// let gave_up = search.oneshot("rust").await.unwrap_err();
/// assert!(gave_up.is_rejected());
/// assert_eq!(gave_up.layer().unwrap().name, "circuit breaker");
/// # }
/// ```
pub struct PipelineLayer<P: Platform + 'static, N: 'static, Y = Cloned, M = Typed> {
    pipeline: &'static Patterns<P, N>,
    replay: Y,
    mode: M,
}

impl<P: Platform, N> PipelineLayer<P, N> {
    /// Calls go through that pipeline, which lies in a `static`: [`layers!`](aplomb::layers) spells its type. Its calls borrow from it, so that an `Arc` would not do; one that is made at run time is put there by [`Box::leak`].
    #[must_use]
    pub const fn new(pipeline: &'static Patterns<P, N>) -> Self {
        Self { pipeline, replay: Cloned, mode: Typed }
    }
}

impl<P: Platform, N, M> PipelineLayer<P, N, Cloned, M> {
    /// Sends requests again as `replay` says, and only those that it has kept; all others are sent once, whatever the pipeline says.
    pub fn replay<Y>(self, replay: Y) -> PipelineLayer<P, N, Y, M> {
        PipelineLayer { pipeline: self.pipeline, replay, mode: self.mode }
    }
}

impl<P: Platform, N, Y> PipelineLayer<P, N, Y> {
    /// What a layer of the pipeline has decided becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> PipelineLayer<P, N, Y, Respond<R>> {
        PipelineLayer { pipeline: self.pipeline, replay: self.replay, mode: Respond::by(responder) }
    }
}

impl<P: Platform, N, Y: Clone, M: Clone> Clone for PipelineLayer<P, N, Y, M> {
    fn clone(&self) -> Self {
        Self { pipeline: self.pipeline, replay: self.replay.clone(), mode: self.mode.clone() }
    }
}

impl<P: Platform, N: fmt::Debug, Y, M> fmt::Debug for PipelineLayer<P, N, Y, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineLayer").field("pipeline", self.pipeline).finish_non_exhaustive()
    }
}

impl<S, P: Platform, N, Y: Clone, M: Clone> Layer<S> for PipelineLayer<P, N, Y, M> {
    type Service = Pipeline<S, P, N, Y, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Pipeline { inner, layer: self.clone() }
    }
}

/// A service within a pipeline; made by [`PipelineLayer`].
pub struct Pipeline<S, P: Platform + 'static, N: 'static, Y = Cloned, M = Typed> {
    inner: S,
    layer: PipelineLayer<P, N, Y, M>,
}

impl<S: Clone, P: Platform, N, Y: Clone, M: Clone> Clone for Pipeline<S, P, N, Y, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, P: Platform, N: fmt::Debug, Y, M> fmt::Debug for Pipeline<S, P, N, Y, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("inner", &self.inner).field("pipeline", self.layer.pipeline).finish_non_exhaustive()
    }
}

impl<S, P, N, Y, M, Q> Service<Q> for Pipeline<S, P, N, Y, M>
where
    S: Service<Q> + Clone,
    P: Platform,
    N: Within<'static, Innermost<Attempts<S, Q, Y>>, Operation: Operation<Output = Result<S::Response, PipelineError<S::Error>>>>,
    Y: Replay<Q> + Clone,
    M: Mode<S::Response, PipelineError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Concluded<Run<N::Operation>, M>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let PipelineLayer { pipeline, replay, mode } = &self.layer;
        let attempts = Attempts::new(self.inner.clone(), request, replay.clone());
        Concluded::new(pipeline.run_operation(attempts), mode.clone())
    }
}
