/// An instant in three bytes, for whoever knows another one that is not far from it, and which of them is the earlier one: as much of it as tells the difference. It is rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact(pub(super) [u8; 3]);

/// So many bits are kept, and how many there are below them.
const KEPT: u32 = 18;
const MASK: u64 = (1 << KEPT) - 1;

impl Compact {
    pub(super) const ZERO: Self = Self([0; 3]);

    /// That instant, for who knows one that is no further from it than `span`. It is rounded by less than a 65,536th of that.
    pub(super) fn of(nanos: u64, span: u64) -> Self {
        // Of all that are so near, no two have the same bits.
        let below = (u64::BITS - span.leading_zeros()).saturating_sub(KEPT - 1);
        let kept = (nanos >> below) & MASK;
        let [.., a, b, c] = (kept | u64::from(below) << KEPT).to_be_bytes();
        Self([a, b, c])
    }

    /// The instant, which is not before that one.
    pub(super) fn from(self, nanos: u64) -> u64 {
        let (kept, below) = self.parts();
        let there = nanos >> below;
        there.saturating_add(kept.wrapping_sub(there) & MASK) << below
    }

    /// The instant, which is not after that one.
    pub(super) fn until(self, nanos: u64) -> u64 {
        let (kept, below) = self.parts();
        let there = nanos >> below;
        there.saturating_sub(there.wrapping_sub(kept) & MASK) << below
    }

    fn parts(self) -> (u64, u64) {
        let [a, b, c] = self.0;
        let packed = u64::from(u32::from_be_bytes([0, a, b, c]));
        (packed & MASK, packed >> KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_known_from_one_near_it() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let span = random.u64(1..) >> random.u32(0..63);
            let at = random.u64(..) >> random.u32(0..60);
            let error = |known: u64| (known <= at).then(|| at - known);
            let (before, after) = (at.saturating_sub(random.u64(..=span)), at.saturating_add(random.u64(..=span)));
            for known in [Compact::of(at, span).from(before), Compact::of(at, span).until(after)] {
                assert!(error(known).is_some_and(|error| error <= span / 65_536), "{at} is {known} within {span}");
            }
        }
    }

    #[test]
    fn what_is_near_is_exact() {
        for (at, other) in [(0, 0), (131_071, 0), (131_071, 131_071), (1_131_070, 1_000_000)] {
            assert_eq!(Compact::of(at, 131_071).from(other), at);
            assert_eq!(Compact::of(other, 131_071).until(at), other);
        }
    }
}
