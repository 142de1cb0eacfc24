use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::future::clear_at_panic;

/// Gives what fails an alternative, which may be a response that is there already, or another call. It is for the errors of the service within; with [`fallback_if`](FallbackLayer::fallback_if), for what a predicate says of the outcome, so that a status is replaced too.
///
/// | setting | default |
/// | --- | --- |
/// | [`fallback_if`](FallbackLayer::fallback_if) | every error, and no response |
///
/// The call is dropped before the alternative starts, so that what it held is free. If the alternative fails too, the call fails with its error. An error of `poll_ready`, which is no call's, is handed on.
/// It belongs outside of the other layers: an alternative to what they reject spares a service that is down.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::{CircuitBreakerLayer, FallbackLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static PRICES: CircuitBreaker = checked!(CircuitBreaker::consecutive(2).open_for(secs(10)));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let prices = ServiceBuilder::new()
///     .layer(FallbackLayer::new(async |outcome: Result<u32, BreakerError<std::io::Error>>| {
///         if let Err(error) = outcome {
///             eprintln!("the price may be old: {error}");
///         }
///         Ok(999)
///     }))
///     .layer(CircuitBreakerLayer::new(&PRICES))
///     .service(service_fn(async |_id: u32| Err::<u32, _>(std::io::Error::other("down"))));
/// assert_eq!(prices.oneshot(7).await.unwrap(), 999);
/// # }
/// ```
#[derive(Clone)]
pub struct FallbackLayer<A, C = EveryFailure> {
    alternative: A,
    condition: C,
}

impl<A> FallbackLayer<A> {
    /// Of every error, `alternative` makes another outcome: it is given the one that there was, and is an `async` closure, or any `Fn(Result<T, E>) -> impl Future<Output = Result<T, E>>`.
    pub const fn new(alternative: A) -> Self {
        Self { alternative, condition: EveryFailure }
    }

    /// Only of outcomes of which `predicate` is true, be they errors or responses; all others are handed on as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_tower::FallbackLayer;
    /// use std::convert::Infallible;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// struct Page { status: u16, text: &'static str }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let is_down = |page: Result<&Page, &Infallible>| page.is_ok_and(|page| page.status == 503);
    /// let shop = ServiceBuilder::new()
    ///     .layer(FallbackLayer::new(async |_| Ok(Page { status: 200, text: "closed for today" })).fallback_if(is_down))
    ///     .service(service_fn(async |_id: u32| Ok::<_, Infallible>(Page { status: 503, text: "" })));
    /// assert_eq!(shop.oneshot(7).await.unwrap().text, "closed for today");
    /// # }
    /// ```
    pub fn fallback_if<C>(self, predicate: C) -> FallbackLayer<A, C> {
        FallbackLayer { alternative: self.alternative, condition: predicate }
    }
}

impl<A, C> fmt::Debug for FallbackLayer<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer").finish_non_exhaustive()
    }
}

impl<S, A: Clone, C: Clone> Layer<S> for FallbackLayer<A, C> {
    type Service = Fallback<S, A, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback { inner, alternative: self.alternative.clone(), condition: self.condition.clone() }
    }
}

/// Which outcomes are replaced. Every `Fn(Result<&T, &E>) -> bool` is such a condition.
pub trait Condition<T, E> {
    /// Whether this one is.
    fn is_for(&self, outcome: Result<&T, &E>) -> bool;
}

impl<T, E, F: Fn(Result<&T, &E>) -> bool> Condition<T, E> for F {
    fn is_for(&self, outcome: Result<&T, &E>) -> bool {
        self(outcome)
    }
}

/// All errors are, and no response.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryFailure;

impl<T, E> Condition<T, E> for EveryFailure {
    fn is_for(&self, outcome: Result<&T, &E>) -> bool {
        outcome.is_err()
    }
}

/// A service with an alternative; made by [`FallbackLayer`].
#[derive(Clone)]
pub struct Fallback<S, A, C = EveryFailure> {
    inner: S,
    alternative: A,
    condition: C,
}

impl<S: fmt::Debug, A, C> fmt::Debug for Fallback<S, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, A, C, Fut, Q> Service<Q> for Fallback<S, A, C>
where
    S: Service<Q>,
    A: Fn(Result<S::Response, S::Error>) -> Fut + Clone,
    C: Condition<S::Response, S::Error> + Clone,
    Fut: Future<Output = Result<S::Response, S::Error>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = WithFallback<S::Future, A, C, Fut>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let Self { inner, alternative, condition } = self;
        let (alternative, condition) = (alternative.clone(), condition.clone());
        WithFallback { stage: Stage::Call { call: inner.call(request) }, alternative, condition }
    }
}

pin_project! {
    /// A call with an alternative; made by [`Fallback`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops what runs, be it the call or the alternative. If that panics, it is dropped at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct WithFallback<F, A, C, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        alternative: A,
        condition: C,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Call { #[pin] call: F },
        Alternative { #[pin] run: Fut },
        Ended,
    }
}

impl<F, A, C, Fut, T, E> Future for WithFallback<F, A, C, Fut>
where
    F: Future<Output = Result<T, E>>,
    A: Fn(Result<T, E>) -> Fut,
    C: Condition<T, E>,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (alternative, condition) = (this.alternative, this.condition);
        clear_at_panic(
            this.stage,
            |mut stage| stage.set(Stage::Ended),
            |mut stage| {
                if let StageProjection::Call { call } = stage.as_mut().project() {
                    let outcome = ready!(call.poll(cx));
                    // What it held is free before the alternative starts.
                    stage.set(Stage::Ended);
                    if !condition.is_for(outcome.as_ref()) {
                        return Poll::Ready(outcome);
                    }
                    stage.set(Stage::Alternative { run: alternative(outcome) });
                }
                let StageProjection::Alternative { run } = stage.as_mut().project() else { return Poll::Pending };
                let outcome = ready!(run.poll(cx));
                stage.set(Stage::Ended);
                Poll::Ready(outcome)
            },
        )
    }
}

impl<F, A, C, Fut> fmt::Debug for WithFallback<F, A, C, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Call { .. } => "call",
            Stage::Alternative { .. } => "alternative",
            Stage::Ended => "ended",
        };
        f.debug_struct("WithFallback").field("stage", &stage).finish_non_exhaustive()
    }
}
