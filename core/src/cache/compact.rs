/// An instant in three bytes, for whoever knows another one that is not far from it: as much of it as tells the difference. It is rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact([u8; 3]);

/// The longest span between two instants: 31 years and eight months.
pub(super) const LONGEST: u64 = 1_000_000_000_000_000_000;

/// So many bits are kept, and how many there are below them.
const KEPT: u32 = 18;
const MASK: u64 = (1 << KEPT) - 1;

impl Compact {
    pub(super) const ZERO: Self = Self([0; 3]);

    /// That instant, for who knows one that is no further from it than `span`. It is rounded by less than a thirty-thousandth of that.
    pub(super) fn of(nanos: u64, span: u64) -> Self {
        // Of all that are so near, no two have the same bits, before and after.
        let below = (u64::BITS - span.leading_zeros()).saturating_sub(KEPT - 2);
        let kept = (nanos >> below) & MASK;
        let [.., a, b, c] = (kept | u64::from(below) << KEPT).to_be_bytes();
        Self([a, b, c])
    }

    /// The instant, which is near to that one.
    pub(super) fn near(self, nanos: u64) -> u64 {
        let [a, b, c] = self.0;
        let packed = u64::from(u32::from_be_bytes([0, a, b, c]));
        let (kept, below) = (packed & MASK, packed >> KEPT);
        let there = nanos >> below;
        let ahead = kept.wrapping_sub(there) & MASK;
        let index = if ahead <= MASK / 2 { there.saturating_add(ahead) } else { there.saturating_sub(MASK + 1 - ahead) };
        index << below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_known_from_one_near_it() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let span = random.u64(1..LONGEST) >> random.u32(0..60);
            let at = random.u64(..2 * LONGEST) >> random.u32(0..60);
            let other = if random.bool() { at + random.u64(..=span) } else { at.saturating_sub(random.u64(..=span)) };
            let known = Compact::of(at, span).near(other);
            assert!(known <= at && at - known <= span / 32_768, "{at} is {known} to {other}, within {span}");
        }
    }

    #[test]
    fn what_is_near_is_exact() {
        for (at, other) in [(0, 0), (0, 65_535), (65_535, 0), (1_000_000, 1_000_007), (1_000_007, 1_000_000)] {
            assert_eq!(Compact::of(at, 65_535).near(other), at);
        }
    }
}
