use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::Deref;

use super::KeyedCircuitBreaker;
use super::shard::{Flow, Forgotten, Full};
use crate::backoff::Backoff;
use crate::circuit_breaker::circuit::{Circuit, Ticket};
use crate::circuit_breaker::error::BreakerError;
use crate::circuit_breaker::machine::Machine;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::state::{Change, Event, KeyedEvent};
use crate::circuit_breaker::timing::Time;
use crate::circuit_breaker::trip::Trip;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::{Clock, Instant, duration};

/// The breaker of a key.
#[derive(Debug)]
pub struct OfKey<'b, L, Q: ?Sized> {
    pub(super) breakers: &'b L,
    pub(super) key: &'b Q,
    pub(super) hash: u64,
}

impl<L, Q: ?Sized> Clone for OfKey<'_, L, Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, Q: ?Sized> Copy for OfKey<'_, L, Q> {}

impl<P, K, T, B, J, S, H, O, Q, const SHARDS: usize> OfKey<'_, KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>, Q>
where
    P: Platform,
    K: Borrow<Q>,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<KeyedEvent<K>>,
    Q: Hash + Eq + ToKey<K> + ?Sized,
{
    /// Does something with it, if the key is known.
    pub(super) fn find<R>(
        &self,
        read: Option<Instant>,
        act: impl FnOnce(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> (R, Flow),
    ) -> Option<R> {
        let (result, change) = self.change(read, act)?;
        self.tell_change(change);
        Some(result)
    }

    /// Does something with it, if the key is known, and says what is to be told.
    fn change<R>(
        &self,
        read: Option<Instant>,
        act: impl FnOnce(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> (R, Flow),
    ) -> Option<(R, Change)> {
        let breakers = self.breakers;
        breakers.shard(self.hash)?.with(|shard| {
            let index = shard.table.find(self.hash, |known| known.borrow() == self.key)?;
            shard.with(&breakers.terms, index, (&breakers.clock, read), |machine, time| Self::noting(machine, time, act))
        })
    }

    /// Notes which changes that brings about, if anybody wants to know.
    fn noting<R>(
        machine: &mut Machine<T, B>,
        time: &mut Time<'_, P::Clock>,
        act: impl FnOnce(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> (R, Flow),
    ) -> ((R, Change), Flow) {
        let from = machine.gone_to();
        let (result, flow) = act(machine, time);
        let to = machine.gone_to();
        let change = (O::LISTENS && from != to).then_some((from, to));
        ((result, change), flow)
    }

    fn tell_change(&self, change: Change) {
        if let Some((from, to)) = change {
            self.tell(Event::Changed { from, to });
        }
    }

    /// Outside the lock.
    #[cold]
    fn tell(&self, event: Event) {
        if O::LISTENS {
            self.breakers.observer.observe(&KeyedEvent { key: self.key.to_key(), event });
        }
    }

    /// Does something with it, and makes it first if the key is not known.
    pub(super) fn make(&self, act: impl Fn(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> Flow) -> Result<(), BreakerError> {
        let ((), owed) = self.change_or_add(|machine, time| ((), act(machine, time)))?;
        self.pay(owed);
        Ok(())
    }

    /// Does something with it, and makes it first if the key is not known. With what is owed then, outside the lock.
    fn change_or_add<R>(
        &self,
        act: impl Fn(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> (R, Flow),
    ) -> Result<(R, Owed<K, T, B>), BreakerError> {
        match self.change(None, &act) {
            Some((result, change)) => Ok((result, Owed { change, _dropped: (None, None) })),
            None => self.add(act),
        }
    }

    #[cold]
    fn add<R>(
        &self,
        act: impl Fn(&mut Machine<T, B>, &mut Time<'_, P::Clock>) -> (R, Flow),
    ) -> Result<(R, Owed<K, T, B>), BreakerError> {
        let breakers = self.breakers;
        if let Some(error) = breakers.wrong() {
            return Err(BreakerError::Config(error));
        }
        let (capacity, read) = (breakers.keys(), breakers.clock.now());
        let mut full = BreakerError::TableFull { capacity, retry_after: None };
        let shard = breakers.shard(self.hash).ok_or(full)?;
        let mut new = Some(self.key.to_key());
        let (result, forgotten) = shard.with(|shard| {
            let mut forgotten = None;
            // Another caller may have brought it meanwhile.
            let mut place = shard.table.find(self.hash, |known| known.borrow() == self.key);
            if place.is_none()
                && let Some(key) = new.take()
            {
                let now = shard.steady.advance(read, &breakers.clock);
                match shard.add(&breakers.terms, breakers.capacity_of_shard(), (self.hash, key), now) {
                    Ok((added, for_it)) => (place, forgotten) = (Some(added), for_it),
                    Err(Full { key, left }) => {
                        new = Some(key);
                        full = BreakerError::TableFull { capacity, retry_after: left.map(duration) };
                    }
                }
            }
            let act = |machine: &mut Machine<T, B>, time: &mut Time<'_, P::Clock>| Self::noting(machine, time, act);
            let result = place.and_then(|place| shard.with(&breakers.terms, place, (&breakers.clock, Some(read)), act));
            (result, forgotten)
        });
        let (result, change) = result.ok_or(full)?;
        Ok((result, Owed { change, _dropped: (new, forgotten) }))
    }

    fn pay(&self, Owed { change, _dropped }: Owed<K, T, B>) {
        self.tell_change(change);
    }
}

/// What is owed outside the lock.
struct Owed<K, T: Trip, B: Backoff> {
    change: Change,
    /// What is not used of a new key, and what was forgotten for it.
    _dropped: (Option<K>, Forgotten<K, T, B>),
}

impl<P, K, T, B, J, S, H, O, Q, const SHARDS: usize> Circuit for OfKey<'_, KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>, Q>
where
    P: Platform,
    K: Borrow<Q>,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<KeyedEvent<K>>,
    Q: Hash + Eq + ToKey<K> + ?Sized,
{
    type Judge = J;

    fn judge(&self) -> &J {
        &self.breakers.judge
    }

    fn admit(&self) -> Result<Ticket, BreakerError> {
        let terms = &self.breakers.terms;
        let mut next = None;
        let error = loop {
            let changed = self.change_or_add(|machine, time| {
                let admitted = machine.admit(terms, || time.now(), next);
                let flow = if let Ok(Ok(_)) = admitted { Flow::Began } else { Flow::Neither };
                (admitted, flow)
            });
            match changed {
                Ok((Ok(Ok(epoch)), owed)) => {
                    let ticket = terms.stamp(epoch, &self.breakers.clock);
                    Permit::holding(self, ticket, || self.pay(owed));
                    return Ok(ticket);
                }
                Ok((Ok(Err(rejected)), owed)) => {
                    self.pay(owed);
                    break rejected.into();
                }
                Ok((Err(last), owed)) => {
                    self.pay(owed);
                    next = Some(terms.draw(last, P::random));
                }
                Err(error) => break error,
            }
        };
        if error.is_rejected() {
            self.tell(Event::Rejected { retry_after: error.retry_after() });
        }
        Err(error)
    }

    fn begin(&self, ticket: Ticket) -> Ticket {
        self.breakers.terms.stamp(ticket.epoch, &self.breakers.clock)
    }

    fn settle(&self, ticket: Ticket, failed: bool) {
        let terms = &self.breakers.terms;
        let (call, read) = terms.ended(ticket, failed, &self.breakers.clock);
        let mut next = None;
        // A key of which a call is under way is not forgotten, and it is until its end is on record.
        while let Some(Err(last)) = self.find(read, |machine, time| {
            let recorded = machine.record(terms, ticket.epoch, call, || time.now(), next);
            let flow = if recorded.is_ok() { Flow::Ended } else { Flow::Neither };
            (recorded, flow)
        }) {
            next = Some(Permit::holding(self, ticket, || terms.draw(last, P::random)));
        }
    }

    fn abandon(&self, ticket: Ticket) {
        let _known = self.find(None, |machine, _| {
            machine.abandon(ticket.epoch);
            ((), Flow::Ended)
        });
    }
}

/// The breaker of a key that it has itself, in a table that `C` points to.
#[derive(Debug)]
pub struct OfOwnedKey<C, K> {
    pub(super) breakers: C,
    pub(super) key: K,
    pub(super) hash: u64,
}

impl<P, K, T, B, J, S, H, O, C, const SHARDS: usize> OfOwnedKey<C, K>
where
    P: Platform,
    K: Hash + Eq + Clone,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<KeyedEvent<K>>,
    C: Deref<Target = KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>>,
{
    fn borrowed(&self) -> OfKey<'_, C::Target, K> {
        OfKey { breakers: &*self.breakers, key: &self.key, hash: self.hash }
    }
}

// The judge is lent for as long as the pointer is: of what it points to, the compiler has to know that it lasts.
impl<P, K, T, B, J, S, H, O, C, const SHARDS: usize> Circuit for OfOwnedKey<C, K>
where
    P: Platform + 'static,
    K: Hash + Eq + Clone,
    T: Trip + 'static,
    B: Backoff<State: Copy> + 'static,
    S: Storage + 'static,
    H: KeyHash + 'static,
    O: SharedObserver<KeyedEvent<K>> + 'static,
    C: Deref<Target = KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>>,
{
    type Judge = J;

    fn judge(&self) -> &J {
        &self.breakers.judge
    }

    fn admit(&self) -> Result<Ticket, BreakerError> {
        self.borrowed().admit()
    }

    fn begin(&self, ticket: Ticket) -> Ticket {
        self.borrowed().begin(ticket)
    }

    fn settle(&self, ticket: Ticket, failed: bool) {
        self.borrowed().settle(ticket, failed);
    }

    fn abandon(&self, ticket: Ticket) {
        self.borrowed().abandon(ticket);
    }
}
