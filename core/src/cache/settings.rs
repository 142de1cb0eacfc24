use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;
use core::ops::Deref;
use core::time::Duration;

use super::refreshes::Refreshes;
use super::rules::{Idle, Rules, is_early, shortened};
use super::shard::Shard;
use super::snapshot::Snapshot;
use super::store;
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash, per_shard};
use crate::observe::Silent;
use crate::platform::{Ambient, Platform};
use crate::ratio::Ratio;
use crate::storage::{DEFAULT_KEYS, Storage, keys, waiting_error};
use crate::sync::{Shared, flights};
use crate::time::{duration, nanos};
use crate::wide::divided;

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

    /// How many entries there is room for. At least 1, and no more than the storage has room for.
    ///
    /// Of several shards, each has room for its part, rounded up; one may be full while others are not. Where it is lowered after entries have come, they stay, and each that comes takes the place of one. On the heap, memory is taken as entries come, by [doubling](crate::cache#what-it-takes).
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.settings.capacity = Some(entries);
        self.note();
        self
    }

    /// How much all entries may weigh together, by [`weigh_by`](Cache::weigh_by). At least 1. Without it, each entry weighs 1. Of several shards, each has its part, rounded up; an entry that is heavier than that is not kept.
    #[must_use]
    pub const fn max_weight(mut self, weight: u64) -> Self {
        self.settings.max_weight = weight;
        self.note();
        self
    }

    /// How much an entry weighs: its bytes, mostly. Called once for each, outside the lock. An error that is kept weighs 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PAGES: Cache<String, Vec<u8>> = checked!(
    ///     Cache::new().max_weight(64 << 20).weigh_by(|url: &String, page: &Vec<u8>| (url.len() + page.len() + 100) as u32)
    /// );
    ///
    /// PAGES.insert("/".into(), vec![0; 1_000]);
    /// assert_eq!(PAGES.snapshot().weight, 1_101);
    /// ```
    #[must_use]
    pub const fn weigh_by(mut self, weigh: fn(&K, &V) -> u32) -> Self {
        self.settings.weigh_by = Some(weigh);
        self
    }

    /// How long a value is good after it was stored: it is fresh while `now < stored + ttl`. A fetch counts as stored when it has ended, and one that is [ready at once](crate::cache#what-it-promises), when it was asked for. Zero is legal: then only those who ask at the same time share a value. What is longer than 31 years is for ever.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.rules.ttl = nanos(ttl);
        self.note();
        self.settings.rules.is_timed |= nanos(ttl) < u64::MAX;
        self
    }

    /// How long each value is good, instead of one [`ttl`](Cache::ttl) for all. Called once for each, outside the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Token { secret: u64, expires_in: u64 }
    ///
    /// static TOKENS: Cache<u32, Token, &str> = checked!(Cache::new().ttl_by(|_, token: &Token| secs(token.expires_in)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let issue = || async { Ok(Token { secret: 42, expires_in: 3_600 }) };
    ///     assert_eq!(TOKENS.get(&1, issue).await.unwrap().secret, 42);
    ///     aplomb_sim::sleep(secs(3_600)).await;
    ///     assert!(TOKENS.peek(&1).is_none());
    /// });
    /// ```
    #[must_use]
    pub const fn ttl_by(mut self, ttl: fn(&K, &V) -> Duration) -> Self {
        self.settings.ttl_by = Some(ttl);
        self.note();
        self.settings.rules.is_timed = true;
        self
    }

    /// Shortens the TTL of each value by a random share of it, at most this one: what was stored together does not end together. At most 1. Default: 0.
    #[must_use]
    pub const fn ttl_jitter(mut self, share: Ratio) -> Self {
        self.settings.rules.ttl_jitter = share;
        self.settings.rules.shortened = if share.is_zero() { None } else { Some(shortened::<P>) };
        self.note();
        self
    }

    /// How long an error is kept and answered with, so that what fails is not asked at every call. An old value that is served [stale](Cache::stale_while_revalidate), or [in its place](Cache::stale_if_error), is not displaced by an error, and is asked for anew at each read: put a [breaker](crate::circuit_breaker) around the fetch there. Default: 0, not at all.
    #[must_use]
    pub const fn error_ttl(mut self, ttl: Duration) -> Self {
        self.settings.rules.error_ttl = nanos(ttl);
        self.note();
        self.settings.rules.is_timed |= !ttl.is_zero();
        self
    }

    /// How long an entry lives after it was read or stored last, beside its TTL: whichever is over first. What [answers for a fetch that fails](Cache::stale_if_error) is read by that. It ends to the nanosecond; where it is set, a TTL and a [window](Cache::stale_while_revalidate) after it end up to a 65,536th of themselves sooner, and never later.
    #[must_use]
    pub const fn time_to_idle(mut self, idle: Duration) -> Self {
        self.settings.rules.time_to_idle = nanos(idle);
        self.settings.rules.idle = if nanos(idle) < u64::MAX { Some(Idle::KEPT) } else { None };
        self.settings.rules.is_timed |= nanos(idle) < u64::MAX;
        self.settings.rules.is_plain &= nanos(idle) == u64::MAX;
        self
    }

    /// How long before its end a read has an entry fetched anew, by a [refresher](Cache::run) or the [reader](Cache::get_with_refresh), while it is still fresh and served at once: so what is asked for steadily never ends. As Caffeine's `refreshAfterWrite`, counted from the end. Less than the TTL, its [jitter](Cache::ttl_jitter) taken off, if that is one for all: one that is due at once is fetched anew at each read. Default: 0, not before.
    #[must_use]
    pub const fn refresh_ahead(mut self, lead: Duration) -> Self {
        self.settings.rules.refresh_ahead = nanos(lead);
        self.note();
        self.settings.rules.is_plain &= lead.is_zero();
        self
    }

    /// Has a read fetch an entry anew before its end, as if by chance: the sooner the end and the longer its fetch took, the more likely; so that of many readers one is early, and none late. It is `XFetch` (Vattani, Chierichetti, Lowenstein, 2015), with the mean of what fetches of its shard took lately, each counted as an eighth of the TTL at most; the share is its *beta*, which is mostly 1; more is earlier. Default: 0, never.
    ///
    /// Who fetches is as with [`refresh_ahead`](Cache::refresh_ahead).
    #[must_use]
    pub const fn early_refresh(mut self, beta: Ratio) -> Self {
        self.settings.rules.early_refresh = beta;
        self.settings.rules.is_early = if beta.is_zero() { None } else { Some(is_early::<P>) };
        self.note();
        self.settings.rules.is_timed |= !beta.is_zero();
        self.settings.rules.is_plain &= beta.is_zero();
        self
    }

    /// How long after its end a value is still served at once, while a [refresher](Cache::run) or the [reader](Cache::get_with_refresh) fetches it anew (RFC 5861).
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.settings.rules.stale_while_revalidate = nanos(window);
        self.note();
        self
    }

    /// How long after its end a value still answers instead of a fetch that fails (RFC 5861).
    ///
    /// The service is asked at each read all the same, by one caller at a time for each key. To leave it alone while it is down, put a circuit breaker into the fetch.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PRICES: Cache<&str, u32, &str> = checked!(Cache::new().ttl(secs(10)).stale_if_error(secs(600)));
    ///
    /// aplomb_sim::block_on(async {
    ///     PRICES.insert("EUR", 109);
    ///     aplomb_sim::sleep(secs(60)).await;
    ///     assert_eq!(PRICES.get(&"EUR", || async { Err("no route to host") }).await, Ok(109));
    /// });
    /// ```
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.settings.rules.stale_if_error = nanos(window);
        self
    }

    /// How many keys are fetched at once; a caller that would have to fetch another one ends at once, with [`FlightError::Full`](crate::FlightError::Full). At least 1, and no more than the [flight storage](Cache::flight_storage) has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn max_fetches(mut self, keys: usize) -> Self {
        self.settings.max_fetches = Some(keys);
        self.note();
        self
    }

    /// How many callers may wait for another one's fetch; the next one ends at once, with [`FlightError::QueueFull`](crate::FlightError::QueueFull). Zero is legal; no more than the [flight storage](Cache::flight_storage) has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.settings.max_waiting = callers;
        self.note();
        self
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

    /// What a shard has room for.
    #[inline]
    pub(super) fn limits(&self) -> store::Limits {
        let Settings { max_weight, weigh_by, .. } = self.settings;
        let capacity = self.entries().div_ceil(SHARDS).min(S::CAPACITY);
        let is_shared_out = SHARDS > 1 && max_weight != u64::MAX;
        let max_weight = if is_shared_out { Self::share(max_weight) } else { max_weight };
        if weigh_by.is_some() {
            return store::Limits { capacity, max_weight };
        }
        // Each weighs 1: so many.
        store::Limits { capacity: capacity.min(usize::try_from(max_weight).unwrap_or(usize::MAX)), max_weight: u64::MAX }
    }

    /// A shard's part, rounded up.
    #[inline]
    fn share(weight: u64) -> u64 {
        let (share, rest) = divided(weight, u64::try_from(SHARDS).unwrap_or(u64::MAX)).unwrap_or((0, 0));
        share.saturating_add(u64::from(rest > 0))
    }

    /// How many keys may be fetched at once in all.
    #[inline]
    pub(super) fn fetches(&self) -> usize {
        self.settings.max_fetches.unwrap_or(Self::FLIGHT_ROOM)
    }

    #[inline]
    pub(super) fn flight_limits(&self) -> flights::Limits {
        flights::Limits {
            flights: self.fetches().div_ceil(SHARDS).min(F::CAPACITY),
            waiting: per_shard::<SHARDS>(self.settings.max_waiting),
        }
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
