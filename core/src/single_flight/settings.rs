use core::borrow::Borrow;
use core::convert::Infallible;
use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;
use core::mem::forget;

use super::event::Event;
use crate::config::ConfigError;
use crate::key::{FoldHash, KeyHash, hash, per_shard};
use crate::observe::{SharedObserver, Silent};
use crate::platform::Platform;
use crate::storage::{DEFAULT_KEYS, Storage, keys, waiting_error};
use crate::sync::Shared;
use crate::sync::flights::{FlightTable, Flights, Limits};

/// Of concurrent calls with one key, one runs, and all have its result. The module [`single_flight`](crate::single_flight) tells what it promises.
///
/// `W` says what becomes of an operation whose caller is dropped: the next one [`Restarts`] it with its own, or it [`Survives`]. Flights lie in `S`, in `SHARDS` tables with a lock each; keys are found by the hash `H`; `O` is told of what goes on.
///
/// | setting | default |
/// | --- | --- |
/// | [`capacity`](SingleFlight::capacity) | 65,536 keys, or as many as `S` has room for |
/// | [`max_waiting`](SingleFlight::max_waiting) | as many as `S` has room for |
/// | [`observed_by`](SingleFlight::observed_by) | nobody is told |
/// | [`storage`](SingleFlight::storage), [`shards`](SingleFlight::shards), [`hasher`](SingleFlight::hasher) | the platform's, 1, [`FoldHash`] |
///
/// On 64-bit machines a call is its operation and 56 bytes. In place, room for one more key and one more caller that waits takes 82 bytes where a key and an outcome take 8 each, of operations that cannot fail.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use futures_lite::future::zip;
///
/// static PROFILES: SingleFlight<u64, String, &str> = SingleFlight::new();
///
/// async fn fetch(id: u64) -> Result<String, &'static str> { Ok(format!("profile {id}")) }
///
/// aplomb_sim::block_on(async {
///     let (one, other) = zip(PROFILES.run(&7, || fetch(7)), PROFILES.run(&7, || fetch(7))).await;
///     assert_eq!(one, Ok("profile 7".into()));
///     assert_eq!(one, other);
/// });
/// ```
pub struct SingleFlight<
    P: Platform,
    K,
    T,
    E = Infallible,
    W: Succession = Restarts,
    S: Storage = <P as Platform>::Storage,
    H = FoldHash,
    const SHARDS: usize = 1,
    O = Silent,
> {
    /// Unless it is what there is room for.
    capacity: Option<usize>,
    max_waiting: u32,
    pub(super) shards: [Shard<P, K, T, E, W, S>; SHARDS],
    pub(super) observer: O,
    hash: PhantomData<fn() -> H>,
}

type Shard<P, K, T, E, W, S> = Shared<<P as Platform>::RawMutex, TableOf<K, T, E, W, S>>;
pub(super) type TableOf<K, T, E, W, S> = FlightTable<K, Result<T, E>, S, <W as Succession>::Work<Result<T, E>>>;

/// What a leader that is dropped hands over. It is implemented for [`Restarts`] and [`Survives`].
pub trait Succession {
    /// What is handed over of work that ends with `R`.
    #[doc(hidden)]
    type Work<R>;
}

/// Of a [`SingleFlight`]: where a leader is dropped, the next one starts its own operation. Nothing is allocated.
#[derive(Debug, Clone, Copy)]
pub struct Restarts;

impl Succession for Restarts {
    type Work<R> = Infallible;
}

/// Of a [`SingleFlight`]: where a leader is dropped, its operation goes on for those who wait for it. It lies in a box, one for a flight.
#[cfg(feature = "alloc")]
#[derive(Debug, Clone, Copy)]
pub struct Survives;

#[cfg(feature = "alloc")]
impl Succession for Survives {
    type Work<R> = super::surviving::Work<R>;
}

/// How a single flight stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// For how many keys an operation is under way; for one that was forgotten, and is asked for again, more than one.
    pub flights: usize,
    /// How many callers wait for another one's.
    pub waiting: u32,
}

impl<P: Platform, K, T, E> SingleFlight<P, K, T, E> {
    /// One whose operations belong to their callers.
    #[must_use]
    pub const fn new() -> Self {
        Self::made(None, u32::MAX, Silent)
    }
}

impl<P: Platform, K, T, E> Default for SingleFlight<P, K, T, E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "alloc")]
impl<P: Platform, K, T, E> SingleFlight<P, K, T, E, Survives> {
    /// One whose operations survive their callers: whoever remains goes on with what a dropped one began.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static REPORTS: SingleFlight<u32, String, &str, Survives> = SingleFlight::surviving();
    ///
    /// async fn report(year: u32) -> Result<String, &'static str> {
    ///     aplomb_sim::sleep(secs(10)).await;
    ///     Ok(format!("the year {year}"))
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let (impatient, patient) =
    ///         zip(timeout(secs(3), REPORTS.run(&2025, || report(2025))), REPORTS.run(&2025, || report(2025))).await;
    ///     assert!(impatient.unwrap_err().is_timeout());
    ///     assert_eq!(patient, Ok("the year 2025".into()));
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 10_000_000_000, "it was not started again");
    /// });
    /// ```
    #[must_use]
    pub const fn surviving() -> Self {
        Self::made(None, u32::MAX, Silent)
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform, K, T, E, W: Succession, S: Storage, H, const SHARDS: usize, O: Copy>
    SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
{
    /// Keeps keys and callers in `Q`: in [`Inline<N>`](crate::storage::Inline), at most `N` of each in each shard; a caller has its place until its task has its turn with the result. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::single_flight::Restarts;
    /// use aplomb_sim::prelude::*;
    ///
    /// static SENSORS: SingleFlight<u8, u16, &str, Restarts, Inline<4>> = checked!(SingleFlight::new().storage());
    /// ```
    #[must_use]
    pub const fn storage<Q: Storage>(self) -> SingleFlight<P, K, T, E, W, Q, H, SHARDS, O> {
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
    /// let users = SingleFlight::new().shards::<16>();
    /// # aplomb_sim::block_on(async {
    /// assert_eq!(users.run(&7, || async { Ok::<_, &str>("ann") }).await, Ok("ann"));
    /// # });
    /// ```
    #[must_use]
    pub const fn shards<const N: usize>(self) -> SingleFlight<P, K, T, E, W, S, H, N, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Finds keys by another hash. Default: [`FoldHash`].
    #[must_use]
    pub const fn hasher<H2: KeyHash>(self) -> SingleFlight<P, K, T, E, W, S, H2, SHARDS, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Tells `observer` who leads, who shares, and what becomes of flights.
    ///
    /// It is told outside the lock: of what two threads do one after the other, either may come first.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::key::FoldHash;
    /// use aplomb::single_flight::{Event, Restarts};
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let note = |event: &Event| seen.borrow_mut().push(*event);
    /// let tiles: SingleFlight<u32, u32, (), Restarts, Heap, FoldHash, 1, _> = SingleFlight::new().observed_by(note);
    /// aplomb_sim::block_on(async {
    ///     let tile = || tiles.run(&7, || async { aplomb_sim::sleep(ms(10)).await; Ok(49) });
    ///     assert_eq!(zip(tile(), tile()).await, (Ok(49), Ok(49)));
    /// });
    /// assert_eq!(*seen.borrow(), [Event::Started, Event::Shared, Event::Completed { is_shared: true }]);
    /// ```
    #[must_use]
    pub const fn observed_by<L: SharedObserver<Event>>(self, observer: L) -> SingleFlight<P, K, T, E, W, S, H, SHARDS, L> {
        self.with(observer)
    }

    const fn with<Q: Storage, H2, const N: usize, L>(self, observer: L) -> SingleFlight<P, K, T, E, W, Q, H2, N, L> {
        let (capacity, max_waiting) = (self.capacity, self.max_waiting);
        // Nobody uses it yet, and a `const fn` drops nothing.
        forget(self);
        SingleFlight::made(capacity, max_waiting, observer)
    }
}

impl<P: Platform, K, T, E, W: Succession, S: Storage, H, const SHARDS: usize, O> SingleFlight<P, K, T, E, W, S, H, SHARDS, O> {
    /// How many keys there may be under way, unless said otherwise, if the storage has room for so many.
    pub const DEFAULT_CAPACITY: usize = DEFAULT_KEYS;

    const ROOM: usize = S::CAPACITY.saturating_mul(SHARDS);

    const fn made(capacity: Option<usize>, max_waiting: u32, observer: O) -> Self {
        const { assert!(SHARDS > 0, "a table has at least one shard") };
        let shards = [const { Shared::new(FlightTable::new()) }; SHARDS];
        Self { capacity, max_waiting, shards, observer, hash: PhantomData }
    }

    /// For how many keys there is room in all.
    pub(super) const fn keys(&self) -> usize {
        keys(self.capacity, Self::ROOM)
    }

    /// For how many keys operations are under way at once; a caller with another one ends at once, with [`FlightError::Full`](crate::FlightError::Full). One that was [forgotten](SingleFlight::forget) counts as long as it is under way. At least 1, and no more than the storage has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn capacity(mut self, keys: usize) -> Self {
        self.capacity = Some(keys);
        self
    }

    /// How many callers may wait for another one's operation, in all; the next one ends at once, with [`FlightError::QueueFull`](crate::FlightError::QueueFull). Zero is legal: nobody waits then; no more than the storage has room for. Of several shards, each has its part, rounded up.
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.max_waiting = callers;
        self
    }

    pub(super) const fn settings_error(&self) -> Option<ConfigError> {
        let capacity = self.keys();
        if capacity == 0 || capacity > Self::ROOM {
            return Some(ConfigError::Capacity { value: capacity, most: Self::ROOM });
        }
        waiting_error(self.max_waiting, Self::ROOM)
    }

    /// What is wrong with it, if anything is: [`check`](SingleFlight::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.settings_error();
        // Nobody uses it yet, and a `const fn` drops nothing.
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
    /// let refused = SingleFlight::<u64, String>::new().capacity(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "capacity is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.settings_error().map_or(Ok(self), Err)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { flights: self.keys().div_ceil(SHARDS).min(S::CAPACITY), waiting: per_shard::<SHARDS>(self.max_waiting) }
    }

    /// How it stands.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PAGES: SingleFlight<&str, u32> = SingleFlight::new();
    /// assert_eq!(PAGES.snapshot().flights, 0);
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { flights: 0, waiting: 0 };
        for shard in &self.shards {
            let (flights, waiting) = shard.with(|table| table.len());
            snapshot.flights = snapshot.flights.saturating_add(flights);
            snapshot.waiting = snapshot.waiting.saturating_add(waiting);
        }
        snapshot
    }
}

impl<P, K, T, E, W, S, H, const SHARDS: usize, O> SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
where
    P: Platform,
    W: Succession,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    /// Has the next call with that key start anew. Those who share the flight under way still get its result. Whether there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static PROFILES: SingleFlight<u64, u32> = SingleFlight::new();
    ///
    /// aplomb_sim::block_on(async {
    ///     let stale = PROFILES.run(&7, || async { aplomb_sim::sleep(ms(10)).await; Ok(1) });
    ///     let fresh = async {
    ///         assert!(PROFILES.forget(&7), "the profile has been changed");
    ///         PROFILES.run(&7, || async { Ok(2) }).await
    ///     };
    ///     assert_eq!(zip(stale, fresh).await, (Ok(1), Ok(2)));
    ///     assert!(!PROFILES.forget(&7), "nothing is under way");
    /// });
    /// ```
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = hash::<H, Q>(P::hash_seed(), key);
        let forgotten = self.with_table(hash, |table| table.forget(hash, |known| known.borrow() == key));
        forgotten.flatten().is_some()
    }
}

impl<P: Platform, K, T, E, W: Succession, S: Storage, H, const SHARDS: usize, O> fmt::Debug
    for SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { flights, waiting } = self.snapshot();
        f.debug_struct("SingleFlight")
            .field("capacity", &self.keys())
            .field("flights", &flights)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, K, T, E, W: Succession, S: Storage, H, const SHARDS: usize, O> defmt::Format
    for SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        let Snapshot { flights, waiting } = self.snapshot();
        defmt::write!(f, "SingleFlight {{ capacity: {}, flights: {}, waiting: {}, .. }}", self.keys(), flights, waiting);
    }
}
