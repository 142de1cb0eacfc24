use crate::time::Instant;

/// What a clock says, and by how many nanoseconds the time may be ahead of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) now: Instant,
    pub(super) tick: u64,
}

impl Reading {
    /// Of a clock that is always right.
    pub(super) const fn exact(now: Instant) -> Self {
        Self { now, tick: 0 }
    }

    /// Whether that is over which is due then, by another reading, which may have lain behind as well.
    pub(super) fn is_past(self, due: Instant) -> bool {
        self.now >= due.saturating_add_nanos(self.tick)
    }
}
