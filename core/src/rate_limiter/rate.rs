use core::fmt;
use core::time::Duration;

use crate::config::ConfigError;
use crate::time::{duration, nanos};

/// So many permits in so much time.
///
/// # Examples
///
/// ```
/// use aplomb::rate_limiter::Rate;
/// use aplomb::time::secs;
///
/// assert_eq!(Rate::per_minute(100), Rate::new(100, secs(60)));
/// assert_eq!(Rate::new(7, secs(3)).to_string(), "7 per 3s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rate {
    permits: u32,
    /// Nanoseconds.
    per: u64,
}

impl Rate {
    /// `permits` in each `per`. At least one permit, in more than no time; [`Duration::MAX`] is never: what has been taken never comes back.
    #[must_use]
    pub const fn new(permits: u32, per: Duration) -> Self {
        Self { permits, per: nanos(per) }
    }

    /// So many permits a second.
    #[must_use]
    pub const fn per_second(permits: u32) -> Self {
        Self::new(permits, Duration::from_secs(1))
    }

    /// So many permits a minute.
    #[must_use]
    pub const fn per_minute(permits: u32) -> Self {
        Self::new(permits, Duration::from_mins(1))
    }

    /// So many permits an hour.
    #[must_use]
    pub const fn per_hour(permits: u32) -> Self {
        Self::new(permits, Duration::from_hours(1))
    }

    /// So many permits a day, of 24 hours.
    #[must_use]
    pub const fn per_day(permits: u32) -> Self {
        Self::new(permits, Duration::from_hours(24))
    }

    /// How many permits.
    #[must_use]
    pub const fn permits(self) -> u32 {
        self.permits
    }

    /// In how much time.
    #[must_use]
    pub const fn per(self) -> Duration {
        duration(self.per)
    }

    pub(super) const fn per_nanos(self) -> u64 {
        self.per
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        if self.permits == 0 {
            Some(ConfigError::Permits { value: 0 })
        } else if self.per == 0 {
            Some(ConfigError::Per { value: Duration::ZERO })
        } else {
            None
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.permits, self.per())
    }
}
