//! When a start is late enough for another one.

use core::time::Duration;

use super::latencies::{KEPT, Latencies};
use crate::config::ConfigError;
use crate::ratio::Ratio;
use crate::time::{duration, nanos};

/// How long a [`Hedge`](super::Hedge) waits before it starts another: [`After`] a fixed time, or at a [`Percentile`] of what calls took.
pub trait Delay: Rule {}

impl<D: Rule> Delay for D {}

/// What a delay is made from; under the lock, so that it is none of the caller's.
pub trait Rule: Copy {
    /// What it keeps of the calls.
    type Seen;

    /// Of none.
    const NOTHING: Self::Seen;

    /// Whether it has to know how long calls take.
    const MEASURES: bool;

    /// Nanoseconds.
    fn delay(&self, seen: &Self::Seen) -> u64;

    /// A call has succeeded, so many nanoseconds after it began.
    fn record(&self, seen: &mut Self::Seen, nanos: u64);

    /// What is wrong with it, if anything is.
    fn config_error(&self) -> Option<ConfigError>;
}

/// A fixed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct After {
    /// Nanoseconds.
    delay: u64,
}

impl After {
    /// So long. With zero, all start at once; with [`Duration::MAX`], none before another has failed.
    #[must_use]
    pub const fn new(delay: Duration) -> Self {
        Self { delay: nanos(delay) }
    }

    /// No time is wrong.
    #[expect(clippy::unused_self, reason = "as of the other")]
    pub(super) const fn wrong(self) -> Option<ConfigError> {
        None
    }
}

impl Rule for After {
    type Seen = ();

    const NOTHING: () = ();
    const MEASURES: bool = false;

    #[inline]
    fn delay(&self, (): &()) -> u64 {
        self.delay
    }

    fn record(&self, (): &mut (), _nanos: u64) {}

    #[inline]
    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}

/// As long as that share of the calls took that were seen last: some thousand of them, each weighing half as much as one that came a thousand later.
///
/// Latencies are kept in buckets of an eighth of their length at most, from a microsecond to a minute, and the delay is the end of one. It takes 400 bytes, however many calls there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Percentile {
    share: Ratio,
    pub(super) min_samples: u32,
    /// Nanoseconds.
    initial: u64,
    /// Nanoseconds.
    min: u64,
    /// Nanoseconds.
    max: u64,
}

impl Percentile {
    /// That of this share, above zero and at most one.
    #[must_use]
    pub const fn new(share: Ratio) -> Self {
        Self { share, min_samples: 100, initial: u64::MAX, min: 1_000_000, max: u64::MAX }
    }

    /// Waits so long before there are samples enough.
    #[must_use]
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial = nanos(delay);
        self
    }

    /// How many samples are enough.
    #[must_use]
    pub const fn min_samples(mut self, samples: u32) -> Self {
        self.min_samples = samples;
        self
    }

    /// Waits at least so long.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.min = nanos(delay);
        self
    }

    /// Waits no longer than that, at least [`min_delay`](Percentile::min_delay).
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max = nanos(delay);
        self
    }

    pub(super) const fn wrong(self) -> Option<ConfigError> {
        if !self.share.is_share() {
            return Some(ConfigError::Percentile { value: self.share });
        }
        if self.min_samples == 0 || self.min_samples > KEPT {
            return Some(ConfigError::MinSamples { value: self.min_samples, most: KEPT });
        }
        if self.max < self.min {
            return Some(ConfigError::MaxDelay { value: duration(self.max), min: duration(self.min) });
        }
        None
    }
}

impl Rule for Percentile {
    type Seen = Latencies;

    const NOTHING: Latencies = Latencies::NONE;
    const MEASURES: bool = true;

    #[inline]
    fn delay(&self, seen: &Latencies) -> u64 {
        if seen.total() < self.min_samples { self.initial } else { seen.percentile().max(self.min).min(self.max) }
    }

    fn record(&self, seen: &mut Latencies, nanos: u64) {
        seen.record(nanos, self.share);
    }

    #[inline]
    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}
