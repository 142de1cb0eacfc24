use core::borrow::Borrow;
use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::mem::forget;

use super::call::Call;
use crate::cache::{Cache, Event, Snapshot};
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash, ToKey};
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;

/// A function of its key, whose values are kept. The module [`memoize`](crate::memoize) tells what it promises; the adapters' function `memoize` makes one.
///
/// | setting | default |
/// | --- | --- |
/// | [`capacity`](Memoize::capacity) | as many as `S` has room for, at most 65,536 |
/// | [`max_calls`](Memoize::max_calls), [`max_waiting`](Memoize::max_waiting) | as many as `F` has room for |
///
/// Everything else is a setting of the [cache](Memoize::kept_in) that they are kept in.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// async fn area(city: String) -> Result<u32, std::io::Error> { Ok(city.len() as u32) }
///
/// aplomb_sim::block_on(async {
///     let area = memoize(|city| async move { area(city).await.map_err(|error| error.kind()) }).capacity(100);
///     assert_eq!(area.call("Oslo").await, Ok(4));
///     assert_eq!(area.peek("Oslo"), Some(4));
/// });
/// ```
pub struct Memoize<
    P: Platform,
    A,
    K,
    V,
    E = Infallible,
    S: Storage = <P as Platform>::Storage,
    H = FoldHash,
    F: Storage = <P as Platform>::Storage,
    const SHARDS: usize = 1,
    O = Silent,
> {
    pub(super) function: A,
    pub(super) cache: Cache<P, K, V, E, S, H, F, SHARDS, O>,
}

impl<P: Platform<Clock: Ambient>, A, K, V, E> Memoize<P, A, K, V, E> {
    /// A function of which nothing is known yet.
    pub const fn new<Fut>(function: A) -> Self
    where
        A: Fn(K) -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        Self { function, cache: Cache::new() }
    }
}

impl<P: Platform, A, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Memoize<P, A, K, V, E, S, H, F, SHARDS, O> {
    /// A function whose values are kept in that cache: in its shards and its storage, for as long as its values live, and with its observer.
    ///
    /// Nobody fetches anew but who calls, and errors are not kept: [`stale_while_revalidate`](Cache::stale_while_revalidate), [`refresh_ahead`](Cache::refresh_ahead), [`early_refresh`](Cache::early_refresh) and [`error_ttl`](Cache::error_ttl) are refused, as [`ConfigError::Memoized`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn rate(currency: u32) -> Result<u32, &'static str> { Ok(currency + 1) }
    ///
    /// let rates = Memoize::kept_in(rate, Cache::new().ttl(secs(60)).shards::<16>());
    /// aplomb_sim::block_on(async {
    ///     assert_eq!(rates.call(&7).await, Ok(8));
    ///     aplomb_sim::sleep(secs(60)).await;
    ///     assert_eq!(rates.peek(&7), None);
    /// });
    /// ```
    #[must_use]
    pub const fn kept_in<Fut>(function: A, mut cache: Cache<P, K, V, E, S, H, F, SHARDS, O>) -> Self
    where
        A: Fn(K) -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        cache.settings.is_memoized = true;
        cache.note();
        Self { function, cache }
    }

    /// How many values are kept. As [`Cache::capacity`].
    #[must_use]
    pub const fn capacity(mut self, values: usize) -> Self {
        self.cache.settings.capacity = Some(values);
        self.cache.note();
        self
    }

    /// How many callers may wait for another one's call. As [`Cache::max_waiting`].
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.cache.settings.max_waiting = callers;
        self.cache.note();
        self
    }

    /// How many keys the function is called with at once; a caller that would have to call it with another one ends at once. As [`Cache::max_fetches`].
    #[must_use]
    pub const fn max_calls(mut self, keys: usize) -> Self {
        self.cache.settings.max_fetches = Some(keys);
        self.cache.note();
        self
    }

    /// What is wrong with it, if anything is: [`check`](Memoize::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.cache.settings.error;
        // Nothing is kept yet, and a `const fn` drops nothing.
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
    /// let refused = memoize(|n: u32| async move { Ok::<_, ()>(n + 1) }).capacity(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "capacity is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        Ok(Self { function: self.function, cache: self.cache.check()? })
    }

    /// How many values are kept, how often one was there, and how often the function was called.
    pub fn snapshot(&self) -> Snapshot {
        self.cache.snapshot()
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

impl<P, A, K, V, E, S, H, F, const SHARDS: usize, O> Memoize<P, A, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// The function's value for that key: the one that is kept; or else that of a call, one for all who ask at the same time.
    ///
    /// # Errors
    ///
    /// A clone of the function's own, as [`FlightError::Failed`](crate::FlightError::Failed); [`FlightError::Full`](crate::FlightError::Full) and [`FlightError::QueueFull`](crate::FlightError::QueueFull), at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let calls = std::cell::Cell::new(0);
    ///     let square = memoize(|n: u32| {
    ///         calls.set(calls.get() + 1);
    ///         async move { Ok::<_, ()>(n * n) }
    ///     });
    ///     assert_eq!(zip(square.call(&12), square.call(&12)).await, (Ok(144), Ok(144)));
    ///     assert_eq!(square.call(&12).await, Ok(144));
    ///     assert_eq!(calls.get(), 1);
    /// });
    /// ```
    #[allow(clippy::type_complexity, reason = "it is the function, the cache and the key")]
    pub const fn call<'q, Q, Fut>(&self, key: &'q Q) -> Call<'_, 'q, A, Cache<P, K, V, E, S, H, F, SHARDS, O>, Q, Fut>
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        A: Fn(K) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        V: Clone,
        E: Clone,
    {
        Call::new(&self.function, &self.cache, key)
    }

    /// Forgets all values.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let double = memoize(|n: u32| async move { Ok::<_, ()>(2 * n) });
    ///     assert_eq!(double.call(&4).await, Ok(8));
    ///     double.clear();
    ///     assert!(double.is_empty());
    /// });
    /// ```
    pub fn clear(&self) {
        self.cache.clear();
    }

    /// The value that is kept for that key, if one is. Nothing is called, and it does not count as a use.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.cache.peek(key)
    }

    /// Forgets the value for that key. It comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let double = memoize(|n: u32| async move { Ok::<_, ()>(2 * n) });
    ///     assert_eq!(double.call(&4).await, Ok(8));
    ///     assert_eq!(double.forget(&4), Some(8));
    ///     assert_eq!(double.peek(&4), None);
    /// });
    /// ```
    pub fn forget<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.invalidate(key)
    }
}

impl<P: Platform, A, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> fmt::Debug
    for Memoize<P, A, K, V, E, S, H, F, SHARDS, O>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memoize").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, A, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> defmt::Format
    for Memoize<P, A, K, V, E, S, H, F, SHARDS, O>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Memoize {{ cache: {}, .. }}", self.cache);
    }
}
