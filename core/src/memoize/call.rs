use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::cache::{Entered, Fetcher, Fetching, LookedOf, Reading, Serve, ServeBy};
use crate::deadline::Deadline;
use crate::single_flight::{AsIs, FlightError, Late, Timed, WithDeadline};
use crate::sync::flights::Flights;

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
    /// Goes on from a look; or, without one, from where it is: calls the function, or waits for another one's call.
    // Kept out of line, so that the way of who finds a value is short.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    #[cfg_attr(not(target_pointer_width = "64"), inline)]
    fn poll_on(
        self: Pin<&mut Self>,
        looked: Option<&mut LookedOf<C>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<C::Outcome, FlightError>> {
        let (mut this, mut looked_at) = (self.project(), None);
        if let Some(looked) = looked {
            let at = looked.at;
            match this.fetching.as_mut().enter(looked, *this.key, cx.waker()) {
                Ok(Entered::Leads(_)) => looked_at = Some(at),
                Ok(Entered::Follows(_)) => {}
                Ok(Entered::Served(outcome) | Entered::Due { outcome, .. }) => {
                    *this.may_start = false;
                    return Poll::Ready(Ok(outcome));
                }
                Err(error) => {
                    *this.may_start = false;
                    return Poll::Ready(Err(error));
                }
            }
        }
        if let Some(outcome) = ready!(this.fetching.as_mut().poll_news(cx)) {
            *this.may_start = false;
            return Poll::Ready(Ok(this.fetching.ended(*this.key, outcome)));
        }
        let (function, key, cache) = (*this.function, *this.key, this.fetching.cache());
        let mut operation = this.may_start.then_some(|| function(cache.to_key(key)));
        *this.may_start = false;
        let (fetching, fetcher) = (this.fetching.as_mut(), Fetcher::Caller { looked: looked_at });
        let arrival = ready!(fetching.poll_fetch::<_, AsIs>(&mut operation, fetcher, |cache| Some(cache.to_key(key)), cx));
        Poll::Ready(Ok(this.fetching.ended(key, arrival.into_outcome())))
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
        let (this, mut looked) = (self.as_mut().project(), None);
        if this.fetching.is_outside()
            && *this.may_start
            && let Some(outcome) = this.fetching.cache().hit(*this.key, Reading::Queues, &mut looked)
        {
            *this.may_start = false;
            return Poll::Ready(outcome.map_err(FlightError::Failed));
        }
        self.poll_on(looked.as_mut(), cx).map(|on| match on {
            Ok(outcome) => outcome.map_err(FlightError::Failed),
            Err(error) => Err(error.of_operation()),
        })
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
