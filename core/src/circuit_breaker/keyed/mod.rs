mod calls;
mod of_key;
mod shard;

use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;

pub use self::of_key::{OfKey, OfOwnedKey};
use self::shard::{Locked, Shard};
use super::breaker::CircuitBreaker;
use super::judge::AnyError;
use super::machine::Terms;
use super::settings::{Parts, wrong};
use super::state::KeyedEvent;
use super::trip::{Consecutive, Sliding, Trip, Window};
use crate::backoff::{Backoff, Constant, Growth, Schedule, Spread};
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash, shard_of};
use crate::observe::{SharedObserver, Silent};
use crate::platform::Platform;
use crate::storage::{DEFAULT_KEYS, Storage, keys};
use crate::sync::Shared;

/// A breaker for each key: a host, a tenant, a device. One that is down is not called; the others are.
///
/// It is made of a [`CircuitBreaker`], whose terms hold for each; `O` is [told](KeyedCircuitBreaker::observed_by) what happens. Nobody can wait for a change of one key, which may be forgotten meanwhile. Keys lie in a table of fixed [`capacity`](KeyedCircuitBreaker::capacity). When it is full, a new key takes the place of one that nobody uses: of those that never failed the one that was used longest ago, else of those with failures on record (and, of a window of time, perhaps with such as have left it since the key was used),
/// else, of those that have opened, the one that may be tried again for longest. A key whose breaker is open, forced open or disabled, or of which a call is under way, is never forgotten; if there are none but such, the new one is refused: never is there a free pass.
///
/// The table is divided into `SHARDS` with a lock each, and room for an equal part of the keys each. On servers, take some four times as many as there are threads. Under its lock it compares keys (`Eq`); it hashes, clones and drops them outside. It is asked by reference to anything that the
/// key can be [borrowed](core::borrow::Borrow) as, and makes a [key](crate::key::ToKey) of it when it is new.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static HOSTS: KeyedCircuitBreaker<String> =
///     checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(3).open_for(secs(30))).capacity(10_000));
///
/// async fn fetch(host: &str) -> Result<usize, std::io::Error> {
///     if host == "down.example" { Err(std::io::ErrorKind::ConnectionRefused.into()) } else { Ok(host.len()) }
/// }
///
/// aplomb_sim::block_on(async {
///     for _ in 0..3 {
///         let _refused = HOSTS.run("down.example", || fetch("down.example")).await;
///     }
///     let rejected = HOSTS.run("down.example", || fetch("down.example")).await.unwrap_err();
///     assert_eq!(rejected.retry_after(), Some(secs(30)));
///     assert_eq!(HOSTS.run("up.example", || fetch("up.example")).await.unwrap(), 10);
/// });
/// ```
pub struct KeyedCircuitBreaker<
    P: Platform,
    K,
    T: Trip = Consecutive,
    B: Backoff = Constant,
    J = AnyError,
    S: Storage = <P as Platform>::Storage,
    H = FoldHash,
    const SHARDS: usize = 1,
    O = Silent,
> {
    clock: P::Clock,
    terms: Terms<T, B>,
    judge: J,
    observer: O,
    /// Unless it is what there is room for.
    capacity: Option<usize>,
    shards: [Locked<P, K, T, B, S>; SHARDS],
    hash: PhantomData<fn() -> H>,
}

impl<P, K, T, B, J, S> KeyedCircuitBreaker<P, K, T, B, J, S>
where
    P: Platform<Clock: Copy>,
    T: Trip + Copy,
    B: Backoff<State: Copy> + Copy,
    J: Copy,
    S: Storage,
{
    /// A breaker like that one for each key, in the same storage.
    #[must_use]
    pub const fn new(each: CircuitBreaker<P, T, B, J, S>) -> Self {
        let Parts { clock, terms, judge, .. } = each.parts();
        Self::made(clock, terms, judge, Silent, None)
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P, K, T, B, J, S, H, const SHARDS: usize, O> KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform<Clock: Copy>,
    T: Trip + Copy,
    B: Backoff<State: Copy> + Copy,
    J: Copy,
    S: Storage,
    O: Copy,
{
    /// Divides the table into `N` shards with a lock each, at least 1. Default: one. On servers, take some four times as many as there are threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let hosts = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(3)).shards::<16>();
    /// # aplomb_sim::block_on(async {
    /// let length = hosts.run(&7, || async { Ok::<_, std::io::Error>(42) }).await;
    /// assert_eq!(length.unwrap(), 42);
    /// # });
    /// ```
    #[must_use]
    pub const fn shards<const N: usize>(self) -> KeyedCircuitBreaker<P, K, T, B, J, S, H, N, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Finds keys by another hash. Default: [`FoldHash`].
    #[must_use]
    pub const fn hasher<H2: KeyHash>(self) -> KeyedCircuitBreaker<P, K, T, B, J, S, H2, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Tells `observer` what happens, and of which key, outside the lock: of two threads that change the state of a key one after the other, either may come first.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::backoff::Constant;
    /// use aplomb::circuit_breaker::{AnyError, Event, KeyedEvent};
    /// use aplomb::key::FoldHash;
    /// use aplomb_sim::prelude::*;
    ///
    /// type Told = fn(&KeyedEvent<String>);
    ///
    /// fn log(told: &KeyedEvent<String>) {
    ///     if let Event::Changed { to, .. } = told.event {
    ///         println!("{} is {to}", told.key);
    ///     }
    /// }
    ///
    /// static HOSTS: KeyedCircuitBreaker<String, Consecutive, Constant, AnyError, Heap, FoldHash, 1, Told> =
    ///     checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(3)).observed_by(log as Told));
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<KeyedEvent<K>>>(
        self,
        observer: V,
    ) -> KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, V> {
        self.with(observer)
    }

    const fn with<H2, const N: usize, V>(self, observer: V) -> KeyedCircuitBreaker<P, K, T, B, J, S, H2, N, V> {
        let Self { clock, terms, judge, capacity, .. } = self;
        // It has no keys yet, and a `const fn` drops nothing.
        forget(self);
        KeyedCircuitBreaker::made(clock, terms, judge, observer, capacity)
    }
}

impl<P, K, T, B, J, S, H, O, const SHARDS: usize> KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
{
    /// How many keys there is room for, unless said otherwise, if the storage has room for so many.
    pub const DEFAULT_CAPACITY: usize = DEFAULT_KEYS;

    const fn made(clock: P::Clock, terms: Terms<T, B>, judge: J, observer: O, capacity: Option<usize>) -> Self {
        const { assert!(SHARDS > 0, "a table has at least one shard") };
        let shards = [const { Shared::new(Shard::NEW) }; SHARDS];
        Self { clock, terms, judge, observer, capacity, shards, hash: PhantomData }
    }

    /// For how many keys there is room in all.
    const fn keys(&self) -> usize {
        // In place, some slots are left free, without which who is not there would be looked for everywhere.
        keys(self.capacity, const { (S::CAPACITY - S::CAPACITY / 4).saturating_mul(SHARDS) })
    }

    /// How many keys there is room for; at least 1, and no more than the storage has room for. Default: three quarters of what the storage has room for, and at most [65,536](KeyedCircuitBreaker::DEFAULT_CAPACITY).
    ///
    /// Of several shards, each has room for its part, rounded up; one may be full while others are not. On the heap, memory is taken as keys come, by doubling the table of a shard.
    #[must_use]
    pub const fn capacity(mut self, keys: usize) -> Self {
        self.capacity = Some(keys);
        self
    }

    const fn table_error(&self) -> Option<ConfigError> {
        let (capacity, room) = (self.keys(), S::CAPACITY.saturating_mul(SHARDS));
        if capacity == 0 || capacity > room {
            return Some(ConfigError::Capacity { value: capacity, most: room });
        }
        None
    }

    fn wrong(&self) -> Option<ConfigError> {
        self.terms.config_error().or(self.table_error())
    }

    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused = KeyedCircuitBreaker::<String>::new(CircuitBreaker::consecutive(5)).capacity(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "capacity is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.wrong().map_or(Ok(self), Err)
    }

    fn capacity_of_shard(&self) -> usize {
        self.keys().div_ceil(SHARDS).min(S::CAPACITY)
    }

    /// The shard of a hash: by bits of it that its table looks at last.
    #[inline]
    fn shard(&self, hash: u64) -> Option<&Locked<P, K, T, B, S>> {
        let index = shard_of(hash, SHARDS);
        self.shards.get(index)
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.with(|shard| shard.table.len())).sum()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! config_error {
    ([$($parameter:tt)*], $trip:ty) => {
        impl<P, K, $($parameter)* G, D, J, S, H, O, const SHARDS: usize>
            KeyedCircuitBreaker<P, K, $trip, Schedule<G, D>, J, S, H, SHARDS, O>
        where
            P: Platform,
            G: Growth<State: Copy>,
            D: Spread<Previous: Copy>,
            S: Storage,
        {
            /// What is wrong with it, if anything is: [`check`](KeyedCircuitBreaker::check), for code that is evaluated at compile time.
            #[must_use]
            pub const fn config_error(self) -> Option<ConfigError> {
                let terms = wrong(self.terms.trip.config_error(), self.terms.half_open, self.terms.open.open_error());
                let table = self.table_error();
                // It has no keys yet, and a `const fn` drops nothing.
                forget(self);
                if terms.is_some() { terms } else { table }
            }
        }
    };
}

config_error!([], Consecutive);
config_error!([W: Window,], Sliding<W>);

impl<P, K, T, B, J, S, H, O, const SHARDS: usize> fmt::Debug for KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreaker").field("capacity", &self.keys()).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P, K, T, B, J, S, H, O, const SHARDS: usize> defmt::Format for KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
{
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "KeyedCircuitBreaker {{ capacity: {}, len: {}, .. }}", self.keys(), self.len());
    }
}
