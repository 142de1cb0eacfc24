use core::mem::replace;
use core::ops::Deref;
use core::task::{Context, Poll};

use aplomb::circuit_breaker::{Event, Permit, Trip, Verdict};
use aplomb::observe::SharedObserver;
use aplomb::{Backoff, BreakerError, CircuitBreaker as Breaker, Judge, Platform, Storage};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::Guarded;
use crate::mode::{Mode, Respond, Typed};

/// Lets calls through until too many of them fail, and then none for a while. All clones of its services share that breaker.
///
/// What is a failure is the breaker's [`Judge`]'s to say, who sees the response: by default, only an error of the service is one. For HTTP, see `web::ServerErrors`. What a layer right below has rejected is an error of the service, as far as a judge can tell, unless it is within [`LetThrough`](crate::LetThrough).
///
/// # Readiness
///
/// While no call would go through, it is ready at once, whether the service within is or not: a call is not to wait for what it will not reach. The call itself is let through, or not, when it is made: so a clone that is ready, and never called, keeps no probe from being sent. What the service within holds for a call that is rejected, as a place of a bulkhead, goes to others at once: a fresh clone of it takes its place.
///
/// A clone that waits for the service within already is not called off by a circuit that opens meanwhile: it is rejected when it is asked again, or made its call.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::CircuitBreakerLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// static SEARCH: CircuitBreaker = checked!(CircuitBreaker::consecutive(2).open_for(secs(10)));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let search = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(&SEARCH))
///     .service(service_fn(async |_: &str| Err::<u32, _>(std::io::Error::other("down"))));
///
/// for _ in 0..2 {
///     assert!(!search.clone().oneshot("rust").await.unwrap_err().is_rejected());
/// }
/// let rejected = search.oneshot("rust").await.unwrap_err();
/// assert_eq!(rejected.retry_after(), Some(secs(10)));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreakerLayer<L, M = Typed> {
    breaker: L,
    mode: M,
}

impl<L> CircuitBreakerLayer<L> {
    /// Calls go through the breaker that `breaker` points to: a `static`, or an `Arc`.
    pub const fn new(breaker: L) -> Self {
        Self { breaker, mode: Typed }
    }

    /// A rejection becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> CircuitBreakerLayer<L, Respond<R>> {
        CircuitBreakerLayer { breaker: self.breaker, mode: Respond::by(responder) }
    }
}

impl<S, L: Clone, M: Clone> Layer<S> for CircuitBreakerLayer<L, M> {
    type Service = CircuitBreaker<S, L, M>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreaker { inner, breaker: self.breaker.clone(), mode: self.mode.clone(), within: Within::Untouched }
    }
}

/// A service behind a breaker; made by [`CircuitBreakerLayer`].
#[derive(Debug)]
pub struct CircuitBreaker<S, L, M = Typed> {
    inner: S,
    breaker: L,
    mode: M,
    within: Within,
}

/// What is known of the service within. While no call would go through, it is not asked.
#[derive(Debug, PartialEq, Eq)]
enum Within {
    Untouched,
    /// It is not, for a call that will be rejected.
    Refused,
    /// It may hold a place in a queue.
    Asked,
    /// It may be called, and may hold what that call needs.
    Ready,
}

impl<S: Clone, L, M> CircuitBreaker<S, L, M> {
    /// What the service within holds for a call that is not made goes to others: a fresh clone takes its place.
    fn let_go(&mut self, within: Within) {
        match replace(&mut self.within, within) {
            Within::Untouched | Within::Refused => {}
            Within::Asked | Within::Ready => self.inner = self.inner.clone(),
        }
    }
}

impl<S, L, M, P, T, B, J, W, O, Q> Service<Q> for CircuitBreaker<S, L, M>
where
    S: Service<Q> + Clone,
    L: Deref<Target = Breaker<P, T, B, J, W, O>> + Clone,
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    J: Judge<S::Response, S::Error, Verdict>,
    W: Storage,
    O: SharedObserver<Event>,
    M: Mode<S::Response, BreakerError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Guarded<S::Future, Permit<L>, BreakerError<S::Error>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.breaker.lets_through() {
            let ready = self.inner.poll_ready(cx);
            let within = if matches!(ready, Poll::Ready(Ok(()))) { Within::Ready } else { Within::Asked };
            let was_refused = replace(&mut self.within, within) == Within::Refused;
            // Who was refused has said that it is ready, which holds until its call, by tower's contract.
            if ready.is_ready() || !was_refused {
                return ready.map_err(|error| self.mode.failed(error));
            }
        }
        self.let_go(Within::Refused);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let mode = self.mode.clone();
        let admitted = match self.within {
            Within::Ready => Breaker::permit_owned(self.breaker.clone()),
            // It was refused when it was asked. A permit by now would be a probe's, and none can be sent: who comes again waits for what is within.
            Within::Untouched | Within::Refused | Within::Asked => Err(self.breaker.turn_away()),
        };
        match admitted {
            Ok(permit) => {
                self.within = Within::Untouched;
                Guarded::running(self.inner.call(request), permit, mode)
            }
            Err(error) => {
                self.let_go(Within::Untouched);
                Guarded::refused(error.of_operation(), mode)
            }
        }
    }
}

impl<S: Clone, L: Clone, M: Clone> Clone for CircuitBreaker<S, L, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), breaker: self.breaker.clone(), mode: self.mode.clone(), within: Within::Untouched }
    }
}
