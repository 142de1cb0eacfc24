use super::{Call, Tally, Trip};
use crate::config::ConfigError;
use crate::time::Instant;

/// Trips when so many calls in a row have failed. A success in between starts the count anew, however long ago the failures were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Consecutive {
    failures: u32,
}

impl Consecutive {
    /// So many failures in a row, at least 1.
    #[must_use]
    pub const fn new(failures: u32) -> Self {
        Self { failures }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        if self.failures == 0 { Some(ConfigError::ConsecutiveFailures { value: 0 }) } else { None }
    }
}

impl Trip for Consecutive {
    /// How many the last ones in a row are that failed.
    type State = u32;

    const START: u32 = 0;

    #[inline]
    fn record(&self, state: &mut u32, call: Call, _now: Instant) -> bool {
        *state = if call.failed { state.saturating_add(1) } else { 0 };
        *state >= self.failures
    }

    #[inline]
    fn is_calm(&self, state: &u32) -> bool {
        *state == 0
    }

    fn tally(&self, state: &u32, _now: Instant) -> Tally {
        Tally { calls: *state, failures: *state, slow: 0 }
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}
