use core::time::Duration;

use crate::single_flight::FlightError;

/// What a cache tells its [observer](super::Cache::observed_by), and a memoized function its.
///
/// Of each read it is one of [`Hit`](Event::Hit), [`Stale`](Event::Stale), [`Missed`](Event::Missed), [`Shared`](Event::Shared) and [`Rejected`](Event::Rejected).
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
    /// A read found nothing to be served, and its caller has what another one fetches.
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
    /// What is past its end answers in place of a fetch that has failed, or was late.
    StaleIfError,
    /// A caller has left its fetch to another one that waits for it.
    HandedOver,
    /// A caller has left its fetch, and nobody waits for it.
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
