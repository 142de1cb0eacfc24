//! What is done with a key.

use core::borrow::Borrow;
use core::future::Future;
use core::hash::Hash;
use core::ops::Deref;

use super::KeyedCircuitBreaker;
use super::of_key::{OfKey, OfOwnedKey};
use super::shard::Flow;
use crate::backoff::Backoff;
use crate::circuit_breaker::error::BreakerError;
use crate::circuit_breaker::machine::{Forced, Machine};
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::run::Run;
use crate::circuit_breaker::state::{KeyedEvent, Snapshot, State};
use crate::circuit_breaker::trip::Trip;
use crate::key::{KeyHash, ToKey, hash};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::Clock;

impl<P, K, T, B, J, S, H, O, const SHARDS: usize> KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<KeyedEvent<K>>,
{
    /// Runs the operation if calls with that key go through, and counts how it ends.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreaker::run`](crate::CircuitBreaker::run), and [`BreakerError::TableFull`] if the key is new and all others are in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static TENANTS: KeyedCircuitBreaker<u32> = checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(5)));
    ///
    /// async fn load(tenant: u32) -> Result<u32, std::io::Error> { Ok(tenant * 2) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let loaded = TENANTS.run(&21, || load(21)).await?;
    /// # assert_eq!(loaded, 42);
    /// # Ok::<_, BreakerError<std::io::Error>>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn run<'b, Q, F, Fut, V, E>(&'b self, key: &'b Q, operation: F) -> Run<OfKey<'b, Self, Q>, F, Fut>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        Run::new(self.of(key), operation)
    }

    /// Leave to make one call with that key, for code that is no closure: whoever has it tells how that ended.
    ///
    /// # Errors
    ///
    /// As [`run`](KeyedCircuitBreaker::run).
    #[inline]
    pub fn permit<'b, Q>(&'b self, key: &'b Q) -> Result<Permit<OfKey<'b, Self, Q>>, BreakerError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Permit::of(self.of(key))
    }

    /// As [`permit`](KeyedCircuitBreaker::permit), of breakers that `this` points to, and with a key that the permit keeps: it goes wherever its owner goes.
    ///
    /// # Errors
    ///
    /// As [`run`](KeyedCircuitBreaker::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HOSTS: KeyedCircuitBreaker<String> = checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1)));
    ///
    /// # aplomb_sim::block_on(async {
    /// let permit = KeyedCircuitBreaker::permit_owned(&HOSTS, String::from("down.example")).unwrap();
    /// aplomb_sim::spawn("call", async move { permit.failure() }).await.unwrap();
    /// assert!(HOSTS.state("down.example").is_open());
    /// # });
    /// ```
    pub fn permit_owned<C: Deref<Target = Self>>(this: C, key: K) -> Result<Permit<OfOwnedKey<C, K>>, BreakerError>
    where
        P: 'static,
        K: Hash + Eq + Clone,
        T: 'static,
        B: 'static,
        S: 'static,
        H: 'static,
        O: 'static,
    {
        let hash = hash::<H, K>(P::hash_seed(), &key);
        Permit::of(OfOwnedKey { breakers: this, key, hash })
    }

    /// What the next call with that key would find.
    pub fn state<Q>(&self, key: &Q) -> State
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.snapshot(key).state
    }

    /// How the breaker of that key stands; as a new one, if it is not known. Looking is no use of it.
    pub fn snapshot<Q>(&self, key: &Q) -> Snapshot
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, read) = (hash::<H, Q>(P::hash_seed(), key), self.clock.now());
        let known = self.shard(hash).and_then(|shard| {
            shard.with(|shard| {
                let index = shard.table.find(hash, |known| known.borrow() == key)?;
                let now = shard.steady.advance(read, &self.clock);
                Some(shard.table.get_mut(index)?.value.machine.snapshot(&self.terms, now))
            })
        });
        known.unwrap_or_else(|| Machine::<T, B>::NEW.snapshot(&self.terms, read))
    }

    /// Rejects all calls with that key, until it is told otherwise. As [`CircuitBreaker::force_open`](crate::CircuitBreaker::force_open).
    ///
    /// # Errors
    ///
    /// [`BreakerError::TableFull`] if the key is new and all others are in use.
    pub fn force_open<Q>(&self, key: &Q) -> Result<(), BreakerError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        self.force(key, Forced::Open)
    }

    /// Closes the breaker of that key now. As [`CircuitBreaker::force_closed`](crate::CircuitBreaker::force_closed).
    ///
    /// # Errors
    ///
    /// [`BreakerError::TableFull`] if the key is new and all others are in use.
    pub fn force_closed<Q>(&self, key: &Q) -> Result<(), BreakerError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        self.force(key, Forced::Closed)
    }

    /// Lets all calls with that key through and counts none. As [`CircuitBreaker::disable`](crate::CircuitBreaker::disable).
    ///
    /// # Errors
    ///
    /// [`BreakerError::TableFull`] if the key is new and all others are in use.
    pub fn disable<Q>(&self, key: &Q) -> Result<(), BreakerError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        self.force(key, Forced::Disabled)
    }

    fn force<Q>(&self, key: &Q, state: Forced) -> Result<(), BreakerError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        self.of(key).make(|machine, _| {
            machine.force(state);
            Flow::Neither
        })
    }

    /// Makes the breaker of that key as new, if it is known. As [`CircuitBreaker::reset`](crate::CircuitBreaker::reset).
    pub fn reset<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        let _known = self.of(key).find(None, |machine, _| {
            machine.reset();
            ((), Flow::Neither)
        });
    }

    /// Forgets a key, unless a call with it is under way. Whether it was there, and is no more.
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = hash::<H, Q>(P::hash_seed(), key);
        let forgotten = self.shard(hash).and_then(|shard| {
            shard.with(|shard| {
                let index = shard.table.find(hash, |known| known.borrow() == key)?;
                shard.forget(index)
            })
        });
        forgotten.is_some()
    }
}

impl<P, K, T, B, J, S, H, O, const SHARDS: usize> KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
{
    pub(crate) fn of<'b, Q>(&'b self, key: &'b Q) -> OfKey<'b, Self, Q>
    where
        Q: Hash + ?Sized,
    {
        OfKey { breakers: self, key, hash: hash::<H, Q>(P::hash_seed(), key) }
    }
}
