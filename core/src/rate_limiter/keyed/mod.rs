mod calls;
mod crowds;
mod give_back;
mod reserve;
mod serve;
mod shard;

use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;

pub use self::serve::Own;
use self::shard::Shard;
use super::algorithm::{Algorithm, FixedWindow, SlidingCounter, SlidingWindow, TokenBucket};
use super::event::Event;
use super::line::Limits;
use super::rate::Rate;
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash};
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::storage::{DEFAULT_KEYS, Storage, keys};
use crate::sync::Shared;

/// A limiter for each key: a client's address, a user, a topic. Each has permits of its own, and a queue of its own.
///
/// Keys lie in a table of fixed [`capacity`](KeyedRateLimiter::capacity). A new key takes the place of one whose permits are all there again, since nothing is lost with that; if there is none, it is refused: never is there a free pass. A look-up takes constant time, and so does a
/// permit; finding a key to forget takes a little more, at most once for each use of a key since it was last looked at: after the rate has been changed, or where all have been used, one newcomer may look through the whole shard, and one that makes the table grow moves it.
///
/// The table is divided into `SHARDS` with a lock each, and room for an equal part of the keys each. On servers, take some four times as many as there are threads. Everything else is as with a [`RateLimiter`](super::RateLimiter).
///
/// Under its lock it compares keys (`Eq`); it hashes, clones and drops them outside. It is asked by reference to anything that the key can be [borrowed](core::borrow::Borrow) as, and makes a [key](crate::key::ToKey) of it when it is new.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use std::net::{IpAddr, Ipv4Addr};
///
/// static CLIENTS: KeyedRateLimiter<IpAddr> = checked!(KeyedRateLimiter::new(Rate::per_second(2)).capacity(10_000));
///
/// fn admit(client: IpAddr) -> Result<(), u16> {
///     match CLIENTS.try_acquire(&client, 1) {
///         Ok(_) => Ok(()),
///         Err(_) => Err(429),
///     }
/// }
///
/// aplomb_sim::block_on(async {
///     let (ann, bob) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
///     assert_eq!([admit(ann), admit(ann), admit(ann)], [Ok(()), Ok(()), Err(429)]);
///     assert_eq!(admit(bob), Ok(()));
/// });
/// ```
pub struct KeyedRateLimiter<
    P: Platform,
    K,
    A: Algorithm + Copy = TokenBucket,
    S: Storage = <P as Platform>::Storage,
    H = FoldHash,
    const SHARDS: usize = 1,
    O = Silent,
> {
    clock: P::Clock,
    algorithm: A,
    limits: Limits,
    /// Unless it is what there is room for.
    capacity: Option<usize>,
    /// What is wrong with the configuration, as far as it is known at compile time.
    error: Option<ConfigError>,
    shards: [Shared<P::RawMutex, Shard<K, A, S>>; SHARDS],
    hash: PhantomData<fn() -> H>,
    observer: O,
}

impl<P: Platform<Clock: Ambient>, K> KeyedRateLimiter<P, K> {
    /// A full [`TokenBucket`] for each key, which fills at this rate, and holds as many permits as come in one `per`.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        let bucket = TokenBucket::new(rate);
        Self::made(Ambient::CLOCK, bucket, bucket.config_error())
    }

    /// A full [`TokenBucket`] for each key, which fills at this rate, and holds `burst` permits.
    #[must_use]
    pub const fn with_burst(rate: Rate, burst: u32) -> Self {
        let bucket = TokenBucket::new(rate).burst(burst);
        Self::made(Ambient::CLOCK, bucket, bucket.config_error())
    }
}

impl<P: Platform<Clock: Ambient>, K> KeyedRateLimiter<P, K, FixedWindow> {
    /// So many permits in each window, by [`FixedWindow`].
    #[must_use]
    pub const fn fixed_window(rate: Rate) -> Self {
        let rule = FixedWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform<Clock: Ambient>, K> KeyedRateLimiter<P, K, SlidingWindow<<P as Platform>::Storage>> {
    /// So many permits in any stretch of time, exactly, by [`SlidingWindow`]. Each key has a log of its own.
    #[must_use]
    pub const fn sliding_window(rate: Rate) -> Self {
        let rule = SlidingWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform<Clock: Ambient>, K> KeyedRateLimiter<P, K, SlidingCounter> {
    /// So many permits in any stretch of time, nearly, by [`SlidingCounter`].
    #[must_use]
    pub const fn sliding_counter(rate: Rate) -> Self {
        let rule = SlidingCounter::new(rate);
        Self::made(Ambient::CLOCK, rule, rule.config_error())
    }
}

impl<P: Platform, K, A: Algorithm + Copy, S: Storage, H, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS> {
    /// By any rule, one of one's own included, on a clock that is held in hand. What is wrong with the rule is told by the first call.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, algorithm: A) -> Self {
        Self::made(clock, algorithm, None)
    }

    const fn made(clock: P::Clock, algorithm: A, error: Option<ConfigError>) -> Self {
        let shards = Self::vacant();
        Self { clock, algorithm, limits: Limits::NONE, capacity: None, error, shards, hash: PhantomData, observer: Silent }
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, K, A: Algorithm + Copy, S: Storage, H, const SHARDS: usize, O: Copy>
    KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
{
    /// Divides the table into `N` shards with a lock each, at least 1. Default: one. On servers, take some four times as many as there are threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let users = KeyedRateLimiter::<String>::new(Rate::per_second(1)).shards::<16>().capacity(100_000);
    /// # aplomb_sim::block_on(async {
    /// assert!(users.try_acquire("ann", 1).is_ok() && users.try_acquire("ann", 1).is_err());
    /// # });
    /// ```
    #[must_use]
    pub const fn shards<const N: usize>(self) -> KeyedRateLimiter<P, K, A, S, H, N, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Keeps keys and callers in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of each in each shard, reservations that have not come to their end among the callers. Default: the platform's storage.
    #[must_use]
    pub const fn storage<T: Storage>(self) -> KeyedRateLimiter<P, K, A, T, H, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Finds keys by another hash. Default: [`FoldHash`].
    #[must_use]
    pub const fn hasher<H2: KeyHash>(self) -> KeyedRateLimiter<P, K, A, S, H2, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// As [`RateLimiter::observed_by`](super::RateLimiter::observed_by). Of which key it is, is not told.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::key::FoldHash;
    /// use aplomb::rate_limiter::{Event, TokenBucket};
    /// use aplomb_sim::prelude::*;
    ///
    /// fn log(event: &Event) { println!("{event:?}"); }
    ///
    /// static USERS: KeyedRateLimiter<u32, TokenBucket, Heap, FoldHash, 16, fn(&Event)> =
    ///     checked!(KeyedRateLimiter::new(Rate::per_second(10)).shards().observed_by(log as fn(&Event)));
    /// # aplomb_sim::block_on(async { drop(USERS.try_acquire(&7, 1)) });
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> KeyedRateLimiter<P, K, A, S, H, SHARDS, V> {
        self.with(observer)
    }

    const fn with<T: Storage, H2, const N: usize, V>(self, observer: V) -> KeyedRateLimiter<P, K, A, T, H2, N, V> {
        let Self { clock, algorithm, limits, capacity, error, .. } = self;
        // It has no keys yet, and a `const fn` drops nothing.
        forget(self);
        let shards = KeyedRateLimiter::<P, K, A, T, H2, N>::vacant();
        KeyedRateLimiter { clock, algorithm, limits, capacity, error, shards, hash: PhantomData, observer }
    }
}

impl<P: Platform, K, A: Algorithm + Copy, S: Storage, H, O, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS, O> {
    /// How many keys there is room for, unless said otherwise, if the storage has room for so many.
    pub const DEFAULT_CAPACITY: usize = DEFAULT_KEYS;

    const fn vacant() -> [Shared<P::RawMutex, Shard<K, A, S>>; SHARDS] {
        const { assert!(SHARDS > 0, "a table has at least one shard") };
        [const { Shared::new(Shard::NEW) }; SHARDS]
    }

    /// How many keys there is room for; at least 1, and no more than the storage has room for. Default: three quarters of what the storage has room for, and at most [65,536](KeyedRateLimiter::DEFAULT_CAPACITY).
    ///
    /// Of several shards, each has room for its part, rounded up, and so for one key at least; one may be full while others are not. In place, where the capacity comes near to the storage's, a look-up for a key that is not there goes through more and more of the table, and through all of it
    /// if it is full.
    ///
    /// On the heap, memory is taken as keys come, a quarter more of a shard's table at a time. Each key takes one and a quarter to one and two thirds times the size of the key, what was taken, and 9 bytes.
    #[must_use]
    pub const fn capacity(mut self, keys: usize) -> Self {
        self.capacity = Some(keys);
        self
    }

    /// How many calls of each key run at once. As [`RateLimiter::max_concurrent`](super::RateLimiter::max_concurrent).
    #[must_use]
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.limits.max_concurrent = calls;
        self
    }

    /// How many callers may wait for each key. As [`RateLimiter::max_waiting`](super::RateLimiter::max_waiting): on the heap, set it.
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.limits.max_waiting = callers;
        self
    }

    /// For how many keys there is room in all.
    #[inline]
    const fn keys(&self) -> usize {
        // In place, some slots are left free, without which who is not there would be looked for everywhere.
        keys(self.capacity, const { (S::CAPACITY - S::CAPACITY / 4).saturating_mul(SHARDS) })
    }

    pub(super) const fn table_error(&self) -> Option<ConfigError> {
        let (capacity, room) = (self.keys(), S::CAPACITY.saturating_mul(SHARDS));
        if capacity == 0 || capacity > room {
            return Some(ConfigError::Capacity { value: capacity, most: room });
        }
        self.limits.config_error::<S>()
    }

    /// What is wrong with it, if anything is: [`check`](KeyedRateLimiter::check), for code that is evaluated at compile time. Of a rule that came [by hand](KeyedRateLimiter::with_clock) it knows nothing: a trait has no `const fn`s, and so [`check`](KeyedRateLimiter::check) sees more.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = match self.error {
            Some(error) => Some(error),
            None => self.table_error(),
        };
        // It has no keys yet, and a `const fn` drops nothing.
        forget(self);
        error
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
    /// let refused = KeyedRateLimiter::<String>::new(Rate::per_second(5)).capacity(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "capacity is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.algorithm.config_error().or(self.table_error()).map_or(Ok(self), Err)
    }
}

impl<P, K, A, S, H, O, const SHARDS: usize> fmt::Debug for KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter")
            .field("limits", &self.limits)
            .field("capacity", &self.keys())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P, K, A, S, H, O, const SHARDS: usize> defmt::Format for KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "KeyedRateLimiter {{ limits: {}, capacity: {}, len: {}, .. }}", self.limits, self.keys(), self.len());
    }
}
