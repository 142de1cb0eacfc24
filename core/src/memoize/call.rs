use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::cache::{Entered, Fetcher, Fetching, Reading, Serve, ServeBy};
use crate::deadline::Deadline;
use crate::single_flight::{AsIs, FlightError, Late, Timed, WithDeadline};
use crate::sync::flights::Flights;
use crate::time::Instant;

pin_project! {
    /// A value that is kept, or is being found; made by [`Memoize::call`](super::Memoize::call).
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller. If its call of the function is under way, that is dropped, and the caller that has waited longest makes its own. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Call<'c, 'q, A, C: Flights, Q: ?Sized, Fut> {
        function: &'c A,
        key: &'q Q,
        // Not once it has started, or has ended.
        may_start: bool,
        #[pin]
        fetching: Fetching<'c, C, Fut>,
    }
}

impl<'c, 'q, A, C: Flights, Q: ?Sized, Fut> Call<'c, 'q, A, C, Q, Fut> {
    pub(super) const fn new(function: &'c A, cache: &'c C, key: &'q Q) -> Self {
        Self { function, key, may_start: true, fetching: Fetching::new(cache) }
    }
}

impl<A, C, Q, Fut> Call<'_, '_, A, C, Q, Fut>
where
    A: Fn(C::Key) -> Fut,
    C: ServeBy<Q> + Serve + Timed,
    Q: ?Sized,
    Fut: Future<Output = Result<C::Value, C::Error>>,
{
    /// Waits no longer than until that deadline, and ends with [`FlightError::Deadline`] then, unless the cache has [what answers instead](crate::Cache::stale_if_error). It is this caller's alone: if its call of the function is under way, the one that has waited longest makes its own; and no call outlives the caller whose it is, as [of a cache](crate::cache::Get::deadline_at).
    pub const fn deadline_at(self, deadline: Deadline) -> WithDeadline<Self, C::Sleep> {
        WithDeadline::new(self, deadline)
    }
}

impl<A, C, Q, Fut> Call<'_, '_, A, C, Q, Fut>
where
    A: Fn(C::Key) -> Fut,
    C: ServeBy<Q> + Serve,
    Q: ?Sized,
    Fut: Future<Output = Result<C::Value, C::Error>>,
{
    /// Calls the function, or waits for another one's call.
    // Kept out of line, so that the way of who finds a value is short.
    #[inline(never)]
    fn poll_flight(self: Pin<&mut Self>, looked: Option<Instant>, cx: &mut Context<'_>) -> Poll<C::Outcome> {
        let mut this = self.project();
        if let Some(outcome) = ready!(this.fetching.as_mut().poll_news(cx)) {
            *this.may_start = false;
            return Poll::Ready(this.fetching.ended(*this.key, outcome));
        }
        let (function, key, cache) = (*this.function, *this.key, this.fetching.cache());
        let mut operation = this.may_start.then_some(|| function(cache.to_key(key)));
        *this.may_start = false;
        let (fetching, fetcher) = (this.fetching.as_mut(), Fetcher::Caller { looked });
        let arrival = ready!(fetching.poll_fetch::<_, AsIs>(&mut operation, fetcher, |cache| Some(cache.to_key(key)), cx));
        Poll::Ready(this.fetching.ended(key, arrival.into_outcome()))
    }
}

impl<A, C, Q, Fut> Future for Call<'_, '_, A, C, Q, Fut>
where
    A: Fn(C::Key) -> Fut,
    C: ServeBy<Q> + Serve,
    Q: ?Sized,
    Fut: Future<Output = Result<C::Value, C::Error>>,
{
    type Output = Result<C::Value, FlightError<C::Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut this, mut looked) = (self.as_mut().project(), None);
        if this.fetching.is_outside() {
            if !*this.may_start {
                return Poll::Pending;
            }
            match this.fetching.as_mut().enter(*this.key, cx.waker(), Reading::Queues) {
                Ok(Entered::Leads(at)) => looked = Some(at),
                Ok(Entered::Follows) => {}
                Ok(Entered::Served(outcome) | Entered::Due { outcome, .. }) => {
                    *this.may_start = false;
                    return Poll::Ready(outcome.map_err(FlightError::Failed));
                }
                Err(error) => {
                    *this.may_start = false;
                    return Poll::Ready(Err(error.of_operation()));
                }
            }
        }
        self.poll_flight(looked, cx).map_err(FlightError::Failed)
    }
}

impl<A, C, Q, Fut> Late for Call<'_, '_, A, C, Q, Fut>
where
    A: Fn(C::Key) -> Fut,
    C: ServeBy<Q> + Serve + Timed,
    Q: ?Sized,
    Fut: Future<Output = Result<C::Value, C::Error>>,
{
    type Timed = C;

    fn timed(&self) -> &C {
        self.fetching.cache()
    }

    fn follows(&self) -> bool {
        self.fetching.follows()
    }

    fn leave(self: Pin<&mut Self>) -> Self::Output {
        let this = self.project();
        this.fetching.leave(*this.key, || *this.may_start = false).0
    }
}

impl<A, C: Flights, Q: ?Sized, Fut> fmt::Debug for Call<'_, '_, A, C, Q, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("stage", &self.fetching.stage()).finish_non_exhaustive()
    }
}
