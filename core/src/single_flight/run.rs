use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::FlightError;
use super::outcome::{AsIs, Outcome};
use super::with_shared::{MaybeShared, WithShared};
use crate::sync::flights::{Aborts, Board, Flights, News, Role, Stands};

pin_project! {
    /// A call that shares its run with others of its key; made by [`run`](super::SingleFlight::run) and [`run_into`](super::SingleFlight::run_into).
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller. If its operation is under way, that is dropped, and the caller that has waited longest starts its own. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'f, 'q, F: Flights, Q: ?Sized, O, Fut, C = AsIs> {
        key: &'q Q,
        // None once it has started, or has ended.
        operation: Option<O>,
        #[pin]
        running: Option<Fut>,
        is_shared: bool,
        outcome: PhantomData<fn() -> C>,
        // The last to be dropped: whoever is woken by that finds what this held free.
        role: Role<'f, F>,
    }
}

impl<'f, 'q, F: Flights, Q: ?Sized, O, Fut, C> Run<'f, 'q, F, Q, O, Fut, C> {
    pub(crate) const fn new(flights: &'f F, key: &'q Q, operation: O) -> Self {
        let role = Role::new(flights);
        Self { key, operation: Some(operation), running: None, is_shared: false, outcome: PhantomData, role }
    }

    /// Tells too whether the result went to several callers.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static RATES: SingleFlight<&str, f64> = SingleFlight::new();
    ///
    /// aplomb_sim::block_on(async {
    ///     let ask = || RATES.run(&"EUR", || async { aplomb_sim::sleep(ms(80)).await; Ok(1.09) }).with_shared();
    ///     let (one, other) = zip(ask(), ask()).await;
    ///     assert!(one.is_shared && other.is_shared);
    ///     assert_eq!(one.result, Ok(1.09));
    /// });
    /// ```
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<F, Q, O, Fut, C, T, E> Future for Run<'_, '_, F, Q, O, Fut, C>
where
    F: Board<Q> + Flights<Outcome = Result<T, E>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    C: Outcome<Fut::Output, T, E>,
    T: Clone,
    E: Clone,
{
    type Output = Result<T, FlightError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let ticket = loop {
            match this.role.stands() {
                Stands::Leads(ticket) => break ticket,
                Stands::Follows(place) => {
                    if let News::Landed(outcome) = ready!(this.role.poll_news(place, cx)) {
                        *this.is_shared = true;
                        *this.operation = None;
                        return Poll::Ready(outcome.map_err(FlightError::Failed));
                    }
                }
                Stands::Outside if this.operation.is_none() => return Poll::Pending,
                Stands::Outside => match this.role.flights().board(*this.key, cx.waker()) {
                    Ok((hash, stands)) => {
                        this.role.take(hash, stands);
                        // It is woken when there is news.
                        if let Stands::Follows(_) = stands {
                            return Poll::Pending;
                        }
                    }
                    Err(error) => {
                        *this.operation = None;
                        return Poll::Ready(Err(error.of_operation()));
                    }
                },
            }
        };
        // Whatever of the caller's code panics, the next one leads.
        let mut aborts = Aborts(Some(this.role));
        if let Some(operation) = this.operation.take() {
            this.running.set(Some(operation()));
        }
        let polled = match this.running.as_mut().as_pin_mut() {
            Some(running) => running.poll(cx),
            None => Poll::Pending,
        };
        let Poll::Ready(ended) = polled else {
            forget(aborts);
            return Poll::Pending;
        };
        this.running.set(None);
        let outcome = C::of(ended);
        if let Some(role) = &mut aborts.0 {
            *this.is_shared = role.land(ticket, &outcome);
        }
        Poll::Ready(outcome.map_err(FlightError::Failed))
    }
}

impl<F: Flights, Q: ?Sized, O, Fut, C> MaybeShared for Run<'_, '_, F, Q, O, Fut, C> {
    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<F: Flights, Q: ?Sized, O, Fut, C> fmt::Debug for Run<'_, '_, F, Q, O, Fut, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("stage", &self.role.stage()).finish_non_exhaustive()
    }
}
