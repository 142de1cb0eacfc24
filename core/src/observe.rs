//! The observer seam: patterns tell what they decide, and it costs nothing when nobody listens.
//!
//! A call that is configured has its observer for itself, an [`Observer`]: a closure that counts, a progress bar. A pattern that many callers share has a [`SharedObserver`]. How such a pattern stands, and what it counts itself, needs neither: that is in its `snapshot`; the rest is for an observer to count.

/// Is told of the events of a call that has it for itself.
///
/// Every `FnMut(&Event)` is an observer, [`Silent`] is the default, and `Tracing` (feature `tracing`) writes them to the `tracing` subscriber. An observer is called
/// outside every lock, where the decision has been made and before it is acted on; it cannot change it.
///
/// # Examples
///
/// ```
/// use aplomb::observe::Observer;
///
/// fn decide(mut observer: impl Observer<u32>) { observer.observe(&7); }
///
/// let mut seen = 0;
/// decide(|event: &u32| seen = *event);
/// assert_eq!(seen, 7);
/// ```
pub trait Observer<Event> {
    /// Is told of one event.
    fn observe(&mut self, event: &Event);
}

impl<Event, F: FnMut(&Event)> Observer<Event> for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}

/// Is told of the events of a pattern that many callers share, as one in a `static` is: by reference, from whatever task or thread.
///
/// Every `Fn(&Event)` is one, a function too; [`Silent`] is the default, and costs nothing, and `Tracing` (feature `tracing`) writes them to the `tracing` subscriber. It is called outside every lock, after what it is told of, and cannot change it. It should not panic: where it is told of what another
/// panic brings about, that ends the program.
///
/// # Examples
///
/// ```
/// use aplomb::bulkhead::Event;
/// use aplomb::observe::SharedObserver;
/// use aplomb_sim::prelude::*;
/// use core::sync::atomic::{AtomicU32, Ordering};
///
/// struct Rejected(AtomicU32);
///
/// impl SharedObserver<Event> for &Rejected {
///     fn observe(&self, event: &Event) {
///         if let Event::Rejected { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// static REJECTED: Rejected = Rejected(AtomicU32::new(0));
/// static DB: Bulkhead<Heap, &Rejected> = checked!(Bulkhead::new(1).max_waiting(0).observed_by(&REJECTED));
///
/// let _place = DB.try_acquire().unwrap();
/// assert!(DB.try_acquire().is_err());
/// assert_eq!(REJECTED.0.load(Ordering::Relaxed), 1);
/// ```
pub trait SharedObserver<Event> {
    /// Whether it listens at all: what has to be found out for it alone is not, if it doesn't.
    const LISTENS: bool = true;

    /// Is told of one event.
    fn observe(&self, event: &Event);
}

impl<Event, F: Fn(&Event)> SharedObserver<Event> for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Silent;

impl<Event> Observer<Event> for Silent {
    fn observe(&mut self, _event: &Event) {}
}

impl<Event> SharedObserver<Event> for Silent {
    const LISTENS: bool = false;

    #[inline]
    fn observe(&self, _event: &Event) {}
}

#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;

#[cfg(feature = "tracing")]
mod tracing {
    use core::fmt;

    use super::{Observer, SharedObserver};
    use crate::retry::Event;
    use crate::{adaptive_limit, batcher, bulkhead, cache, circuit_breaker, hedge, pool, rate_limiter, single_flight};

    /// Writes events to the `tracing` subscriber: what goes on by itself at DEBUG (a cache's hits at TRACE), what the caller gets to feel at WARN, success at the first attempt not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::observe::Tracing;
    /// use aplomb_sim::prelude::*;
    ///
    /// # aplomb_sim::block_on(async {
    /// let answer = retry(|| async { Ok::<_, String>(42) }).observed_by(Tracing::named("billing")).await;
    /// # assert_eq!(answer, Ok(42)); });
    /// ```
    ///
    /// Of what lies in a `static`:
    ///
    /// ```
    /// use aplomb::observe::Tracing;
    /// use aplomb::rate_limiter::TokenBucket;
    /// use aplomb_sim::prelude::*;
    ///
    /// static GITHUB: RateLimiter<TokenBucket, Heap, Tracing> =
    ///     checked!(RateLimiter::new(Rate::per_minute(100)).observed_by(Tracing::named("github")));
    /// static UPLOADS: Pool<Heap, Tracing> = checked!(Pool::new(4).observed_by(Tracing::named("uploads")));
    /// # aplomb_sim::block_on(async { GITHUB.acquire(1).await.unwrap(); UPLOADS.pause(); });
    /// ```
    #[derive(Debug, Clone, Copy)]
    pub struct Tracing {
        name: &'static str,
    }

    impl Tracing {
        /// Events carry this name.
        #[must_use]
        pub const fn named(name: &'static str) -> Self {
            Self { name }
        }
    }

    impl SharedObserver<batcher::Event> for Tracing {
        fn observe(&self, event: &batcher::Event) {
            use batcher::Event::{Abandoned, Completed, Failed, HandedOver, Rejected, Started};
            let name = self.name;
            match event {
                Started { items, cause } => tracing::debug!(name, items, ?cause, "started"),
                Completed { items } => tracing::debug!(name, items, "completed"),
                Failed { items } => tracing::warn!(name, items, "failed"),
                HandedOver { items } => tracing::debug!(name, items, "handed over"),
                Abandoned { items } => tracing::warn!(name, items, "abandoned"),
                Rejected { waiting } => tracing::warn!(name, waiting, "rejected"),
            }
        }
    }

    impl SharedObserver<bulkhead::Event> for Tracing {
        fn observe(&self, event: &bulkhead::Event) {
            use bulkhead::Event::{Admitted, Rejected, Waiting};
            let name = self.name;
            match event {
                Waiting { waiting } => tracing::debug!(name, waiting, "waiting for a place"),
                Admitted { waited } => tracing::debug!(name, ?waited, "has its place"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
            }
        }
    }

    impl<K, V> SharedObserver<cache::Event<'_, K, V>> for Tracing {
        fn observe(&self, event: &cache::Event<'_, K, V>) {
            use cache::Event::{
                Abandoned, Failed, Fetched, HandedOver, Hit, Missed, Rejected, Removed, Shared, Stale, StaleIfError,
            };
            let name = self.name;
            match event {
                Hit => tracing::trace!(name, "hit"),
                Stale => tracing::debug!(name, "served what is past its end"),
                Missed => tracing::debug!(name, "missed"),
                Shared => tracing::debug!(name, "shares a fetch"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
                Fetched { took } => tracing::debug!(name, ?took, "fetched"),
                Failed { took } => tracing::warn!(name, ?took, "a fetch has failed"),
                StaleIfError => tracing::warn!(name, "answered by what is past its end"),
                HandedOver => tracing::debug!(name, "handed over"),
                Abandoned => tracing::debug!(name, "abandoned"),
                Removed { cause, .. } => tracing::debug!(name, ?cause, "removed"),
            }
        }
    }

    impl SharedObserver<single_flight::Event> for Tracing {
        fn observe(&self, event: &single_flight::Event) {
            use single_flight::Event::{Abandoned, Completed, Failed, HandedOver, Rejected, Shared, Started};
            let name = self.name;
            match event {
                Started => tracing::debug!(name, "started"),
                Shared => tracing::debug!(name, "shares another one's"),
                Completed { is_shared } => tracing::debug!(name, is_shared, "completed"),
                Failed { is_shared } => tracing::warn!(name, is_shared, "failed"),
                HandedOver => tracing::debug!(name, "handed over"),
                Abandoned => tracing::debug!(name, "abandoned"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
            }
        }
    }

    impl SharedObserver<adaptive_limit::Event> for Tracing {
        fn observe(&self, event: &adaptive_limit::Event) {
            use adaptive_limit::Event::{Admitted, Changed, Rejected, Waiting};
            let name = self.name;
            match event {
                Changed { from, to } => tracing::debug!(name, from, to, "the limit has changed"),
                Waiting { waiting } => tracing::debug!(name, waiting, "waiting for the limit"),
                Admitted { waited } => tracing::debug!(name, ?waited, "within the limit"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
            }
        }
    }

    impl SharedObserver<circuit_breaker::Event> for Tracing {
        fn observe(&self, event: &circuit_breaker::Event) {
            use circuit_breaker::Event::{Changed, Rejected};
            let name = self.name;
            match event {
                Changed { from, to } if to.is_open() => tracing::warn!(name, %from, %to, "the circuit has opened"),
                Changed { from, to } => tracing::debug!(name, %from, %to, "the circuit has changed"),
                Rejected { retry_after } => tracing::warn!(name, ?retry_after, "rejected"),
            }
        }
    }

    impl<K: fmt::Debug> SharedObserver<circuit_breaker::KeyedEvent<K>> for Tracing {
        fn observe(&self, told: &circuit_breaker::KeyedEvent<K>) {
            use circuit_breaker::Event::{Changed, Rejected};
            let (name, key) = (self.name, &told.key);
            match told.event {
                Changed { from, to } if to.is_open() => tracing::warn!(name, ?key, %from, %to, "the circuit has opened"),
                Changed { from, to } => tracing::debug!(name, ?key, %from, %to, "the circuit has changed"),
                Rejected { retry_after } => tracing::warn!(name, ?key, ?retry_after, "rejected"),
            }
        }
    }

    impl SharedObserver<hedge::Event> for Tracing {
        fn observe(&self, event: &hedge::Event) {
            use hedge::Event::{BudgetEmpty, Hedged, Won};
            let name = self.name;
            match event {
                Hedged { start, cause } => tracing::debug!(name, start, ?cause, "hedged"),
                Won { start } => tracing::debug!(name, start, "a hedge has won"),
                BudgetEmpty { cause } => tracing::warn!(name, ?cause, "no hedge: the budget is empty"),
            }
        }
    }

    impl SharedObserver<rate_limiter::Event> for Tracing {
        fn observe(&self, event: &rate_limiter::Event) {
            use rate_limiter::Event::{Admitted, Rejected, Waiting};
            let name = self.name;
            match event {
                Waiting { ahead, at_least } => tracing::debug!(name, ahead, ?at_least, "waiting for permits"),
                Admitted { waited } => tracing::debug!(name, ?waited, "has its permits"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
            }
        }
    }

    impl SharedObserver<pool::Event> for Tracing {
        fn observe(&self, event: &pool::Event) {
            use pool::Event::{Cancelled, Closed, Completed, Failed, Paused, Rejected, Resumed, Started, Waiting};
            let name = self.name;
            match event {
                Waiting { priority, waiting } => tracing::debug!(name, priority, waiting, "waiting for a place"),
                Started { priority } => tracing::debug!(name, priority, "started"),
                Completed => tracing::debug!(name, "completed"),
                Failed => tracing::warn!(name, "failed"),
                Cancelled => tracing::warn!(name, "cancelled"),
                Rejected { reason } => tracing::warn!(name, %reason, "rejected"),
                Paused => tracing::debug!(name, "paused"),
                Resumed => tracing::debug!(name, "resumed"),
                Closed => tracing::debug!(name, "closed"),
            }
        }
    }

    impl<E: fmt::Display> Observer<Event<'_, E>> for Tracing {
        fn observe(&mut self, event: &Event<'_, E>) {
            let name = self.name;
            match event {
                Event::Retrying { attempt, delay, cause } => {
                    tracing::debug!(name, attempt, ?delay, %cause, "retrying");
                }
                Event::Succeeded { attempts: 1 } => {}
                Event::Succeeded { attempts } => tracing::debug!(name, attempts, "succeeded after retrying"),
                Event::Stopped { attempts, reason } => tracing::warn!(name, attempts, ?reason, "gave up"),
            }
        }
    }
}
