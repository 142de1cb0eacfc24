use core::future::Future;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::serve::{Arrival, Entered, EnteredOf, Fetcher, LinkOf, LookedOf, Serve, ServeBy};
use crate::panicking::clear_at_panic;
use crate::single_flight::{FlightError, Outcome};
use crate::sync::flights::{Aborts, Flights, News, Role, Stands, Ticket};
use crate::time::Instant;

pin_project! {
    /// A fetch under way, by whoever leads it.
    // Of one that has not had to wait, there is as little as can be: most never do.
    #[project = FetchingProjection]
    pub(crate) enum Fetching<'c, C: Flights, Fut> {
        /// No part of any.
        Outside { cache: &'c C },
        /// Leads one, or follows, or did so.
        Flies {
            #[pin]
            running: Option<Fut>,
            began: Instant,
            // If it is asked for at the end.
            key: Option<C::Key>,
            // The last to be dropped: whoever is woken by that finds what this held free.
            role: Role<'c, C>,
        },
    }
}

impl<'c, C: Flights, Fut> Fetching<'c, C, Fut> {
    pub(crate) const fn new(cache: &'c C) -> Self {
        Self::Outside { cache }
    }

    /// One that leads already.
    pub(crate) fn leading(cache: &'c C, hash: u64, ticket: Ticket<LinkOf<C>>, key: Option<C::Key>) -> Self {
        Self::flying(cache, hash, Stands::Leads(ticket), key)
    }

    fn flying(cache: &'c C, hash: u64, stands: Stands<LinkOf<C>>, key: Option<C::Key>) -> Self {
        let mut role = Role::new(cache);
        role.take(hash, stands);
        Self::Flies { running: None, began: Instant::ORIGIN, key, role }
    }

    #[inline]
    pub(crate) const fn cache(&self) -> &'c C {
        match self {
            Self::Outside { cache } => cache,
            Self::Flies { role, .. } => role.flights(),
        }
    }

    pub(crate) const fn stage(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "outside",
            Self::Flies { role, .. } => role.stage(),
        }
    }
}

impl<C: Serve, Fut> Fetching<'_, C, Fut> {
    pub(crate) const fn follows(&self) -> bool {
        matches!(self, Self::Flies { role, .. } if role.follows())
    }

    #[inline]
    pub(crate) const fn is_outside(&self) -> bool {
        match self {
            Self::Outside { .. } => true,
            Self::Flies { role, .. } => matches!(role.stands(), Stands::Outside),
        }
    }

    /// What is served at once, by what a look has come to; or this one fetches, or follows who does.
    #[inline]
    pub(crate) fn enter<Q: ?Sized>(
        mut self: Pin<&mut Self>,
        looked: &mut LookedOf<C>,
        key: &Q,
        waker: &Waker,
    ) -> Result<EnteredOf<C>, FlightError>
    where
        C: ServeBy<Q>,
    {
        let (cache, hash) = (self.cache(), looked.hash);
        let entered = match looked.ticket {
            Some(ticket) => Entered::Leads(ticket),
            None => cache.enter(looked, key, waker)?,
        };
        let stands = match &entered {
            Entered::Leads(ticket) => Stands::Leads(*ticket),
            Entered::Follows(place) => Stands::Follows(*place),
            Entered::Served(_) | Entered::Due { .. } => return Ok(entered),
        };
        self.set(Self::flying(cache, hash, stands, None));
        if let FetchingProjection::Flies { role, .. } = self.project() {
            // Where the observer panics, the next one leads.
            let aborts = Aborts(Some(role));
            cache.tell_of_miss(matches!(stands, Stands::Leads(_)));
            forget(aborts);
        }
        Ok(entered)
    }

    /// Is polled for the first time: from now on, others wait for it.
    pub(crate) fn begin(self: Pin<&mut Self>) {
        if let FetchingProjection::Flies { role, .. } = self.project()
            && let Stands::Leads(ticket) = role.stands()
        {
            role.flights().with_table(role.hash(), |table| table.set_begun(ticket, true));
        }
    }

    /// Leaves, as when it is dropped. What has landed for it by then.
    fn give_up(self: Pin<&mut Self>) -> Option<C::Outcome> {
        let FetchingProjection::Flies { mut running, key, role, .. } = self.project() else { return None };
        // Whatever of the caller's code panics as it is dropped, the next one leads.
        let leaves = Aborts(Some(role));
        *key = None;
        running.set(None);
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
        // One that panics, and is kept, must not come to lead.
        clear_at_panic(
            self,
            |fetching| drop(fetching.give_up()),
            |fetching| {
                let FetchingProjection::Flies { role, .. } = fetching.project() else { return Poll::Ready(None) };
                match role.stands() {
                    Stands::Follows(place) => role.poll_news(place, cx).map(|news| match news {
                        News::Landed(outcome) => Some(outcome),
                        News::Leads => None,
                    }),
                    Stands::Outside | Stands::Leads(_) => Poll::Ready(None),
                }
            },
        )
    }

    /// What a call ends with: where a fetch has failed, a value that was stored meanwhile comes before its error.
    pub(crate) fn ended<Q: ?Sized>(&self, key: &Q, outcome: C::Outcome) -> C::Outcome
    where
        C: ServeBy<Q>,
    {
        let Self::Flies { role, .. } = self else { return outcome };
        let at_hand = || role.flights().at_hand(role.hash(), key);
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
                let FetchingProjection::Flies { mut running, began, key, role } = fetching.project() else {
                    return Poll::Pending;
                };
                let Stands::Leads(ticket) = role.stands() else { return Poll::Pending };
                let cache = role.flights();
                if let Some(operation) = operation.take() {
                    if cache.asks_for_keys() && key.is_none() {
                        *key = to_key(cache);
                    }
                    *began = cache.begin();
                    running.set(Some(operation()));
                }
                let Some(runs) = running.as_mut().as_pin_mut() else { return Poll::Pending };
                let ended = ready!(runs.poll(cx));
                running.set(None);
                let (key, outcome) = (key.take(), X::of(ended));
                Poll::Ready(cache.arrive(role, ticket, fetcher, *began, key, outcome))
            },
        )
    }
}
