/// A draw from the exponential distribution of mean `mean`, for a number that is as likely as any other: `-mean × ln(random / 2⁶⁴)`, to within one part in a hundred, and at most 44 times the mean.
///
/// The logarithm is that of the leading bits, and between two powers of two a parabola that touches it at both.
pub(super) fn exponential(random: u64, mean: u64) -> u64 {
    // By 2¹⁶, as all that follows.
    const LN_2: u64 = 45_426;
    const BEND: u64 = 22_713;
    let zeros = random.leading_zeros();
    // What follows the leading bit.
    let fraction = if zeros < 63 { (random << (zeros + 1)) >> 48 } else { 0 };
    let bend = (((fraction * (65_536 - fraction)) >> 16) * BEND) >> 16;
    let log_2 = u64::from(64 - zeros.min(63)) * 65_536 - 65_536 + fraction + bend;
    let drawn = ((64 * 65_536_u64).saturating_sub(log_2) * LN_2) >> 16;
    u64::try_from((u128::from(mean) * u128::from(drawn)) >> 16).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn draws_as_the_logarithm_says() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100_000 {
            let number = random.u64(..) >> random.u32(0..64);
            #[allow(clippy::cast_precision_loss, reason = "a part in a hundred is asked for")]
            let (exact, drawn) = (-(number.max(1) as f64 / 2_f64.powi(64)).ln(), exponential(number.max(1), 1 << 32) as f64);
            let drawn = drawn / 2_f64.powi(32);
            assert!((exact - drawn).abs() <= 0.01 * exact.max(0.6), "{number}: {exact} is not {drawn}");
        }
        assert_eq!(exponential(0, 1_000), exponential(1, 1_000));
        assert_eq!(exponential(7, 0), 0);
        assert_eq!(exponential(1, u64::MAX), u64::MAX);
    }
}
