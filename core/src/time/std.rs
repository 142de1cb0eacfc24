//! The system's clock and ours.

use std::sync::OnceLock;

use super::{Instant, duration, nanos};

/// The system's instant that is our origin, or that of ours where one so early cannot be told.
struct Anchor {
    instant: std::time::Instant,
    at: u64,
}

/// How far from the present our origin lies, if it can: in the middle of our scale. A paused or mocked clock may show times before the process first looked at a clock.
const MIDDLE: u64 = 1 << 62;

#[inline]
fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(|| {
        let now = std::time::Instant::now();
        match now.checked_sub(duration(MIDDLE)) {
            Some(instant) => Anchor { instant, at: 0 },
            None => Anchor { instant: now, at: MIDDLE },
        }
    })
}

/// All instants of a process that come from the system's clock share one origin.
impl From<std::time::Instant> for Instant {
    #[inline]
    fn from(instant: std::time::Instant) -> Self {
        let Anchor { instant: anchor, at } = anchor();
        match instant.checked_duration_since(*anchor) {
            Some(after) => Self(at.saturating_add(nanos(after))),
            None => before(*anchor, *at, instant),
        }
    }
}

#[cold]
fn before(anchor: std::time::Instant, at: u64, instant: std::time::Instant) -> Instant {
    Instant(at.saturating_sub(nanos(anchor.saturating_duration_since(instant))))
}

/// The inverse; `None` for [`Instant::MAX`] and all else that the system's clock cannot tell.
impl From<Instant> for Option<std::time::Instant> {
    #[inline]
    fn from(instant: Instant) -> Self {
        if instant.is_never() {
            return None;
        }
        let Anchor { instant: anchor, at } = anchor();
        match instant.0.checked_sub(*at) {
            Some(after) => anchor.checked_add(duration(after)),
            None => anchor.checked_sub(duration(at.saturating_sub(instant.0))),
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
