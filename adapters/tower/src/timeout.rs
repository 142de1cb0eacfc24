use core::fmt;
use core::task::{Context, Poll};
use core::time::Duration;

use aplomb::{Ambient, Clock, Deadline, Platform, Timeout as Timed, TimeoutError};
use tower_layer::Layer;
use tower_service::Service;

use crate::deadline::{DeadlineOf, NoDeadline};
use crate::future::Concluded;
use crate::mode::{Mode, Respond, Typed};

/// Gives each call so much time, or until its own deadline, whichever comes first. The call is dropped before that is told.
///
/// The time counts from the first poll that leaves the call pending; where its request has a deadline, from the call. What a service waits for in `poll_ready` comes before it: a limiter within has limits to that of its own.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::{Tokio, prelude::*};
/// use aplomb_tower::TimeoutLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let slow = ServiceBuilder::new().layer(TimeoutLayer::<Tokio>::new(secs(2))).service(service_fn(async |()| {
///     tokio::time::sleep(secs(10)).await;
///     Ok::<_, std::io::Error>(())
/// }));
/// let late = slow.oneshot(()).await.unwrap_err();
/// assert_eq!(late.to_string(), "timed out after 2s");
/// # }
/// ```
pub struct TimeoutLayer<P: Platform, D = NoDeadline, M = Typed> {
    terms: Terms<P, D, M>,
}

struct Terms<P: Platform, D, M> {
    clock: P::Clock,
    after: Duration,
    deadline: D,
    mode: M,
}

impl<P: Platform, D: Clone, M: Clone> Clone for Terms<P, D, M> {
    fn clone(&self) -> Self {
        let Self { clock, after, deadline, mode } = self;
        Self { clock: clock.clone(), after: *after, deadline: deadline.clone(), mode: mode.clone() }
    }
}

impl<P: Platform, D: Clone, M: Clone> Clone for TimeoutLayer<P, D, M> {
    fn clone(&self) -> Self {
        Self { terms: self.terms.clone() }
    }
}

impl<P: Platform, D, M> fmt::Debug for TimeoutLayer<P, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutLayer").field("after", &self.terms.after).finish_non_exhaustive()
    }
}

impl<P: Platform<Clock: Ambient>> TimeoutLayer<P> {
    /// Each call has so much time. With [`Duration::MAX`], only its own [deadline](TimeoutLayer::deadline) counts.
    #[must_use]
    pub const fn new(after: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, after)
    }
}

impl<P: Platform> TimeoutLayer<P> {
    /// As `new`, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, after: Duration) -> Self {
        Self { terms: Terms { clock, after, deadline: NoDeadline, mode: Typed } }
    }
}

impl<P: Platform, D> TimeoutLayer<P, D> {
    /// A timeout becomes a response, and the error is that of the service within.
    pub fn respond<R>(self, responder: R) -> TimeoutLayer<P, D, Respond<R>> {
        let Terms { clock, after, deadline, .. } = self.terms;
        TimeoutLayer { terms: Terms { clock, after, deadline, mode: Respond::by(responder) } }
    }
}

impl<P: Platform, M> TimeoutLayer<P, NoDeadline, M> {
    /// Requests have deadlines of their own, which end calls too.
    pub fn deadline<D>(self, deadline: D) -> TimeoutLayer<P, D, M> {
        let Terms { clock, after, mode, .. } = self.terms;
        TimeoutLayer { terms: Terms { clock, after, deadline, mode } }
    }
}

impl<S, P: Platform, D: Clone, M: Clone> Layer<S> for TimeoutLayer<P, D, M> {
    type Service = Timeout<S, P, D, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout { inner, terms: self.terms.clone() }
    }
}

/// A service whose calls have so much time; made by [`TimeoutLayer`].
pub struct Timeout<S, P: Platform, D = NoDeadline, M = Typed> {
    inner: S,
    terms: Terms<P, D, M>,
}

impl<S: Clone, P: Platform, D: Clone, M: Clone> Clone for Timeout<S, P, D, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), terms: self.terms.clone() }
    }
}

impl<S: fmt::Debug, P: Platform, D, M> fmt::Debug for Timeout<S, P, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("inner", &self.inner).field("after", &self.terms.after).finish_non_exhaustive()
    }
}

impl<S, P, D, M, Q> Service<Q> for Timeout<S, P, D, M>
where
    S: Service<Q>,
    P: Platform,
    D: DeadlineOf<Q>,
    M: Mode<S::Response, TimeoutError<S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Concluded<Timed<S::Future, P::Clock>, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| self.terms.mode.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let Terms { clock, after, deadline, mode } = &self.terms;
        let deadline = deadline.deadline(&request);
        let call = self.inner.call(request);
        let call = if deadline == Deadline::NEVER {
            Timed::with_clock(clock.clone(), *after, call)
        } else {
            let deadline = Deadline::after(clock.now(), *after).earlier(deadline);
            Timed::at_with_clock(clock.clone(), deadline, call)
        };
        Concluded::new(call, mode.clone())
    }
}
