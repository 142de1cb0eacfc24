//! The system's clock and ours.

use std::sync::OnceLock;

use super::{Instant, duration, nanos};

/// Where the process's anchor lies on our scale: in the middle of it. A paused or mocked clock may show times before the process first looked at a clock.
const ANCHOR: u64 = 1 << 62;

#[inline]
fn anchor() -> std::time::Instant {
    static ANCHOR: OnceLock<std::time::Instant> = OnceLock::new();
    *ANCHOR.get_or_init(std::time::Instant::now)
}

/// All instants of a process that come from the system's clock share one origin.
impl From<std::time::Instant> for Instant {
    #[inline]
    fn from(instant: std::time::Instant) -> Self {
        let anchor = anchor();
        Self(match instant.checked_duration_since(anchor) {
            Some(after) => ANCHOR.saturating_add(nanos(after)),
            None => ANCHOR.saturating_sub(nanos(anchor.saturating_duration_since(instant))),
        })
    }
}

/// The inverse; `None` for [`Instant::MAX`] and all else that the system's clock cannot tell.
impl From<Instant> for Option<std::time::Instant> {
    #[inline]
    fn from(instant: Instant) -> Self {
        if instant.is_never() {
            return None;
        }
        match instant.0.checked_sub(ANCHOR) {
            Some(after) => anchor().checked_add(duration(after)),
            None => anchor().checked_sub(duration(ANCHOR.saturating_sub(instant.0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn instants_of_the_system_come_back_as_they_were() {
        let now = std::time::Instant::now();
        for instant in [now, now + Duration::from_nanos(1), now + Duration::from_hours(1)] {
            assert_eq!(Option::from(Instant::from(instant)), Some(instant));
        }
        assert_eq!(Option::<std::time::Instant>::from(Instant::MAX), None);
    }
}
