//! What the futures ask of a cache.

use core::task::Waker;

use super::shard::{Look, Reading};
use crate::single_flight::FlightError;
use crate::storage::Storage;
use crate::sync::flights::{Flights, Place, Role, Ticket};
use crate::sync::wait_list::Key;
use crate::time::Instant;

/// A cache, as the futures see it. It is implemented for [`Cache`](crate::Cache) only.
pub trait Serve: Flights<Outcome = Result<Self::Value, Self::Error>> {
    /// What is kept.
    type Value: Clone;
    /// Why there is nothing to be kept.
    type Error: Clone;

    /// A read has found nothing to be served, and its caller fetches, or has what another one does.
    #[doc(hidden)]
    fn tell_of_miss(&self, fetches: bool);

    /// The present, if it matters to how long a fetch takes.
    #[doc(hidden)]
    fn begin(&self) -> Instant;

    /// Whether the key is needed at the end of a fetch.
    #[doc(hidden)]
    fn asks_for_keys(&self) -> bool;

    /// The first key that is to be fetched anew, or a place among those who wait for one. Another waker is woken if this one leaves such a place.
    #[doc(hidden)]
    fn next_key(&self, waits: &mut Option<WaitKey<Self>>, waker: &Waker) -> Result<Option<Taken<'_, Self>>, FlightError>;

    #[doc(hidden)]
    fn leave(&self, waits: WaitKey<Self>);

    /// A key is off the queue: its hash, if it is still due, and nobody fetches it.
    #[doc(hidden)]
    fn take_due(&self, key: &Self::Key) -> Option<u64>;

    /// Gives a slot of the queue back; or puts a key back that could not be looked at.
    #[doc(hidden)]
    fn give_back(&self, slot: LinkOf<Self>, key: Option<Self::Key>);

    /// A fetch has ended: keeps what it brought, and gives it to all who wait. What its caller ends with, unless it only refreshes.
    #[doc(hidden)]
    fn arrive(
        &self,
        role: &mut Role<'_, Self>,
        ticket: Ticket<LinkOf<Self>>,
        fetcher: Fetcher,
        began: Instant,
        key: Option<Self::Key>,
        outcome: Self::Outcome,
    ) -> Arrival<Self::Outcome>;
}

/// A cache that is asked by `Q`.
pub trait ServeBy<Q: ?Sized>: Serve {
    /// What is plainly fresh; or else what a look has come to, to [enter](Self::enter) with.
    #[doc(hidden)]
    fn hit(&self, key: &Q, reading: Reading, looked: &mut Option<LookedOf<Self>>) -> Option<Self::Outcome>;

    /// Goes on from a look by which it does not fetch yet: what is served at once; or its caller has another role from now on: it fetches, or has what another one does.
    #[doc(hidden)]
    fn enter(&self, looked: &mut LookedOf<Self>, key: &Q, waker: &Waker) -> Result<EnteredOf<Self>, FlightError>;

    /// Leads the fetch of what is due, if nobody does; and whether that begins at once, or is handed out.
    #[doc(hidden)]
    fn lead_due(&self, hash: u64, key: &Q, begins: bool) -> Option<Ticket<LinkOf<Self>>>;

    /// Has what is due fetched anew by a refresher.
    #[doc(hidden)]
    fn queue(&self, hash: u64, key: &Q);

    /// What a call ends with that is late, or for which there is no room: a value that may answer for it, or the error.
    #[doc(hidden)]
    fn instead(&self, key: &Q, error: FlightError) -> Result<Self::Value, FlightError>;

    /// The value that is there, and would be served. The clock is read if something is there.
    #[doc(hidden)]
    fn at_hand(&self, hash: u64, key: &Q) -> Option<Self::Value>;

    #[doc(hidden)]
    fn to_key(&self, key: &Q) -> Self::Key;
}

pub(super) type LinkOf<F> = <<F as Flights>::Storage as Storage>::Link;
pub(crate) type LookedOf<F> = Looked<<F as Flights>::Outcome, LinkOf<F>>;
pub(super) type EnteredOf<F> = Entered<<F as Flights>::Outcome, LinkOf<F>>;
pub(super) type WaitKey<F> = Key<LinkOf<F>>;

/// A key off the queue, and its slot: put back if it panics as it is looked at.
pub struct Taken<'c, C: Serve + ?Sized> {
    cache: &'c C,
    slot: LinkOf<C>,
    key: Option<C::Key>,
}

impl<'c, C: Serve + ?Sized> Taken<'c, C> {
    pub(super) const fn new(cache: &'c C, key: C::Key, slot: LinkOf<C>) -> Self {
        Self { cache, slot, key: Some(key) }
    }

    pub(super) const fn key(&self) -> Option<&C::Key> {
        self.key.as_ref()
    }

    /// It has been looked at.
    pub(super) fn into_key(mut self) -> Option<C::Key> {
        self.key.take()
    }
}

impl<C: Serve + ?Sized> Drop for Taken<'_, C> {
    fn drop(&mut self) {
        self.cache.give_back(self.slot, self.key.take());
    }
}

/// What a look at a key has come to, where it is not plainly fresh.
// Lent, and not moved: who copies it by larger pieces than it has been written by waits until those are in the cache.
pub struct Looked<T, L> {
    pub(super) look: Look<T>,
    /// Nobody fetched it: now this caller does.
    pub(super) ticket: Option<Ticket<L>>,
    pub(super) hash: u64,
    /// What the clock said.
    pub(crate) at: Instant,
}

impl<T, L> Looked<T, L> {
    /// Until it has looked, there is no room for it.
    pub(super) const fn new(hash: u64, at: Instant) -> Self {
        Self { look: Look::Full, ticket: None, hash, at }
    }
}

/// What becomes of a read.
// What it is stands in a word of its own: a byte, beside which others were left as they are, would be slow to move.
pub enum Entered<T, L> {
    /// It is answered at once.
    Served(T),
    /// As that, and its caller is to see to it that it is fetched anew.
    Due { outcome: T, hash: u64 },
    /// Its caller fetches.
    Leads(Ticket<L>),
    /// Its caller has what another one fetches.
    Follows(Place<L>),
}

/// Who fetches.
#[derive(Clone, Copy)]
pub enum Fetcher {
    /// Whoever has asked; and when it looked at the clock, if that was in this poll: then a fetch that ends in it ended at that time.
    Caller { looked: Option<Instant> },
    /// Nobody who is to be answered.
    Refresher,
}

/// What came of a fetch.
pub struct Arrival<T> {
    /// What the fetch itself ended with.
    pub(super) outcome: T,
    /// What is served instead, if it failed.
    pub(super) instead: Option<T>,
    pub(super) is_shared: bool,
}

impl<T> Arrival<T> {
    /// What its caller ends with.
    pub(crate) fn into_outcome(self) -> T {
        self.instead.unwrap_or(self.outcome)
    }
}
