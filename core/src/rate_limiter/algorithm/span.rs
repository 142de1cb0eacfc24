use crate::time::Instant;

/// Nanoseconds, and a fraction of one: so many parts, of which a bucket's `denominator` are a whole. They are compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Span {
    pub(super) whole: u64,
    pub(super) parts: u32,
}

impl Span {
    pub(super) const ZERO: Self = Self { whole: 0, parts: 0 };

    pub(super) const fn at(instant: Instant) -> Self {
        Self { whole: instant.as_nanos(), parts: 0 }
    }

    /// The first whole nanosecond that is not before it.
    pub(super) fn round_up(self) -> Instant {
        Instant::from_nanos(self.whole.saturating_add(u64::from(self.parts > 0)))
    }
}
