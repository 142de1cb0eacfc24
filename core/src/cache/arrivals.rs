//! How a cache takes in what fetches bring, and keeps the queue of those that are due.

use core::convert::Infallible;
use core::hash::Hash;
use core::task::Waker;

use super::event::Event;
use super::serve::{Arrival, Fetcher, Serve, Taken, WaitKey};
use super::settings::Cache;
use super::shard::{Arrived, Gone, Shard, Terms};
use crate::key::KeyHash;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::FlightError;
use crate::storage::Storage;
use crate::sync::flights::{FlightTable, Flights, Role, Ticket};
use crate::time::{Clock, Instant};

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Flights for Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    type Key = K;
    type Outcome = Result<V, E>;
    type Work = Infallible;
    type Storage = F;

    #[inline]
    fn with_table<R>(&self, hash: u64, act: impl FnOnce(&mut FlightTable<K, Result<V, E>, F, Infallible>) -> R) -> Option<R> {
        self.with_shard(hash, |shard| act(&mut shard.flights))
    }

    #[inline]
    fn tell_of_leaving(&self, is_handed_over: bool) {
        self.observer.observe(&if is_handed_over { Event::HandedOver } else { Event::Abandoned });
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Serve for Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    K: Hash + Eq,
    V: Clone,
    E: Clone,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    type Value = V;
    type Error = E;

    fn begin(&self) -> Instant {
        if self.settings.rules.needs_cost() || Self::listens() { self.clock.now() } else { Instant::ORIGIN }
    }

    #[inline]
    fn tell_of_miss(&self, fetches: bool) {
        self.observer.observe(&if fetches { Event::Missed } else { Event::Shared });
    }

    fn asks_for_keys(&self) -> bool {
        self.settings.ttl_by.is_some() || self.settings.weigh_by.is_some()
    }

    fn next_key(&self, waits: &mut Option<WaitKey<Self>>, waker: &Waker) -> Result<Option<Taken<'_, Self>>, FlightError> {
        self.checked().map_err(FlightError::Config)?;
        let waker = waker.clone();
        let (taken, unused) = self.refreshes.with(|refreshes| refreshes.take(waits, waker));
        let taken = taken.map(|(key, slot)| Taken::new(self, key, slot));
        // Where it panics, what was taken goes back.
        drop(unused);
        if taken.is_none() && waits.is_none() {
            return Err(FlightError::QueueFull { waiting: u32::try_from(F::CAPACITY).unwrap_or(u32::MAX) });
        }
        Ok(taken)
    }

    fn leave(&self, waits: WaitKey<Self>) {
        let (next, _unused) = self.refreshes.with(|refreshes| refreshes.leave(waits));
        if let Some(next) = next {
            next.wake();
        }
    }

    fn give_back(&self, slot: F::Link, key: Option<K>) {
        if let Some(waker) = self.refreshes.with(|refreshes| refreshes.give_back(slot, key)) {
            waker.wake();
        }
    }

    fn take_due(&self, key: &K) -> Option<u64> {
        let (hash, read, rules) = (Self::hash(key), self.read(), &self.settings.rules);
        let is_due = self.with_shard(hash, |shard| {
            let now = self.now(shard, read);
            shard.take_due(rules, hash, |known| known == key, now)
        })?;
        is_due.then_some(hash)
    }

    fn arrive(
        &self,
        role: &mut Role<'_, Self>,
        ticket: Ticket<F::Link>,
        fetcher: Fetcher,
        began: Instant,
        key: Option<K>,
        outcome: Result<V, E>,
    ) -> Arrival<Result<V, E>> {
        let (rules, limits, hash) = (&self.settings.rules, self.limits(), role.hash());
        let read = match fetcher {
            // How long it took is wanted.
            _ if Self::listens() => self.clock.now(),
            Fetcher::Caller { looked: Some(looked) } if !rules.needs_cost() => looked,
            _ => self.read(),
        };
        let cost = rules.needs_cost().then(|| read.as_nanos().saturating_sub(began.as_nanos()));
        let keeps = outcome.is_ok() || rules.error_ttl > 0;
        let mut new = if keeps { self.new_entry(key.as_ref(), outcome.clone(), None) } else { None };
        let (has_failed, answers) = (outcome.is_err(), matches!(fetcher, Fetcher::Caller { .. }));
        let mut gone = Gone::NOTHING;
        let mut arrive = |shard: &mut Shard<K, V, E, S, F>, gone: &mut Gone<K, V, E>| {
            let terms = Terms { rules, limits, now: self.now(shard, read) };
            if let (Some(key), Some(new)) = (&key, &new)
                && shard.flights.is_kept(ticket)
            {
                shard.make_room(terms, hash, key, new, gone);
                if gone.displaced.is_some() {
                    return None;
                }
            }
            if let (Some(cost), Some(new), false) = (cost, &new, has_failed) {
                shard.learn_cost(cost, new.ttl);
            }
            Some(shard.arrive(terms, hash, ticket, answers, has_failed, new.take(), gone))
        };
        // What makes room is dropped outside the lock, one by one.
        let Arrived { reserve, is_stale, awaited } = loop {
            match self.with_shard(hash, |shard| arrive(shard, &mut gone)) {
                Some(Some(arrived)) => break arrived,
                Some(None) => self.tell_displaced(&mut gone),
                None => return Arrival { outcome, instead: None, is_shared: false },
            }
        };
        let instead = reserve.map(Ok);
        let is_shared = role.hand_out(ticket, instead.as_ref().unwrap_or(&outcome), awaited);
        if Self::listens() {
            let took = read.saturating_duration_since(began);
            self.tell_displaced(&mut gone);
            self.observer.observe(&if has_failed { Event::Failed { took } } else { Event::Fetched { took } });
            if is_stale {
                self.observer.observe(&Event::StaleIfError);
            }
        }
        Arrival { outcome, instead, is_shared }
    }
}
