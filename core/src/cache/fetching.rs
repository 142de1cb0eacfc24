use core::future::Future;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::serve::{Arrival, Entered, Fetcher, Serve, ServeBy};
use super::shard::Reading;
use crate::panicking::clear_at_panic;
use crate::single_flight::{FlightError, Outcome};
use crate::storage::Storage;
use crate::sync::flights::{Aborts, Flights, News, Role, Stands, Ticket};
use crate::time::Instant;

pin_project! {
    /// A fetch under way, by whoever leads it.
    pub(crate) struct Fetching<'c, C: Flights, Fut> {
        #[pin]
        running: Option<Fut>,
        began: Instant,
        // If it is asked for at the end.
        key: Option<C::Key>,
        // The last to be dropped: whoever is woken by that finds what this held free.
        role: Role<'c, C>,
    }
}

impl<'c, C: Flights, Fut> Fetching<'c, C, Fut> {
    pub(crate) const fn new(cache: &'c C) -> Self {
        Self { running: None, began: Instant::ORIGIN, key: None, role: Role::new(cache) }
    }

    /// One that leads already.
    pub(crate) fn leading(cache: &'c C, hash: u64, ticket: Ticket<<C::Storage as Storage>::Link>, key: Option<C::Key>) -> Self {
        let mut role = Role::new(cache);
        role.take(hash, Stands::Leads(ticket));
        Self { running: None, began: Instant::ORIGIN, key, role }
    }

    pub(crate) const fn cache(&self) -> &'c C {
        self.role.flights()
    }

    pub(crate) const fn stage(&self) -> &'static str {
        self.role.stage()
    }
}

impl<C: Serve, Fut> Fetching<'_, C, Fut> {
    pub(crate) fn follows(&self) -> bool {
        self.role.follows()
    }

    pub(crate) fn is_outside(&self) -> bool {
        matches!(self.role.stands(), Stands::Outside)
    }

    /// Reads: what is served at once; or this one fetches, or follows who does.
    #[inline]
    pub(crate) fn enter<Q: ?Sized>(
        self: Pin<&mut Self>,
        key: &Q,
        waker: &Waker,
        reading: Reading,
    ) -> Result<Entered<C::Outcome>, FlightError>
    where
        C: ServeBy<Q>,
    {
        let role = self.project().role;
        let cache = role.flights();
        let entered = cache.enter(key, waker, reading, role)?;
        if let Entered::Leads(_) | Entered::Follows = entered {
            // Where the observer panics, the next one leads.
            let aborts = Aborts(Some(role));
            cache.tell_of_miss(matches!(entered, Entered::Leads(_)));
            forget(aborts);
        }
        Ok(entered)
    }

    /// Is polled for the first time: from now on, others wait for it.
    pub(crate) fn begin(self: Pin<&mut Self>) {
        let role = self.project().role;
        if let Stands::Leads(ticket) = role.stands() {
            role.flights().with_table(role.hash(), |table| table.set_begun(ticket, true));
        }
    }

    /// Leaves, as when it is dropped. What has landed for it by then.
    fn give_up(self: Pin<&mut Self>) -> Option<C::Outcome> {
        let mut this = self.project();
        // Whatever of the caller's code panics as it is dropped, the next one leads.
        let leaves = Aborts(Some(this.role));
        *this.key = None;
        this.running.set(None);
        leaves.give_up()
    }

    /// Is late: leaves, once it has dropped what it would have started. What its call ends with, and whether that has landed for it by then.
    pub(crate) fn leave<Q: ?Sized>(
        mut self: Pin<&mut Self>,
        key: &Q,
        drop_operation: impl FnOnce(),
    ) -> (Result<C::Value, FlightError<C::Error>>, bool)
    where
        C: ServeBy<Q>,
    {
        clear_at_panic(self.as_mut(), |late| drop(late.give_up()), |_| drop_operation());
        match self.as_mut().give_up() {
            Some(outcome) => (self.ended(key, outcome).map_err(FlightError::Failed), true),
            None => (self.cache().instead(key, FlightError::Deadline).map_err(FlightError::of_operation), false),
        }
    }

    /// Waits for the fetch of another one, if it follows. What that brought; or nothing, if this one leads.
    pub(crate) fn poll_news(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<C::Outcome>> {
        let role = self.project().role;
        match role.stands() {
            Stands::Follows(place) => role.poll_news(place, cx).map(|news| match news {
                News::Landed(outcome) => Some(outcome),
                News::Leads => None,
            }),
            Stands::Outside | Stands::Leads(_) => Poll::Ready(None),
        }
    }

    /// What a call ends with: where a fetch has failed, a value that was stored meanwhile comes before its error.
    pub(crate) fn ended<Q: ?Sized>(&self, key: &Q, outcome: C::Outcome) -> C::Outcome
    where
        C: ServeBy<Q>,
    {
        let at_hand = || self.role.flights().at_hand(self.role.hash(), key);
        outcome.or_else(|error| at_hand().ok_or(error))
    }

    /// Fetches: starts the operation if it has not been, and runs it to its end.
    pub(crate) fn poll_fetch<O, X>(
        self: Pin<&mut Self>,
        operation: &mut Option<O>,
        fetcher: Fetcher,
        to_key: impl FnOnce(&C) -> Option<C::Key>,
        cx: &mut Context<'_>,
    ) -> Poll<Arrival<C::Outcome>>
    where
        O: FnOnce() -> Fut,
        Fut: Future,
        X: Outcome<Fut::Output, C::Value, C::Error>,
    {
        clear_at_panic(
            self,
            |fetching| drop(fetching.give_up()),
            |fetching| {
                let mut this = fetching.project();
                let Stands::Leads(ticket) = this.role.stands() else { return Poll::Pending };
                let cache = this.role.flights();
                if let Some(operation) = operation.take() {
                    if cache.asks_for_keys() && this.key.is_none() {
                        *this.key = to_key(cache);
                    }
                    *this.began = cache.begin();
                    this.running.set(Some(operation()));
                }
                let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
                let ended = ready!(running.poll(cx));
                this.running.set(None);
                let (key, outcome) = (this.key.take(), X::of(ended));
                Poll::Ready(cache.arrive(this.role, ticket, fetcher, *this.began, key, outcome))
            },
        )
    }
}
