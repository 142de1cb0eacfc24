//! How a cache answers what the futures ask.

use core::borrow::Borrow;
use core::convert::Infallible;
use core::hash::Hash;
use core::mem::needs_drop;
use core::task::Waker;
use core::time::Duration;

use super::event::{Event, Removal};
use super::serve::{Arrival, Entered, Fetcher, Serve, ServeBy, WaitKey};
use super::settings::Cache;
use super::shard::{Arrived, Gone, Look, New, Reading, Shard, Terms};
use super::store::Displaced;
use crate::key::{KeyHash, ToKey, hash, shard_of};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::FlightError;
use crate::storage::Storage;
use crate::sync::flights::{Boarded, FlightTable, Flights, Role, Stands, Ticket};
use crate::time::{Clock, Instant, nanos};

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
{
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what it returns would go through memory, piece by piece")]
    pub(super) fn with_shard<R>(&self, hash: u64, act: impl FnOnce(&mut Shard<K, V, E, S, F>) -> R) -> Option<R> {
        self.shards.get(shard_of(hash, SHARDS)).map(|shard| shard.with(act))
    }

    /// The clock's reading, if anything gets old.
    #[inline]
    pub(super) fn read(&self) -> Instant {
        if self.settings.rules.is_timed { self.clock.now() } else { Instant::ORIGIN }
    }

    /// The present of a shard.
    #[inline]
    pub(super) fn now(&self, shard: &mut Shard<K, V, E, S, F>, read: Instant) -> Instant {
        let read = match () {
            () if self.settings.rules.is_timed => read,
            () if shard.has_own_ttls => self.read_late(),
            () => return read,
        };
        shard.advance(&self.settings.rules, read, &self.clock)
    }

    #[cold]
    fn read_late(&self) -> Instant {
        self.clock.now()
    }

    /// What is to be kept of an outcome, if anything.
    pub(super) fn new_entry(&self, key: Option<&K>, outcome: Result<V, E>, ttl: Option<Duration>) -> Option<New<V, E>> {
        let rules = &self.settings.rules;
        let (ttl, weight) = match &outcome {
            Ok(value) => {
                let own = || key.and_then(|key| self.settings.ttl_by.map(|ttl_by| ttl_by(key, value)));
                let weight = key.and_then(|key| self.settings.weigh_by.map(|weigh_by| weigh_by(key, value)));
                let ttl = ttl.or_else(own).map_or(rules.ttl, nanos);
                (rules.shortened.map_or(ttl, |shortened| shortened(rules, ttl)), weight.unwrap_or(1))
            }
            Err(_) => (rules.error_ttl, 1),
        };
        if ttl == 0 && outcome.is_err() {
            return None;
        }
        Some(New { outcome, ttl, weight })
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
        hash::<H, Q>(P::hash_seed(), key)
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// Whether there is anybody to be told.
    pub(super) const fn listens() -> bool {
        <O as SharedObserver<Event<'_, K, V>>>::LISTENS
    }

    #[inline]
    pub(super) fn tell_removed(&self, key: &K, outcome: &Result<V, E>, cause: Removal) {
        self.observer.observe(&Event::Removed { key, value: outcome.as_ref().ok(), cause });
    }

    /// Drops what has been displaced, when it has been told.
    #[inline]
    pub(super) fn tell_displaced(&self, gone: &mut Gone<K, V, E>) {
        if let Some(Displaced { entry: (key, outcome), cause }) = gone.displaced.take() {
            self.tell_removed(&key, &outcome, cause);
        }
    }
}

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

    fn next_key(&self, waits: &mut Option<WaitKey<Self>>, waker: &Waker) -> Result<Option<K>, FlightError> {
        self.checked().map_err(FlightError::Config)?;
        let waker = waker.clone();
        let (key, _unused) = self.refreshes.with(|refreshes| refreshes.take(waits, waker));
        if key.is_none() && waits.is_none() {
            return Err(FlightError::QueueFull { waiting: u32::try_from(F::CAPACITY).unwrap_or(u32::MAX) });
        }
        Ok(key)
    }

    fn leave(&self, waits: WaitKey<Self>) {
        let (next, _unused) = self.refreshes.with(|refreshes| refreshes.leave(waits));
        if let Some(next) = next {
            next.wake();
        }
    }

    fn put_back(&self, key: K) {
        let most = self.entries();
        if let Ok(Some(waker)) = self.refreshes.with(|refreshes| refreshes.push(key, most)) {
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
            if let Some(cost) = cost {
                let ttl = new.as_ref().filter(|_| !has_failed).map_or(rules.ttl, |new| new.ttl);
                shard.learn_cost(cost, ttl);
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

impl<P, K, V, E, S, H, F, Q, const SHARDS: usize, O> ServeBy<Q> for Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    K: Borrow<Q> + Hash + Eq,
    V: Clone,
    E: Clone,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
    Q: Hash + Eq + ToKey<K> + ?Sized,
{
    #[inline(never)]
    fn enter(
        &self,
        key: &Q,
        waker: &Waker,
        reading: Reading,
        role: &mut Role<'_, Self>,
    ) -> Result<Entered<Result<V, E>>, FlightError> {
        // The clock first: its reading waits for all before it, and lets nothing behind it begin.
        let (read, hash, rules) = (self.read(), Self::hash(key), &self.settings.rules);
        // A key that owns nothing costs nothing: it is there if this caller is to fetch, and the lock is taken once.
        let mut new = if needs_drop::<K>() { None } else { Some(key.to_key()) };
        let looked = self.with_shard(hash, |shard| {
            let now = self.now(shard, read);
            match shard.hit(rules, hash, |known| known.borrow() == key, now) {
                Ok(outcome) => Look::Served { outcome, is_stale: false, is_due: false },
                Err(known) => self.look(shard, hash, known, key, &mut new, now, reading, role),
            }
        });
        let instead = |error| {
            let value = self.instead(key, error)?;
            Ok(Entered::Served(Ok(value)))
        };
        match looked {
            Some(Look::Leads) => Ok(Entered::Leads(read)),
            Some(Look::Served { outcome, is_stale, is_due }) => {
                self.observer.observe(&if is_stale { Event::Stale } else { Event::Hit });
                Ok(if is_due { Entered::Due { outcome, hash } } else { Entered::Served(outcome) })
            }
            Some(Look::Fetched) => self.join(key, hash, read, waker, true, role).or_else(instead),
            Some(Look::Absent) => self.join(key, hash, read, waker, false, role).or_else(instead),
            Some(Look::Full) | None => instead(FlightError::Full { capacity: self.fetches() }),
        }
    }

    fn lead_due(&self, hash: u64, key: &Q, begins: bool) -> Option<Ticket<F::Link>> {
        let (mut new, limits) = (Some(key.to_key()), self.flight_limits());
        self.with_shard(hash, |shard| {
            let led = shard.lead_if_nobody(hash, &mut new, |known| known.borrow() == key, limits);
            led.inspect(|ticket| shard.flights.set_begun(*ticket, begins))
        })?
    }

    fn queue(&self, hash: u64, key: &Q) {
        let (new, most) = (key.to_key(), self.entries());
        if self.with_shard(hash, |shard| shard.queue(hash, |known| known.borrow() == key)) != Some(true) {
            return;
        }
        match self.refreshes.with(|refreshes| refreshes.push(new, most)) {
            Ok(None) => {}
            Ok(Some(waker)) => waker.wake(),
            // The next reader tries again.
            Err(_key) => {
                self.with_shard(hash, |shard| shard.unqueue(hash, |known| known.borrow() == key));
            }
        }
    }

    fn instead(&self, key: &Q, error: FlightError) -> Result<V, FlightError> {
        let (hash, read, rules) = (Self::hash(key), self.read(), &self.settings.rules);
        let reserve = self.with_shard(hash, |shard| {
            let now = self.now(shard, read);
            shard.reserve(rules, hash, |known| known.borrow() == key, now)
        });
        let Some((value, is_stale)) = reserve.flatten() else {
            self.observer.observe(&Event::Rejected { reason: error });
            return Err(error);
        };
        match (is_stale, error) {
            (true, _) => self.observer.observe(&Event::StaleIfError),
            // Of one that is late, it has been told how it began.
            (false, FlightError::Deadline) => {}
            (false, _) => self.tell_of_miss(false),
        }
        Ok(value)
    }

    fn at_hand(&self, hash: u64, key: &Q) -> Option<V> {
        self.with_shard(hash, |shard| {
            let link = shard.find(hash, |known| known.borrow() == key)?;
            // Mostly there is nothing, and no age is asked for.
            let now = self.now(shard, self.read());
            shard.peek_at(&self.settings.rules, link, now)
        })?
    }

    fn to_key(&self, key: &Q) -> K {
        key.to_key()
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
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
    /// Reads what is not plainly fresh, or not there; and begins its fetch if nobody does, where its key is at hand: that is its role from now on.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "it goes on where the short way ends")]
    fn look<Q>(
        &self,
        shard: &mut Shard<K, V, E, S, F>,
        hash: u64,
        known: Option<S::Link>,
        key: &Q,
        new: &mut Option<K>,
        now: Instant,
        reading: Reading,
        role: &mut Role<'_, Self>,
    ) -> Look<V, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let look = shard.look(&self.settings.rules, hash, known, |known| known.borrow() == key, now, reading);
        if !matches!(look, Look::Absent) || new.is_none() || self.checked().is_err() {
            return look;
        }
        let Some(ticket) = shard.lead(hash, new, self.flight_limits()) else { return Look::Full };
        role.take(hash, Stands::Leads(ticket));
        Look::Leads
    }

    /// Joins who fetches a key, or fetches it.
    // Kept out of line, so that the way of who finds a value is short.
    #[inline(never)]
    fn join<Q>(
        &self,
        key: &Q,
        hash: u64,
        read: Instant,
        waker: &Waker,
        mut is_fetched: bool,
        role: &mut Role<'_, Self>,
    ) -> Result<Entered<Result<V, E>>, FlightError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        let limits = self.flight_limits();
        let full = FlightError::Full { capacity: self.fetches() };
        self.checked().map_err(FlightError::Config)?;
        loop {
            if is_fetched {
                let mut waker = Some(waker.clone());
                let boarded = self.with_table(hash, |table| {
                    // Who leads may never poll it, and nobody waits for that.
                    let forgotten = table.take_over(hash, |known| known.borrow() == key);
                    (table.board(hash, &mut None, |known| known.borrow() == key, &mut waker, limits), forgotten)
                });
                let (boarded, _forgotten) = boarded.ok_or(full)?;
                match boarded {
                    Boarded::Follows(place) => {
                        role.take(hash, Stands::Follows(place));
                        return Ok(Entered::Follows);
                    }
                    Boarded::QueueFull(waiting) => return Err(FlightError::QueueFull { waiting }),
                    // It has arrived just now, or is taken over. Without a key, none is begun.
                    Boarded::Unlisted | Boarded::Leads(_) | Boarded::Full => {}
                }
            }
            // What was not there a moment ago may be there now.
            let mut new = Some(key.to_key());
            let looked = self.with_shard(hash, |shard| {
                let (now, known) = (self.now(shard, read), shard.find(hash, |known| known.borrow() == key));
                self.look(shard, hash, known, key, &mut new, now, Reading::Again, role)
            });
            match looked {
                Some(Look::Leads) => return Ok(Entered::Leads(read)),
                Some(Look::Served { outcome, .. }) => {
                    self.tell_of_miss(false);
                    return Ok(Entered::Served(outcome));
                }
                Some(Look::Fetched) => is_fetched = true,
                Some(Look::Absent | Look::Full) | None => return Err(full),
            }
        }
    }
}
