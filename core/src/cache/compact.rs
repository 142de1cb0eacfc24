/// A span of time in four bytes: eight decimal digits, and by which power of ten nanoseconds they count. What people set is exact; what is longer in digits is rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact(u32);

/// The longest span: 126 years and nine months.
pub(super) const LONGEST: u64 = 4_000_000_000_000_000_000;

const DIGITS: u32 = 28;

const POWERS: [u64; 16] = {
    let mut powers = [1; 16];
    let mut exponent = 1;
    while exponent < 16 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

impl Compact {
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn from_nanos(nanos: u64) -> Self {
        let mut digits = if nanos < LONGEST { nanos } else { LONGEST };
        let mut exponent = 0;
        while digits >> DIGITS > 0 {
            digits /= 10;
            exponent += 1;
        }
        #[allow(clippy::cast_possible_truncation, reason = "the loop has seen to it")]
        Self(digits as u32 | exponent << DIGITS)
    }

    pub(super) fn nanos(self) -> u64 {
        let power = POWERS.get((self.0 >> DIGITS) as usize).copied().unwrap_or(1);
        u64::from(self.0 & ((1 << DIGITS) - 1)) * power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_set_is_exact() {
        for nanos in [0, 1, 999, 1_500_000, 300_000_000_000, 86_400_000_000_000, 31_536_000_000_000_000, LONGEST] {
            assert_eq!(Compact::from_nanos(nanos).nanos(), nanos);
        }
    }

    #[test]
    fn the_rest_is_hardly_shorter() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let nanos = random.u64(..LONGEST) >> random.u32(0..62);
            let kept = Compact::from_nanos(nanos).nanos();
            assert!(kept <= nanos && nanos - kept <= nanos / 20_000_000, "{nanos} is kept as {kept}");
        }
        assert_eq!(Compact::from_nanos(u64::MAX).nanos(), LONGEST);
    }
}
