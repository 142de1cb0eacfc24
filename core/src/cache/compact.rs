use crate::wide::divided;

/// A span of time in three bytes: six decimal digits, and by which power of ten nanoseconds they count. What has more is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact([u8; 3]);

/// The longest span: 31 years and eight months.
pub(super) const LONGEST: u64 = 1_000_000_000_000_000_000;

const DIGITS: u32 = 20;

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
    pub(super) const ZERO: Self = Self([0; 3]);

    pub(super) fn no_less(nanos: u64) -> Self {
        Self::rounded(nanos, true)
    }

    pub(super) fn no_more(nanos: u64) -> Self {
        Self::rounded(nanos, false)
    }

    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn rounded(nanos: u64, up: bool) -> Self {
        let mut digits = nanos.min(LONGEST);
        let mut exponent = 0_u32;
        while digits >> DIGITS > 0 {
            let (tenth, rest) = divided(digits, 10).unwrap_or((0, 0));
            digits = tenth + u64::from(up && rest > 0);
            exponent += 1;
        }
        let [_, a, b, c] = (u32::try_from(digits).unwrap_or(0) | exponent << DIGITS).to_be_bytes();
        Self([a, b, c])
    }

    pub(super) fn nanos(self) -> u64 {
        let [a, b, c] = self.0;
        let packed = u32::from_be_bytes([0, a, b, c]);
        let power = usize::try_from(packed >> DIGITS).ok().and_then(|exponent| POWERS.get(exponent));
        u64::from(packed & ((1 << DIGITS) - 1)) * power.copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_few_digits_is_exact() {
        for nanos in [0, 1, 999, 1_500_000, 300_000_000_000, 86_400_000_000_000, 31_536_000_000_000_000, LONGEST] {
            assert_eq!([Compact::no_less(nanos), Compact::no_more(nanos)].map(Compact::nanos), [nanos; 2]);
        }
    }

    #[test]
    fn the_rest_is_hardly_longer_or_shorter() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let nanos = random.u64(..LONGEST) >> random.u32(0..60);
            let (more, less) = (Compact::no_less(nanos).nanos(), Compact::no_more(nanos).nanos());
            assert!(less <= nanos && nanos <= more && more - less <= nanos / 100_000, "{nanos} is {less} or {more}");
        }
    }
}
