use core::convert::Infallible;
use core::fmt;
use core::mem::forget;
use core::time::Duration;

use super::error::BatchError;
use super::event::Event;
use super::machine::{Machine, Terms};
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::storage::{Storage, waiting_error};
use crate::sync::Shared;
use crate::time::{duration, nanos};

/// Single calls made into one: each brings an item, and has its own result. The module [`batcher`](crate::batcher) tells what it promises.
///
/// Items are `I`, results `T` or `E`. Callers wait in `S`; a batch is a `Vec` where that is the heap, and a `heapless::Vec` where it is in place. `O` is who is told of its [events](Event).
///
/// | setting | default |
/// | --- | --- |
/// | [`max_wait`](Batcher::max_wait) | zero: a batch has what comes in the same turn of the executor |
/// | [`max_weight`](Batcher::max_weight), [`weigh_by`](Batcher::weigh_by) | each item weighs 1, without limit |
/// | [`max_concurrent`](Batcher::max_concurrent) | without limit, but that of the storage |
/// | [`max_waiting`](Batcher::max_waiting) | as many as the storage has room for |
/// | [`observed_by`](Batcher::observed_by) | nobody is told |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use futures_lite::future::zip;
///
/// static NAMES: Batcher<u32, String, &str> = checked!(Batcher::new(100).max_wait(ms(5)));
///
/// async fn load(ids: Vec<u32>) -> Result<Vec<String>, &'static str> {
///     assert_eq!(ids, [7, 8], "one query for both");
///     Ok(ids.iter().map(|id| format!("user {id}")).collect())
/// }
///
/// aplomb_sim::block_on(async {
///     let (one, other) = zip(NAMES.call(7, load), NAMES.call(8, load)).await;
///     assert_eq!(one.as_deref(), Ok("user 7"));
///     assert_eq!(other.as_deref(), Ok("user 8"));
/// });
/// ```
pub struct Batcher<P: Platform, I, T, E = Infallible, S: Storage = <P as Platform>::Storage, O = Silent> {
    pub(super) clock: P::Clock,
    pub(super) terms: Terms,
    pub(super) weigh_by: Option<fn(&I) -> u32>,
    pub(super) observer: O,
    pub(super) state: Shared<P::RawMutex, MachineOf<I, T, E, S>>,
}

type MachineOf<I, T, E, S> = Machine<I, Result<T, BatchError<E>>, S>;

/// What a batcher is like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many items wait for a start.
    pub waiting: u32,
    /// How many batches are under way.
    pub running: usize,
}

impl<P: Platform<Clock: Ambient>, I, T, E> Batcher<P, I, T, E> {
    /// Makes batches of so many items at most: at least 1, and at most as many as there is room for.
    #[must_use]
    pub const fn new(max_items: u32) -> Self {
        Self::with_clock(Ambient::CLOCK, max_items)
    }
}

impl<P: Platform, I, T, E, S: Storage> Batcher<P, I, T, E, S> {
    /// As `new`, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, max_items: u32) -> Self {
        let terms = Terms { max_items, max_weight: u64::MAX, max_wait: 0, max_waiting: u32::MAX, max_concurrent: u32::MAX };
        Self { clock, terms, weigh_by: None, observer: Silent, state: Shared::new(Machine::new()) }
    }
}

/// Settings that change its type. Of one that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, I, T, E, S: Storage, O: Copy> Batcher<P, I, T, E, S, O> {
    /// Keeps items in `Q`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, those under way included. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static POINTS: Batcher<f32, (), &str, Inline<16>> = checked!(Batcher::new(8).storage());
    /// ```
    #[must_use]
    pub const fn storage<Q: Storage>(self) -> Batcher<P, I, T, E, Q, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Tells `observer` which batches start, why then, and how they end.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::batcher::{Cause, Event};
    /// use aplomb_sim::prelude::*;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let sums: Batcher<u32, u32, (), Heap, _> = Batcher::new(2).observed_by(|event: &Event| seen.borrow_mut().push(*event));
    /// assert_eq!(aplomb_sim::block_on(sums.call(7, async |items| Ok(items))), Ok(7));
    /// assert_eq!(*seen.borrow(), [Event::Started { items: 1, cause: Cause::Time }, Event::Completed { items: 1 }]);
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> Batcher<P, I, T, E, S, V> {
        self.with(observer)
    }

    const fn with<Q: Storage, V>(self, observer: V) -> Batcher<P, I, T, E, Q, V> {
        let Self { clock, terms, weigh_by, .. } = self;
        // It has no callers yet, and a `const fn` drops nothing.
        forget(self);
        Batcher { clock, terms, weigh_by, observer, state: Shared::new(Machine::new()) }
    }
}

impl<P: Platform, I, T, E, S: Storage, O> Batcher<P, I, T, E, S, O> {
    /// Starts a batch no later than that after its first item has come, if there is [room](Batcher::max_concurrent) for it. Default: zero, with which it has whatever comes in the same turn of the executor, and no timer is set.
    /// With `Duration::MAX`, it starts by its size only, or when it is [flushed](Batcher::flush).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static POINTS: Batcher<f32, (), &str> = checked!(Batcher::new(1_000).max_wait(secs(1)));
    ///
    /// aplomb_sim::block_on(async {
    ///     POINTS.call(21.5, async |points| Ok(vec![(); points.len()])).await.unwrap();
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 1_000_000_000);
    /// });
    /// ```
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.terms.max_wait = nanos(max_wait);
        self
    }

    /// How heavy the items of a batch may be together, by [`weigh_by`](Batcher::weigh_by). At least 1. An item that is heavier than that goes alone. Without `weigh_by`, each item weighs 1.
    #[must_use]
    pub const fn max_weight(mut self, weight: u64) -> Self {
        self.terms.max_weight = weight;
        self
    }

    /// How much an item weighs: its bytes, mostly. Called once for each, when it comes, outside the lock.
    ///
    /// # Examples
    ///
    /// At most 100 rows, or 1,024 bytes:
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static ROWS: Batcher<Vec<u8>, usize> =
    ///     checked!(Batcher::new(100).max_weight(1_024).weigh_by(|row: &Vec<u8>| row.len() as u32).max_wait(secs(1)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let insert = async |rows: Vec<Vec<u8>>| Ok(vec![rows.len(); rows.len()]);
    ///     let both = zip(ROWS.call(vec![0; 512], insert), ROWS.call(vec![1; 512], insert)).await;
    ///     assert_eq!(both, (Ok(2), Ok(2)));
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 0, "it was full");
    /// });
    /// ```
    #[must_use]
    pub const fn weigh_by(mut self, weigh: fn(&I) -> u32) -> Self {
        self.weigh_by = Some(weigh);
        self
    }

    /// How many batches may be under way at once; meanwhile, what comes is collected. At least 1. Default: without limit, but in place as many as there is room for callers.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static LOG: Batcher<String, ()> = checked!(Batcher::new(100).max_concurrent(1).max_waiting(1_000));
    /// # assert_eq!(LOG.snapshot().running, 0);
    /// ```
    #[must_use]
    pub const fn max_concurrent(mut self, batches: u32) -> Self {
        self.terms.max_concurrent = batches;
        self
    }

    /// How many may wait for a start; the next one ends at once, with [`BatchError::QueueFull`]. At least as many as a batch may have. Default: as many as the storage has room for, which in place is shared with those whose batch is under way.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused = Batcher::<u32, u32>::new(100).max_waiting(10).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "max_waiting is 10, must be at least max_items, 100");
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.terms.max_waiting = callers;
        self
    }

    /// What is wrong with it, if anything is: [`check`](Batcher::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.settings_error();
        // It has no callers yet, and a `const fn` drops nothing.
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
    /// let refused = Batcher::<u32, u32, &str>::new(32).storage::<Inline<16>>().check();
    /// assert_eq!(refused.unwrap_err().to_string(), "max_items is 32, must be from 1 to 16");
    /// ```
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.settings_error() {
            Some(error) => {
                forget(self);
                Err(error)
            }
            None => Ok(self),
        }
    }

    pub(super) const fn settings_error(&self) -> Option<ConfigError> {
        let Terms { max_items, max_weight, max_waiting, max_concurrent, .. } = self.terms;
        let most = if S::CAPACITY > u32::MAX as usize { u32::MAX } else { room::<S>() };
        if max_items == 0 || max_items > most {
            return Some(ConfigError::MaxItems { value: max_items, most });
        }
        if max_weight == 0 {
            return Some(ConfigError::MaxWeight { value: max_weight });
        }
        if max_waiting < max_items {
            return Some(ConfigError::MaxWaiting { value: max_waiting, least: max_items });
        }
        if let Some(error) = waiting_error(max_waiting, S::CAPACITY) {
            return Some(error);
        }
        if max_concurrent == 0 {
            return Some(ConfigError::MaxConcurrent { value: 0 });
        }
        None
    }

    /// Starts what waits, be its time over or not; as soon as there is [room](Batcher::max_concurrent), if there is none. Whether anything waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static POINTS: Batcher<f32, (), &str> = checked!(Batcher::new(1_000).max_wait(secs(1)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let send = POINTS.call(21.5, async |points| Ok(vec![(); points.len()]));
    ///     let (sent, flushed) = zip(send, async { POINTS.flush() }).await;
    ///     assert!(sent.is_ok() && flushed);
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 0);
    /// });
    /// ```
    pub fn flush(&self) -> bool {
        let (waits, looks) = self.state.with(Machine::flush);
        if let Some(waker) = looks {
            waker.wake();
        }
        waits
    }

    /// How many wait, and how many batches are under way, at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static NAMES: Batcher<u32, String> = checked!(Batcher::new(100));
    /// assert_eq!(NAMES.snapshot().waiting, 0);
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let (waiting, running) = self.state.with(|machine| machine.counts());
        Snapshot { waiting, running }
    }
}

/// Of a storage that has room for no more than can be counted so.
#[allow(clippy::cast_possible_truncation, reason = "it has been looked at")]
const fn room<S: Storage>() -> u32 {
    S::CAPACITY as u32
}

impl<P: Platform, I, T, E, S: Storage, O> fmt::Debug for Batcher<P, I, T, E, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { max_items, max_wait, .. } = self.terms;
        f.debug_struct("Batcher")
            .field("max_items", &max_items)
            .field("max_wait", &duration(max_wait))
            .field("now", &self.snapshot())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, I, T, E, S: Storage, O> defmt::Format for Batcher<P, I, T, E, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Terms { max_items, max_wait, .. } = self.terms;
        defmt::write!(
            f,
            "Batcher {{ max_items: {}, max_wait: {}, now: {}, .. }}",
            max_items,
            duration(max_wait),
            self.snapshot()
        );
    }
}
