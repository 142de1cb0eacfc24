//! How a cache answers what the futures ask.

use core::borrow::Borrow;
use core::hash::Hash;
use core::mem::{needs_drop, replace};
use core::task::Waker;
use core::time::Duration;

use super::event::{Event, Removal};
use super::serve::{Entered, EnteredOf, Looked, LookedOf, Serve, ServeBy};
use super::settings::Cache;
use super::shard::{Gone, Look, New, Reading, Shard};
use super::store::Displaced;
use crate::key::{KeyHash, ToKey, hash, shard_of};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::FlightError;
use crate::storage::Storage;
use crate::sync::flights::{Boarded, Flights, Ticket};
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
    // Out of line, and by itself: what it returns fits in registers where a value does, and few are pushed for it.
    #[inline(never)]
    fn hit(&self, key: &Q, reading: Reading, looked: &mut Option<LookedOf<Self>>) -> Option<Result<V, E>> {
        // The clock first: its reading waits for all before it, and lets nothing behind it begin.
        let (at, hash, rules) = (self.read(), Self::hash(key), &self.settings.rules);
        // A key that owns nothing costs nothing: it is there if this caller is to fetch, and the lock is taken once.
        let new = if needs_drop::<K>() { None } else { Some(key.to_key()) };
        let unfresh = &mut *looked;
        let found = self.with_shard(hash, move |shard| {
            let now = self.now(shard, at);
            match shard.hit(rules, hash, |known| known.borrow() == key, now) {
                Ok(outcome) => Some(outcome),
                Err(known) => {
                    let (mut new, looked) = (new, unfresh.insert(Looked::new(hash, at)));
                    self.look(shard, known, key, &mut new, now, reading, looked);
                    None
                }
            }
        });
        match found {
            Some(Some(outcome)) => {
                self.observer.observe(&Event::Hit);
                Some(outcome)
            }
            Some(None) => None,
            None => {
                *looked = Some(Looked::new(hash, at));
                None
            }
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn enter(&self, looked: &mut LookedOf<Self>, key: &Q, waker: &Waker) -> Result<EnteredOf<Self>, FlightError> {
        let Looked { ref mut look, hash, at, .. } = *looked;
        let instead = |error| {
            let value = self.answer_for(key, hash, at, error)?;
            Ok(Entered::Served(Ok(value)))
        };
        match replace(look, Look::Full) {
            Look::Served { outcome, is_stale, is_due } => {
                self.observer.observe(&if is_stale { Event::Stale } else { Event::Hit });
                Ok(if is_due { Entered::Due { outcome, hash } } else { Entered::Served(outcome) })
            }
            Look::Fetched => self.join(key, hash, at, waker, true).or_else(instead),
            Look::Absent => self.join(key, hash, at, waker, false).or_else(instead),
            Look::Full => instead(FlightError::Full { capacity: self.fetches() }),
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
        self.answer_for(key, Self::hash(key), self.read(), error)
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
        known: Option<S::Link>,
        key: &Q,
        new: &mut Option<K>,
        now: Instant,
        reading: Reading,
        looked: &mut LookedOf<Self>,
    ) where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let look = shard.look(&self.settings.rules, looked.hash, known, |known| known.borrow() == key, now, reading);
        if matches!(look, Look::Absent) && new.is_some() && self.checked().is_ok() {
            looked.ticket = shard.lead(looked.hash, new, self.flight_limits());
        } else {
            looked.look = look;
        }
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
    ) -> Result<EnteredOf<Self>, FlightError>
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
                    Boarded::Follows(place) => return Ok(Entered::Follows(place)),
                    Boarded::QueueFull(waiting) => return Err(FlightError::QueueFull { waiting }),
                    // It has arrived just now, or is taken over. Without a key, none is begun.
                    Boarded::Unlisted | Boarded::Leads(_) | Boarded::Full => {}
                }
            }
            // What was not there a moment ago may be there now.
            let (mut new, mut looked) = (Some(key.to_key()), Looked::new(hash, read));
            self.with_shard(hash, |shard| {
                let (now, known) = (self.now(shard, read), shard.find(hash, |known| known.borrow() == key));
                self.look(shard, known, key, &mut new, now, Reading::Again, &mut looked);
            });
            if let Some(ticket) = looked.ticket {
                return Ok(Entered::Leads(ticket));
            }
            match looked.look {
                Look::Served { outcome, .. } => {
                    self.tell_of_miss(false);
                    return Ok(Entered::Served(outcome));
                }
                Look::Fetched => is_fetched = true,
                Look::Absent | Look::Full => return Err(full),
            }
        }
    }

    /// What a call ends with that is late, or for which there is no room.
    fn answer_for<Q>(&self, key: &Q, hash: u64, read: Instant, error: FlightError) -> Result<V, FlightError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let rules = &self.settings.rules;
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
}
