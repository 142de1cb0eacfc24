use core::time::Duration;

use super::{Algorithm, Sample, grown};
use crate::config::ConfigError;
use crate::ratio::{Ratio, percent};
use crate::time::{duration, nanos};

/// Additive increase, multiplicative decrease, as TCP Reno does: after each window one more for each time that as many calls have ended as the limit allows at once, a twentieth at most; and a tenth less after a window that was overloaded.
///
/// A sign of overload is what the [judge](crate::Judge) says, and a call that took longer than `max_latency`. So the limit goes up and down about the one at which as many calls take that long as are [tolerated](crate::AdaptiveLimit::overload_tolerance): it has to be known what is too slow. The
/// other rules find that out.
///
/// The semantics are those of `AIMDLimit` in Netflix's concurrency-limits, whose `timeout` is `max_latency` here; but there each call that ends well adds one, and each that does not takes a tenth away, and here that is weighed by windows.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::Aimd;
/// use aplomb_sim::prelude::*;
///
/// static SEARCH: AdaptiveLimit<Aimd> = checked!(AdaptiveLimit::new().algorithm(Aimd::new(ms(250)).backoff(percent(80))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Aimd {
    /// Nanoseconds.
    max_latency: u64,
    backoff: Ratio,
}

impl Aimd {
    /// A call that takes longer than that is a sign of overload; longer than zero. [`Duration::MAX`]: none is, and only the judge says what is.
    #[must_use]
    pub const fn new(max_latency: Duration) -> Self {
        Self { max_latency: nanos(max_latency), backoff: percent(90) }
    }

    /// What is left of the limit after an overload: at least a half, and less than one. Default: 90 %.
    #[must_use]
    pub const fn backoff(mut self, ratio: Ratio) -> Self {
        self.backoff = ratio;
        self
    }

    pub(crate) const fn wrong(self) -> Option<ConfigError> {
        if self.max_latency == 0 {
            return Some(ConfigError::MaxLatency { value: duration(self.max_latency) });
        }
        // Exactly one is no decrease, and less than a half is a cut.
        let parts = self.backoff.of(1 << 32);
        let is_decrease = self.backoff.is_share() && parts >= 1 << 31 && parts < 1 << 32;
        if is_decrease { None } else { Some(ConfigError::BackoffRatio { value: self.backoff }) }
    }
}

impl Algorithm for Aimd {
    type State = ();
    const START: () = ();

    #[inline]
    fn is_overload(&self, latency: u64) -> bool {
        latency > self.max_latency
    }

    fn measured(&self, (): &mut (), limit: u32, sample: &Sample) -> u32 {
        u32::try_from(grown(limit.into(), 1, sample.rounds(limit))).unwrap_or(u32::MAX)
    }

    fn overloaded(&self, (): &mut (), limit: u32) -> u32 {
        u32::try_from(self.backoff.of(limit.into())).unwrap_or(limit)
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}
