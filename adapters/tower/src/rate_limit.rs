use core::fmt;
use core::ops::Deref;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use aplomb::observe::SharedObserver;
use aplomb::rate_limiter::{Acquire, Algorithm, Event, Lines, Permit};
use aplomb::{Clock, Deadline, Platform, RateLimitError, RateLimiter, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::mode::{Mode, Respond, Typed};
use crate::turn::Turn;

/// Lets calls through as a rate limiter has permits for them, one each. All clones of its services share that limiter.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_wait`](RateLimitLayer::max_wait), [`without_waiting`](RateLimitLayer::without_waiting) | calls wait for their permits, as many as the limiter lets |
/// | [`respond`](RateLimitLayer::respond) | a rejection is the error [`RateLimitError`] |
///
/// # Readiness
///
/// A call that waits does so in `poll_ready`, after the service within is ready: the permit is taken last, for a call that can go. Without waiting it is taken first, so that a call that is turned away waits for nothing.
/// The permit is kept by the very clone that was asked, for its next call. If that clone is dropped instead, it is [given back](Permit::give_back), and so is its place among those that run at once ([`max_concurrent`](RateLimiter::max_concurrent)).
///
/// A rejection never comes out of `poll_ready`, which tower takes for the end of a service. It is the outcome of the call. What the service within holds for that call, as a place of a bulkhead, goes to others: a fresh clone of it takes its place.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::RateLimitLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// static GITHUB: RateLimiter = checked!(RateLimiter::new(Rate::per_minute(2)));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let mut client = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(&GITHUB).without_waiting())
///     .service(service_fn(async |id: u32| Ok::<_, std::io::Error>(format!("user {id}"))));
///
/// for id in 1..=2 {
///     client.ready().await.unwrap().call(id).await.unwrap();
/// }
/// let rejected = client.clone().oneshot(3).await.unwrap_err();
/// assert_eq!(rejected.retry_after(), Some(secs(30)));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitLayer<L, M = Typed> {
    limiter: L,
    patience: Patience,
    mode: M,
}

/// How long a call waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    None,
    AtMost(Duration),
}

impl Patience {
    pub(crate) fn deadline(self, clock: &impl Clock) -> Deadline {
        match self {
            Self::AtMost(Duration::MAX) => Deadline::NEVER,
            Self::AtMost(time) => Deadline::after(clock.now(), time),
            Self::None => Deadline::after(clock.now(), Duration::ZERO),
        }
    }
}

impl<L> RateLimitLayer<L> {
    /// Calls wait for permits of the limiter that `limiter` points to: a `static`, or an `Arc`.
    pub const fn new(limiter: L) -> Self {
        Self { limiter, patience: Patience::AtMost(Duration::MAX), mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> RateLimitLayer<L, Respond<R>> {
        RateLimitLayer { limiter: self.limiter, patience: self.patience, mode: Respond::by(responder) }
    }
}

impl<L, M> RateLimitLayer<L, M> {
    /// No call waits for longer than that; what cannot have its permit by then is rejected at once. Default: without limit.
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.patience = Patience::AtMost(time);
        self
    }

    /// A call that finds no permit is rejected at once, and told when there is one.
    #[must_use]
    pub fn without_waiting(mut self) -> Self {
        self.patience = Patience::None;
        self
    }
}

impl<S, L, M> Layer<S> for RateLimitLayer<L, M>
where
    L: Deref<Target: Lines<Spot = ()>> + Clone,
    M: Clone,
{
    type Service = RateLimit<S, L, M>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit { inner, limiter: self.limiter.clone(), patience: self.patience, mode: self.mode.clone(), turn: Turn::Unasked }
    }
}

/// A service whose calls keep to a rate; made by [`RateLimitLayer`].
pub struct RateLimit<S, L: Deref<Target: Lines<Spot = ()>>, M = Typed> {
    inner: S,
    limiter: L,
    patience: Patience,
    mode: M,
    turn: Turn<Acquire<L, ()>, Unspent<L>, RateLimitError>,
}

/// A permit for a call that may not be made: if it is not, it goes back.
struct Unspent<L: Deref<Target: Lines<Spot = ()>>> {
    permit: Option<Permit<L>>,
}

impl<L: Deref<Target: Lines<Spot = ()>>> Unspent<L> {
    const fn new(permit: Permit<L>) -> Self {
        Self { permit: Some(permit) }
    }

    fn spend(mut self) -> Option<Permit<L>> {
        self.permit.take()
    }
}

impl<L: Deref<Target: Lines<Spot = ()>>> Drop for Unspent<L> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.give_back();
        }
    }
}

impl<S, L, M, P, A, W, O, Q> Service<Q> for RateLimit<S, L, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = RateLimiter<P, A, W, O>> + Clone,
    P: Platform,
    A: Algorithm,
    W: Storage,
    O: SharedObserver<Event>,
    M: Mode<S::Response, RateLimitError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Guarded<S::Future, Permit<L>, RateLimitError<S::Error>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let Self { inner, limiter, patience, mode, turn } = self;
        let (refused, keep) = (turn.refused(), Unspent::new);
        if let Patience::None = patience {
            if !matches!(turn, Turn::Granted(_)) {
                turn.settle(RateLimiter::try_acquire_owned(limiter.clone(), 1).map(keep));
            }
            if turn.is_refused() {
                return Poll::Ready(Ok(()));
            }
        }
        let within = inner.poll_ready(cx);
        if within.is_pending() && turn.stays_refused(refused, inner) {
            return Poll::Ready(Ok(()));
        }
        ready!(within).map_err(|error| mode.failed(error))?;
        let ask = || RateLimiter::acquire_owned_by(limiter.clone(), 1, patience.deadline(limiter.clock()));
        ready!(turn.poll(ask, Acquire::at_once, keep, cx));
        if turn.is_refused() {
            *inner = inner.clone();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let mut mode = self.mode.clone();
        let limiter = &self.limiter;
        let asked = self.turn.take().and_then(|turn| turn.map(Unspent::spend).transpose());
        match asked.unwrap_or_else(|| RateLimiter::try_acquire_owned(limiter.clone(), 1)) {
            Ok(permit) => {
                mode.admitted(|| limiter.snapshot().available);
                Guarded::running(self.inner.call(request), permit, mode)
            }
            Err(error) => Guarded::refused(error.of_operation(), mode),
        }
    }
}

impl<S: Clone, L: Deref<Target: Lines<Spot = ()>> + Clone, M: Clone> Clone for RateLimit<S, L, M> {
    fn clone(&self) -> Self {
        let Self { inner, limiter, patience, mode, .. } = self;
        Self { inner: inner.clone(), limiter: limiter.clone(), patience: *patience, mode: mode.clone(), turn: Turn::Unasked }
    }
}

impl<S: fmt::Debug, L: Deref<Target: Lines<Spot = ()>>, M> fmt::Debug for RateLimit<S, L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).field("patience", &self.patience).finish_non_exhaustive()
    }
}
