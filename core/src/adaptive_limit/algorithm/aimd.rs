use core::time::Duration;

use super::{Algorithm, Sample};
use crate::config::ConfigError;
use crate::ratio::{Ratio, percent};
use crate::time::{duration, nanos};

/// Additive increase, multiplicative decrease: one more after each window, and a tenth less after each overload, as TCP Reno does.
///
/// Overload is what the [judge](crate::Judge) says, and a call that took longer than `max_latency`. So the limit goes up and down about the one at which calls take that long: it has to be known what is too slow. The
/// other rules find that out.
///
/// The semantics are those of `AIMDLimit` in Netflix's concurrency-limits, whose `timeout` is `max_latency` here; but that is per window here, and not per call.
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

    fn measured(&self, (): &mut (), limit: u32, _: &Sample) -> u32 {
        limit.saturating_add(1)
    }

    fn overloaded(&self, (): &mut (), limit: u32) -> u32 {
        u32::try_from(self.backoff.of(limit.into())).unwrap_or(limit)
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}
