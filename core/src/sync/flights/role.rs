use core::mem::forget;
use core::task::{Context, Poll, Waker, ready};

use super::{FlightTable, Landed, Learnt, Place, Ticket};
use crate::panicking::wake_all;
use crate::platform::SMALL;
use crate::single_flight::{Event, FlightError};
use crate::storage::Storage;

/// What shares runs: a single flight, a cache. It is implemented for those of this crate only.
pub trait Flights {
    /// What a flight is for.
    type Key;
    /// What it brings.
    type Outcome;
    /// What of it a leader that is dropped hands over.
    type Work;
    /// Where it is kept.
    type Storage: Storage;

    /// Does something with the flights of a hash, under the lock.
    #[doc(hidden)]
    fn with_table<R>(&self, hash: u64, act: impl FnOnce(&mut TableOf<Self>) -> R) -> Option<R>;

    /// A caller that led has left, to another one or to none.
    #[doc(hidden)]
    fn tell_of_leaving(&self, is_handed_over: bool);
}

/// What finds the flight of a key, and begins one if there is none.
pub trait Board<Q: ?Sized>: Flights {
    /// Finds the role of a caller.
    #[doc(hidden)]
    fn board(&self, key: &Q, waker: &Waker, role: &mut Role<'_, Self>) -> Result<(), FlightError>;

    #[doc(hidden)]
    fn tell(&self, event: Event);
}

type TableOf<F> = FlightTable<<F as Flights>::Key, <F as Flights>::Outcome, <F as Flights>::Storage, <F as Flights>::Work>;
type LinkOf<F> = <<F as Flights>::Storage as Storage>::Link;

/// What a caller is to its flight, which is given up when this is dropped.
pub struct Role<'f, F: Flights + ?Sized> {
    flights: &'f F,
    hash: u64,
    stands: Stands<LinkOf<F>>,
    /// Of a leader: what it hands over if it is dropped.
    pub(crate) work: Option<F::Work>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stands<L> {
    Outside,
    Follows(Place<L>),
    Leads(Ticket<L>),
}

/// What a follower has waited for.
pub(crate) enum News<T> {
    /// The flight has landed, and brought this.
    Landed(T),
    /// Its leader has left: now this caller leads.
    Leads,
}

/// What there is for one who does not lead.
pub(crate) enum Ended<T> {
    /// The flight has landed, and brought this.
    Landed(T),
    /// There is no room.
    Refused(FlightError),
}

impl<T, E> Ended<Result<T, E>> {
    /// What its call ends with.
    pub(crate) fn into_result(self) -> Result<T, FlightError<E>> {
        match self {
            Self::Landed(outcome) => outcome.map_err(FlightError::Failed),
            Self::Refused(error) => Err(error.of_operation()),
        }
    }
}

/// Gives up its role when it is dropped, as happens if the caller's code panics and the future is kept.
pub(crate) struct Aborts<'r, 'f, F: Flights + ?Sized>(pub(crate) Option<&'r mut Role<'f, F>>);

impl<'f, F: Flights + ?Sized> Role<'f, F> {
    pub(crate) const fn new(flights: &'f F) -> Self {
        Self { flights, hash: 0, stands: Stands::Outside, work: None }
    }

    pub(crate) const fn flights(&self) -> &'f F {
        self.flights
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn stands(&self) -> Stands<LinkOf<F>> {
        self.stands
    }

    pub(crate) const fn follows(&self) -> bool {
        matches!(self.stands, Stands::Follows(_))
    }

    /// For `Debug`.
    pub(crate) const fn stage(&self) -> &'static str {
        match self.stands {
            Stands::Outside => "outside",
            Stands::Follows(_) => "waiting",
            Stands::Leads(_) => "leading",
        }
    }

    /// Has come to lead, or to follow.
    pub(crate) fn take(&mut self, hash: u64, stands: Stands<LinkOf<F>>) {
        (self.hash, self.stands) = (hash, stands);
    }

    /// Comes to lead the flight of a key, or waits for what another one brings.
    #[inline]
    pub(crate) fn poll_lead<Q>(&mut self, key: &Q, cx: &mut Context<'_>) -> Poll<Result<(), Ended<F::Outcome>>>
    where
        F: Board<Q>,
        Q: ?Sized,
    {
        loop {
            match self.stands {
                Stands::Leads(_) => return Poll::Ready(Ok(())),
                Stands::Follows(place) => {
                    if let News::Landed(outcome) = ready!(self.poll_news(place, cx)) {
                        return Poll::Ready(Err(Ended::Landed(outcome)));
                    }
                }
                Stands::Outside => {
                    let flights = self.flights;
                    if let Err(error) = flights.board(key, cx.waker(), self) {
                        flights.tell(Event::Rejected { reason: error });
                        return Poll::Ready(Err(Ended::Refused(error)));
                    }
                    // It is woken when there is news.
                    if let Stands::Follows(_) = self.stands {
                        // Where the observer panics, nobody hands over to it.
                        let aborts = Aborts(Some(self));
                        flights.tell(Event::Shared);
                        forget(aborts);
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Waits for the flight, or for its leader to leave.
    #[inline]
    pub(crate) fn poll_news(&mut self, place: Place<LinkOf<F>>, cx: &mut Context<'_>) -> Poll<News<F::Outcome>> {
        let asked = self.flights.with_table(self.hash, |table| table.ask(place, cx.waker()));
        let (learnt, unused) = match asked {
            Some(Learnt::Waits { is_heard: false }) => {
                let waker = cx.waker().clone();
                // It may have been told since, and one waker is not needed.
                self.flights.with_table(self.hash, |table| table.listen(place, waker)).unzip()
            }
            asked => (asked, None),
        };
        let news = match learnt {
            Some(Learnt::Landed(outcome)) => {
                self.stands = Stands::Outside;
                Poll::Ready(News::Landed(outcome))
            }
            Some(Learnt::Leads(ticket, work)) => {
                (self.stands, self.work) = (Stands::Leads(ticket), work);
                Poll::Ready(News::Leads)
            }
            Some(Learnt::Waits { .. }) | None => Poll::Pending,
        };
        // Where a waker panics as it is dropped, the next one leads.
        let aborts = Aborts(news.is_ready().then_some(self));
        drop(unused);
        forget(aborts);
        news
    }

    /// Lands the flight that it leads, and gives the outcome to all who wait for it. Whether somebody has got it.
    pub(crate) fn land(&mut self, outcome: &F::Outcome) -> bool
    where
        F::Outcome: Clone,
    {
        let Stands::Leads(ticket) = self.stands else { return false };
        // The key is dropped last, when whatever it does finds the flight over.
        let Some(Landed { key: _key, awaited }) = self.flights.with_table(self.hash, |table| table.land(ticket)) else {
            return false;
        };
        self.hand_out(ticket, outcome, awaited)
    }

    /// Gives the outcome of a flight that has landed to all who wait for it. Whether somebody has got it.
    #[inline]
    pub(crate) fn hand_out(&mut self, ticket: Ticket<LinkOf<F>>, outcome: &F::Outcome, awaited: u32) -> bool
    where
        F::Outcome: Clone,
    {
        if awaited == 0 {
            self.stands = Stands::Outside;
            return false;
        }
        // What lies on the stack at a time is not to be large, and on a small machine the code for one is less than that for several.
        if size_of::<F::Outcome>() <= 32 && !SMALL {
            self.give_out::<8>(ticket, outcome, awaited)
        } else {
            self.give_out::<1>(ticket, outcome, awaited)
        }
    }

    /// Gives the outcome to all who wait for it, so many at a time. Whether somebody has got it.
    #[inline(never)]
    fn give_out<const N: usize>(&mut self, ticket: Ticket<LinkOf<F>>, outcome: &F::Outcome, mut awaited: u32) -> bool
    where
        F::Outcome: Clone,
    {
        let mut is_shared = false;
        while awaited > 0 {
            let (mut clones, mut wakers) = (heapless::Vec::<_, N>::new(), heapless::Vec::<_, N>::new());
            // Outside the lock, as all that is not ours. Whoever they are for may be gone by then, and the next ones have them.
            let made = usize::try_from(awaited).unwrap_or(N).min(N);
            for _ in 0..made {
                let _full = clones.push(outcome.clone());
            }
            awaited = self.flights.with_table(self.hash, |table| table.give(ticket, &mut clones, &mut wakers)).unwrap_or(0);
            is_shared |= clones.len() < made;
            if awaited == 0 {
                // By now it may be another one's: a waker, or a drop, that panics must not give it up.
                self.stands = Stands::Outside;
            }
            let mut wakers = wakers.into_iter();
            wake_all(&mut || wakers.next());
        }
        is_shared
    }

    /// Gives up what it is to its flight. What has landed for it by then.
    pub(crate) fn give_up(&mut self) -> Option<F::Outcome> {
        let left = match core::mem::replace(&mut self.stands, Stands::Outside) {
            Stands::Outside => return None,
            Stands::Follows(place) => self.flights.with_table(self.hash, |table| table.leave(place)),
            Stands::Leads(ticket) => {
                let work = self.work.take();
                self.flights.with_table(self.hash, |table| table.abandon(ticket, work))
            }
        }?;
        let is_handed_over = left.leads.is_some();
        wake(left.leads);
        if left.has_led {
            self.flights.tell_of_leaving(is_handed_over);
        }
        left.landed
    }
}

impl<F: Flights + ?Sized> Aborts<'_, '_, F> {
    /// Gives it up now. What has landed for it by then.
    pub(crate) fn give_up(mut self) -> Option<F::Outcome> {
        self.0.take().and_then(Role::give_up)
    }
}

impl<F: Flights + ?Sized> Drop for Role<'_, F> {
    #[inline]
    fn drop(&mut self) {
        // Most have ended by then.
        if !matches!(self.stands, Stands::Outside) {
            self.give_up();
        }
    }
}

impl<F: Flights + ?Sized> Drop for Aborts<'_, '_, F> {
    #[inline]
    fn drop(&mut self) {
        match self.0.take() {
            // Most have ended by then.
            Some(Role { stands: Stands::Outside, .. }) | None => {}
            Some(role) => drop(role.give_up()),
        }
    }
}

/// Outside the lock, as all wakers.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
