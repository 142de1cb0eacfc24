//! Throttle: never closer than an interval.
//!
//! ```text
//! calls      a b c d          e
//! throttle   a     |d    |    e         at once when idle; the newest when the interval is over
//! ```
//!
//! # What it promises
//!
//! - Starts are never closer than `interval`, counted from when a start is made, however late that was, and however coarse the [clock](crate::Clock::TICK). (A [`flush`](crate::edge::Gate::flush) is the exception: that is what it is for. What comes after it keeps its distance again.)
//! - A call that finds no interval running starts at once ([`leading`](crate::edge::Gate::leading), the default); without a leading edge it opens an interval, and starts at its end.
//! - The newest call that came within an interval starts when it is over ([`trailing`](crate::edge::Gate::trailing), the default), and another interval begins. Without a trailing edge, calls within an interval end at once.
//! - A caller whose place is taken ends with [`Superseded`](crate::edge::EdgeError::Superseded), at the instant of the newer call. Nobody is left pending.
//! - An interval of zero keeps nobody. (Without a leading edge, the newest of the calls that come at once starts.)
//! - An interval is over at its very instant: a call that comes then starts, and takes the place of the one that was about to.
//!
//! # When not to use it
//!
//! When each call has to happen: that is a rate limiter, or, for a stream, [`pace`](crate::edge::PaceStream). When only the end of a burst matters: that is [`debounce`](crate::debounce).
//!
//! # How others differ
//!
//! The semantics are those of `RxJS`'s `throttleTime`, and but for three rules those of lodash's `throttle`. *Starts are never closer than `interval`*: lodash looks at the last call, not at the last start, and lets a call start soon after a trailing one. *The interval counts from the last start*:
//! lodash, and `RxJS`'s `auditTime`, begin a new one with the first call after a trailing start, and so may start later than they might. (As a stream, [`audit`](crate::edge::EdgeStream::audit) does so too.) *The distance is kept after a cancel*: lodash forgets the last start. With
//! exactly these three, a port of lodash does what this does in thousands of random scripts: see `tests/originals`.

use core::time::Duration;

use crate::edge::{Gate, Mode, Reject, Share, Terms, Trigger};
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;

/// Of a [`Gate`]: that it throttles.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Throttling;

/// Keeps starts an interval apart: the first call at once, the newest of the others when the interval is over.
///
/// | setting | default |
/// | --- | --- |
/// | [`leading`](Gate::leading) | yes |
/// | [`trailing`](Gate::trailing) | yes |
///
/// # Examples
///
/// A display that is redrawn at most every 50 ms:
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static REDRAW: Throttle<Trigger<u32>> = checked!(Throttle::triggered(ms(50)));
///
/// async fn draw(position: u32) { println!("{position}"); }
///
/// aplomb_sim::block_on(async {
///     aplomb_sim::spawn("driver", async { REDRAW.run(draw).await });
///     for position in 0..100 {
///         REDRAW.trigger(position);
///     }
/// });
/// ```
pub type Throttle<P, M = Reject> = Gate<P, Throttling, M>;

impl<P: Platform<Clock: Ambient>> Gate<P, Throttling, Reject> {
    /// Keeps starts so far apart. Its callers wait for their results.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, interval)
    }
}

impl<P: Platform<Clock: Ambient>, T, S: Storage> Gate<P, Throttling, Share<T, S>> {
    /// Keeps starts so far apart. All callers end with the one result.
    #[must_use]
    pub const fn shared(interval: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, interval)
    }
}

impl<P: Platform<Clock: Ambient>, V> Gate<P, Throttling, Trigger<V>> {
    /// Keeps starts so far apart. Its callers leave values, and do not wait.
    #[must_use]
    pub const fn triggered(interval: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, interval)
    }
}

impl<P: Platform, M: Mode> Gate<P, Throttling, M> {
    /// As `new`, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, interval: Duration) -> Self {
        Self::with_terms(clock, Terms::throttle(interval))
    }
}
