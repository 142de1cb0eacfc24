use core::time::Duration;

use super::settings::Cache;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::FlightError;
use crate::storage::Storage;

impl<P: Platform<Clock: Copy>, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O: Copy>
    Cache<P, K, V, E, S, H, F, SHARDS, O>
{
    /// Tells `observer` of reads, of fetches, and of entries that go. Of a cache that has been used already, no more than its settings is kept: what it held is leaked.
    ///
    /// It is told outside the lock: of what two threads do one after the other, either may come first. Where somebody listens, the clock is read at the beginning of a fetch too, and also where nothing gets old.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::cache::Event;
    /// use aplomb::key::FoldHash;
    /// use aplomb_sim::prelude::*;
    /// use std::cell::RefCell;
    /// use std::convert::Infallible;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let note = |event: &Event<'_, u32, u32>| match event {
    ///     Event::Removed { key, cause, .. } => seen.borrow_mut().push(format!("{key} {cause:?}")),
    ///     event => seen.borrow_mut().push(format!("{event:?}")),
    /// };
    /// let squares: Cache<u32, u32, Infallible, Heap, FoldHash, Heap, 1, _> = Cache::new().capacity(1).observed_by(note);
    /// aplomb_sim::block_on(async {
    ///     for n in [1, 1, 2] {
    ///         assert_eq!(squares.get(&n, || async { Ok(n * n) }).await, Ok(n * n));
    ///     }
    /// });
    /// assert_eq!(*seen.borrow(), ["Missed", "Fetched { took: 0ns }", "Hit", "Missed", "1 Evicted", "Fetched { took: 0ns }"]);
    /// ```
    #[must_use]
    pub const fn observed_by<L>(self, observer: L) -> Cache<P, K, V, E, S, H, F, SHARDS, L>
    where
        L: for<'e> SharedObserver<Event<'e, K, V>>,
    {
        self.with(observer)
    }
}

/// What a cache tells its [observer](super::Cache::observed_by), and a memoized function its.
///
/// Each read begins with one of [`Hit`](Event::Hit), [`Stale`](Event::Stale), [`Missed`](Event::Missed), [`Shared`](Event::Shared) and [`Rejected`](Event::Rejected); or, where there is no room to fetch or to wait, and what is past its end answers, with [`StaleIfError`](Event::StaleIfError).
///
/// Each fetch that is begun, for a read or to refresh, ends with one of [`Fetched`](Event::Fetched), [`Failed`](Event::Failed) and [`Abandoned`](Event::Abandoned), however often it is handed over.
///
/// # Examples
///
/// Connections are closed as they leave:
///
/// ```
/// use aplomb::cache::Event;
/// use aplomb::key::FoldHash;
/// use aplomb_sim::prelude::*;
/// use std::convert::Infallible;
///
/// #[derive(Clone)]
/// struct Connection(u32);
/// impl Connection { fn close(&self) {} }
///
/// fn close(event: &Event<'_, &'static str, Connection>) {
///     if let Event::Removed { value: Some(connection), .. } = event {
///         connection.close();
///     }
/// }
///
/// type Observer = fn(&Event<'_, &'static str, Connection>);
///
/// static CONNECTIONS: Cache<&str, Connection, Infallible, Heap, FoldHash, Heap, 1, Observer> =
///     checked!(Cache::new().capacity(100).ttl(secs(60)).observed_by(close as Observer));
///
/// CONNECTIONS.insert("db", Connection(1));
/// CONNECTIONS.invalidate(&"db");
/// ```
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'e, K, V> {
    /// A read was served at once, with what is fresh; or with an error that is kept.
    Hit,
    /// A read was served at once, with what is past its end.
    Stale,
    /// A read found nothing to be served, and its caller fetches.
    Missed,
    /// A read found nothing to be served, and its caller has what another one fetches, or just has.
    Shared,
    /// A caller was turned away, or did not wait any longer.
    Rejected {
        /// Why.
        reason: FlightError,
    },
    /// A fetch has succeeded.
    Fetched {
        /// How long it took; of one that was handed over, since it was begun anew.
        took: Duration,
    },
    /// A fetch has failed.
    Failed {
        /// How long it took; of one that was handed over, since it was begun anew.
        took: Duration,
    },
    /// What is past its end answers in place of a fetch that has failed, or was late, or for which there was no room.
    StaleIfError,
    /// A caller has left its fetch, or its turn to fetch, to another one that waits for it.
    HandedOver,
    /// A caller has left its fetch, or its turn to fetch, and nobody waits for it.
    Abandoned,
    /// An entry is gone. It is dropped after this.
    Removed {
        /// Its key.
        key: &'e K,
        /// Its value; none if it was an error that was kept.
        value: Option<&'e V>,
        /// Why it went.
        cause: Removal,
    },
}

/// Why an entry has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Removal {
    /// It had ended, the time for which it may be served after its end included; or was past its end, and replaced.
    Expired,
    /// It had to make room.
    Evicted,
    /// Another value was kept for its key, before its end.
    Replaced,
    /// It was taken out.
    Invalidated,
}

impl<K, V> Clone for Event<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Event<'_, K, V> {}
