//! Debounce: only the newest call of a burst, when the burst is over.
//!
//! ```text
//! calls      a  b c        d e
//! debounce         ---- c     ---- e        `wait` after the last call
//! ```
//!
//! # What it promises
//!
//! - The newest call of a burst starts `wait` after the last one ([`trailing`](crate::edge::Gate::trailing), the default). With [`leading`](crate::edge::Gate::leading) the first starts at once; with both, the trailing one starts only if there was more than one call.
//! - [`max_wait`](Debounce::max_wait) bounds how long calls can put the start off: no start comes later than that after the burst's first call or its last start.
//! - A caller whose place is taken ends with [`Superseded`](crate::edge::EdgeError::Superseded), at the instant of the newer call; or, if it [`Share`]s, with a clone of the one result. Nobody is left pending.
//! - If the newest caller is dropped before its start, nothing starts; where callers share, the newest one still there takes its place.
//! - A call while an operation runs begins a new burst, and does not disturb it.
//! - A call that comes before the pending one has been started takes its place, even if that one was due already. What was [flushed](crate::edge::Gate::flush) starts, whatever comes after it.
//! - A `wait` of zero starts the newest of the calls that come at once, and takes no timer.
//!
//! # When not to use it
//!
//! When each call has to happen: debouncing drops work on purpose. To spread calls without losing any, there is the stream adaptor [`pace`](crate::edge::PaceStream). To bound their rate while they go on, [`throttle`](crate::throttle).
//!
//! # How others differ
//!
//! The semantics are those of lodash's `debounce`, but for these rules. *`max_wait` is kept*: after a start that it forced, lodash gives the next call a whole `wait`, and may so exceed it. *A flush stops the timer*: lodash leaves it
//! running, so that a later call of the burst may start early. *A burst is one until it was started*: where a timer is late and `maxWait` is set, lodash starts a call at once that comes after `wait`; here it takes the place of the pending
//! one, and waits. *Time that runs backwards is no time*: lodash takes it for the end of the burst. `RxJS`'s `debounceTime` is the default. Thousands of random scripts, played to the originals, say so: see `tests/originals`.

use core::time::Duration;

use crate::edge::{Gate, Mode, Reject, Share, Terms, Trigger};
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;

/// Of a [`Gate`]: that it debounces.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Debouncing;

/// Starts only the newest call of a burst, when there was none for a while.
///
/// | setting | default |
/// | --- | --- |
/// | [`leading`](Gate::leading) | no |
/// | [`trailing`](Gate::trailing) | yes |
/// | [`max_wait`](Debounce::max_wait) | never |
///
/// # Examples
///
/// A search box that asks when its user pauses:
///
/// ```
/// use aplomb_sim::prelude::*;
/// use futures_lite::future::zip;
///
/// async fn search(text: &str) -> Result<usize, std::io::Error> { Ok(text.len()) }
///
/// aplomb_sim::block_on(async {
///     let searches: Debounce = Debounce::new(ms(300));
///     let (a, b) = zip(searches.call(|| search("a")), searches.call(|| search("ab"))).await;
///     assert!(a.unwrap_err().is_superseded());
///     assert_eq!(b.unwrap(), 2);
/// });
/// ```
pub type Debounce<P, M = Reject> = Gate<P, Debouncing, M>;

impl<P: Platform<Clock: Ambient>> Gate<P, Debouncing, Reject> {
    /// Waits so long after the last call of a burst. Its callers wait for their results.
    #[must_use]
    pub const fn new(wait: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, wait)
    }
}

impl<P: Platform<Clock: Ambient>, T, S: Storage> Gate<P, Debouncing, Share<T, S>> {
    /// Waits so long after the last call of a burst. All callers end with the one result.
    #[must_use]
    pub const fn shared(wait: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, wait)
    }
}

impl<P: Platform<Clock: Ambient>, V> Gate<P, Debouncing, Trigger<V>> {
    /// Waits so long after the last value of a burst. Its callers leave values, and do not wait.
    #[must_use]
    pub const fn triggered(wait: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, wait)
    }
}

impl<P: Platform, M: Mode> Gate<P, Debouncing, M> {
    /// As `new`, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, wait: Duration) -> Self {
        Self::with_terms(clock, Terms::debounce(wait))
    }

    /// Starts no later than that after the first call of a burst, or its last start, however many calls put it off. At least `wait`. Default: never.
    #[must_use]
    pub const fn max_wait(self, max_wait: Duration) -> Self {
        self.with_max_wait(max_wait)
    }
}
