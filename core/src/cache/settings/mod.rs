//! A cache, and its settings.

mod lifetimes;
mod room;

use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;
use core::ops::Deref;
use core::time::Duration;

use super::refreshes::Refreshes;
use super::rules::Rules;
use super::shard::Shard;
use super::snapshot::Snapshot;
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash};
use crate::observe::Silent;
use crate::platform::{Ambient, Platform};
use crate::storage::{DEFAULT_KEYS, Storage, keys, waiting_error};
use crate::sync::Shared;
use crate::time::duration;

/// Values by key, each for as long as it is good; and of those who ask for one that is not there, one fetches it. The module [`cache`](crate::cache) tells what it promises.
///
/// Entries lie in `S`, in `SHARDS` parts with a lock each: on servers, take some four times as many as there are threads. Who fetches and who waits is kept in `F`. `E` is the error of a fetch; keys are found by the hash `H`; `O` is told of what goes on.
///
/// | setting | default |
/// | --- | --- |
/// | [`capacity`](Cache::capacity) | as many as `S` has room for, at most 65,536 |
/// | [`max_weight`](Cache::max_weight), [`weigh_by`](Cache::weigh_by) | each entry weighs 1, whatever its weight |
/// | [`ttl`](Cache::ttl), [`ttl_by`](Cache::ttl_by), [`ttl_jitter`](Cache::ttl_jitter) | for ever |
/// | [`time_to_idle`](Cache::time_to_idle) | for ever |
/// | [`error_ttl`](Cache::error_ttl) | errors are not kept |
/// | [`refresh_ahead`](Cache::refresh_ahead), [`early_refresh`](Cache::early_refresh) | not before its end |
/// | [`stale_while_revalidate`](Cache::stale_while_revalidate), [`stale_if_error`](Cache::stale_if_error) | not after its end |
/// | [`max_fetches`](Cache::max_fetches), [`max_waiting`](Cache::max_waiting) | as many as `F` has room for |
/// | [`observed_by`](Cache::observed_by) | nobody is told |
/// | [`storage`](Cache::storage), [`flight_storage`](Cache::flight_storage) | the platform's |
/// | [`shards`](Cache::shards), [`hasher`](Cache::hasher) | 1, [`FoldHash`] |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static USERS: Cache<u64, String, &str> = checked!(Cache::new().capacity(10_000).ttl(secs(60)));
///
/// async fn fetch_user(id: u64) -> Result<String, &'static str> { Ok(format!("user {id}")) }
///
/// aplomb_sim::block_on(async {
///     let user = USERS.get(&7, || fetch_user(7)).await?;
///     assert_eq!(user, "user 7");
///     assert_eq!(USERS.peek(&7).as_deref(), Some("user 7"));
///     Ok::<_, FlightError<&str>>(())
/// }).unwrap();
/// ```
pub struct Cache<
    P: Platform,
    K,
    V,
    E = Infallible,
    S: Storage = <P as Platform>::Storage,
    H = FoldHash,
    F: Storage = <P as Platform>::Storage,
    const SHARDS: usize = 1,
    O = Silent,
> {
    pub(crate) clock: P::Clock,
    pub(crate) settings: Settings<K, V>,
    pub(super) shards: [LockedShard<P, K, V, E, S, F>; SHARDS],
    pub(super) refreshes: Locked<P, Refreshes<K, F>>,
    pub(crate) observer: O,
    hash: PhantomData<fn() -> H>,
}

type Locked<P, T> = Shared<<P as Platform>::RawMutex, T>;
type LockedShard<P, K, V, E, S, F> = Apart<Locked<P, Shard<K, V, E, S, F>>>;

/// In cache lines of its own, where processors have such: so that threads that use neighbours do not wait for each other.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(super) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

pub(crate) struct Settings<K, V> {
    pub(super) rules: Rules,
    /// Unless it is what there is room for.
    pub(crate) capacity: Option<usize>,
    max_weight: u64,
    /// Unless it is what there is room for.
    pub(crate) max_fetches: Option<usize>,
    pub(crate) max_waiting: u32,
    /// Whether it keeps what a memoized function brings.
    pub(crate) is_memoized: bool,
    pub(super) weigh_by: Option<fn(&K, &V) -> u32>,
    pub(super) ttl_by: Option<fn(&K, &V) -> Duration>,
    /// What is wrong with them, if anything is.
    pub(crate) error: Option<ConfigError>,
}

impl<K, V> Clone for Settings<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Settings<K, V> {}

impl<P: Platform<Clock: Ambient>, K, V, E> Cache<P, K, V, E> {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(Ambient::CLOCK)
    }
}

impl<P: Platform<Clock: Ambient>, K, V, E> Default for Cache<P, K, V, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize> Cache<P, K, V, E, S, H, F, SHARDS> {
    /// An empty cache on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock) -> Self {
        let settings = Settings {
            rules: Rules::NONE,
            capacity: None,
            max_weight: u64::MAX,
            max_fetches: None,
            max_waiting: u32::MAX,
            is_memoized: false,
            weigh_by: None,
            ttl_by: None,
            error: None,
        };
        Self::made(clock, settings, Silent)
    }
}

/// Settings that change its type. Of a cache that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O: Copy>
    Cache<P, K, V, E, S, H, F, SHARDS, O>
{
    /// Keeps entries in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them in each shard. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::key::FoldHash;
    /// use aplomb_sim::prelude::*;
    /// use std::convert::Infallible;
    ///
    /// static CALIBRATION: Cache<u8, f32, Infallible, Inline<8>, FoldHash, Inline<2>> =
    ///     checked!(Cache::new().storage().flight_storage().ttl(secs(3_600)));
    /// ```
    #[must_use]
    pub const fn storage<T: Storage>(self) -> Cache<P, K, V, E, T, H, F, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Keeps who fetches and who waits in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of each in each shard. Default: the platform's storage.
    #[must_use]
    pub const fn flight_storage<T: Storage>(self) -> Cache<P, K, V, E, S, H, T, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Divides it into `N` shards with a lock each, at least 1. Default: one. On servers, take some four times as many as there are threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let users = Cache::new().capacity(1_000_000).ttl(secs(60)).shards::<16>();
    /// # aplomb_sim::block_on(async {
    /// let name = users.get(&7, || async { Ok::<_, &str>("ann") }).await;
    /// assert_eq!(name, Ok("ann"));
    /// # });
    /// ```
    #[must_use]
    pub const fn shards<const N: usize>(self) -> Cache<P, K, V, E, S, H, F, N, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Finds keys by another hash. Default: [`FoldHash`].
    #[must_use]
    pub const fn hasher<H2: KeyHash>(self) -> Cache<P, K, V, E, S, H2, F, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    pub(super) const fn with<T: Storage, H2, F2: Storage, const N: usize, L>(
        self,
        observer: L,
    ) -> Cache<P, K, V, E, T, H2, F2, N, L> {
        let (clock, settings) = (self.clock, self.settings);
        // It has no entries yet, and a `const fn` drops nothing.
        forget(self);
        Cache::made(clock, settings, observer)
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O> {
    /// How many entries there is room for, unless said otherwise, if the storage has room for so many.
    pub const DEFAULT_CAPACITY: usize = DEFAULT_KEYS;

    const ROOM: usize = S::CAPACITY.saturating_mul(SHARDS);

    /// For how many fetches, and for how many who wait for them.
    const FLIGHT_ROOM: usize = F::CAPACITY.saturating_mul(SHARDS);

    pub(crate) const fn made(clock: P::Clock, mut settings: Settings<K, V>, observer: O) -> Self {
        const { assert!(SHARDS > 0, "a table has at least one shard") };
        settings.error = Self::error_of(&settings);
        // Made where it goes: in place it is large, and a firmware's stack small.
        Self {
            clock,
            settings,
            shards: [const { Apart(Shared::new(Shard::NEW)) }; SHARDS],
            refreshes: Shared::new(Refreshes::new()),
            observer,
            hash: PhantomData,
        }
    }

    /// For how many entries there is room in all.
    pub(super) const fn entries(&self) -> usize {
        keys(self.settings.capacity, Self::ROOM)
    }

    /// Finds out what is wrong with the settings: as they are made, so that most of it happens before the program runs.
    pub(crate) const fn note(&mut self) {
        self.settings.error = Self::error_of(&self.settings);
    }

    const fn error_of(settings: &Settings<K, V>) -> Option<ConfigError> {
        let (Settings { rules, max_weight, max_waiting, .. }, capacity) = (settings, keys(settings.capacity, Self::ROOM));
        if capacity == 0 || capacity > Self::ROOM {
            return Some(ConfigError::Capacity { value: capacity, most: Self::ROOM });
        }
        if *max_weight == 0 {
            return Some(ConfigError::MaxWeight { value: *max_weight });
        }
        if let Some(value) = settings.max_fetches
            && (value == 0 || value > Self::FLIGHT_ROOM)
        {
            return Some(ConfigError::MaxFetches { value, most: Self::FLIGHT_ROOM });
        }
        if let Some(error) = waiting_error(*max_waiting, Self::FLIGHT_ROOM) {
            return Some(error);
        }
        if settings.is_memoized
            && let Some(error) = rules.memoized_error()
        {
            return Some(error);
        }
        let ttl = rules.shortest_ttl();
        if rules.refresh_ahead > 0 && rules.refresh_ahead >= ttl && settings.ttl_by.is_none() {
            return Some(ConfigError::RefreshAhead { value: duration(rules.refresh_ahead), ttl: duration(ttl) });
        }
        rules.config_error()
    }

    /// What is wrong with it, if anything is: [`check`](Cache::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.settings.error;
        // It has no entries yet, and a `const fn` drops nothing.
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
    /// let refused = Cache::<u32, String>::new().capacity(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "capacity is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.settings.error.map_or(Ok(self), Err)
    }

    /// As [`check`](Cache::check), of one that is in use.
    #[inline]
    pub(super) fn checked(&self) -> Result<(), ConfigError> {
        self.settings.error.map_or(Ok(()), Err)
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> fmt::Debug
    for Cache<P, K, V, E, S, H, F, SHARDS, O>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { len, hits, misses, .. } = self.snapshot();
        f.debug_struct("Cache")
            .field("capacity", &self.entries())
            .field("len", &len)
            .field("hits", &hits)
            .field("misses", &misses)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> defmt::Format
    for Cache<P, K, V, E, S, H, F, SHARDS, O>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        let Snapshot { len, hits, misses, .. } = self.snapshot();
        defmt::write!(f, "Cache {{ capacity: {}, len: {}, hits: {}, misses: {}, .. }}", self.entries(), len, hits, misses);
    }
}
