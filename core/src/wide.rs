//! Arithmetic of 64 bits, by the processor's own instructions where it has them; elsewhere in little code, which is there once.
//!
//! On a Cortex-M0 the compiler's division of 64 bits takes 1.4 KiB, and a saturating multiplication is made of four others wherever it stands. Ours takes a sixth of that, and as many rounds as the quotient has bits: 65 instructions for none, 270 for six bits, where the compiler's takes 170 and 300; 2,500 for 63 (Cortex-M3: 40,
//! 175 and 1,700). It is for configuration, for reports, and for what happens once in a while; whoever takes a permit or records a call does without. `.ci/inspect` knows who may divide.

use core::fmt;
use core::time::Duration;

const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// 64 bits that lie wherever 32 can: beside fields of that size, none are lost to padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halves([u32; 2]);

impl Halves {
    #[allow(clippy::cast_possible_truncation, reason = "what does not fit into a half is in the other one")]
    #[inline]
    pub(crate) const fn of(number: u64) -> Self {
        Self([number as u32, (number >> 32) as u32])
    }

    #[allow(clippy::cast_lossless, reason = "conversions are not const")]
    #[inline]
    pub(crate) const fn get(self) -> u64 {
        let Self([low, high]) = self;
        (high as u64) << 32 | low as u64
    }
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Halves {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", self.get());
    }
}

/// The upper half of the product.
#[cfg(target_pointer_width = "64")]
#[allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    reason = "conversions are not const, and half of 128 bits are 64"
)]
#[inline]
pub(crate) const fn high_half(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// The upper half of the product, by four multiplications of 32 bits.
#[cfg(not(target_pointer_width = "64"))]
#[inline(never)]
pub(crate) const fn high_half(a: u64, b: u64) -> u64 {
    by_quarters(a, b)
}

#[cfg(any(test, not(target_pointer_width = "64")))]
const fn by_quarters(a: u64, b: u64) -> u64 {
    const LOW: u64 = 0xffff_ffff;
    let (a1, a0, b1, b0) = (a >> 32, a & LOW, b >> 32, b & LOW);
    let middle = a1 * b0 + ((a0 * b0) >> 32);
    let carry = (middle & LOW) + a0 * b1;
    a1 * b1 + (middle >> 32) + (carry >> 32)
}

/// Quotient and remainder; none if `divisor` is zero.
#[cfg(target_pointer_width = "64")]
#[inline]
pub(crate) const fn divided(number: u64, divisor: u64) -> Option<(u64, u64)> {
    match (number.checked_div(divisor), number.checked_rem(divisor)) {
        (Some(quotient), Some(rest)) => Some((quotient, rest)),
        _ => None,
    }
}

/// Quotient and remainder; none if `divisor` is zero.
#[cfg(not(target_pointer_width = "64"))]
#[inline(never)]
pub(crate) const fn divided(number: u64, divisor: u64) -> Option<(u64, u64)> {
    if divisor == 0 { None } else { Some(place_by_place(number, divisor)) }
}

/// The quotient; zero if `divisor` is.
#[inline]
pub(crate) const fn quotient(number: u64, divisor: u64) -> u64 {
    match divided(number, divisor) {
        Some((quotient, _)) => quotient,
        None => 0,
    }
}

#[cfg(any(test, not(target_pointer_width = "64")))]
const fn place_by_place(number: u64, divisor: u64) -> (u64, u64) {
    let (mut quotient, mut rest) = (0_u64, number);
    let (mut shifted, mut places) = (divisor, 0_u32);
    while shifted <= rest >> 1 {
        shifted <<= 1;
        places += 1;
    }
    loop {
        quotient <<= 1;
        if rest >= shifted {
            rest = rest.wrapping_sub(shifted);
            quotient |= 1;
        }
        if places == 0 {
            return (quotient, rest);
        }
        shifted >>= 1;
        places -= 1;
    }
}

/// The sum; at most `u64::MAX`.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) const fn sum(a: u64, b: u64) -> u64 {
    a.saturating_add(b)
}

/// What is left; at least zero.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) const fn rest(a: u64, b: u64) -> u64 {
    a.saturating_sub(b)
}

/// The product; at most `u64::MAX`.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) const fn scaled(number: u64, by: u64) -> u64 {
    if cfg!(target_pointer_width = "64") {
        return number.saturating_mul(by);
    }
    if high_half(number, by) == 0 { number.wrapping_mul(by) } else { u64::MAX }
}

/// So many nanoseconds.
#[cfg(target_pointer_width = "64")]
#[allow(clippy::cast_possible_truncation, reason = "it is less than a second; conversions are not const")]
#[inline]
pub(crate) const fn duration(nanos: u64) -> Duration {
    // Most are short, and whoever is to wait need not wait for the two multiplications by which a long one is divided.
    if nanos < NANOS_PER_SECOND as u64 { Duration::new(0, nanos as u32) } else { long(nanos) }
}

#[cfg(target_pointer_width = "64")]
#[cold]
const fn long(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// So many nanoseconds, without a division.
#[cfg(not(target_pointer_width = "64"))]
#[inline(never)]
pub(crate) const fn duration(nanos: u64) -> Duration {
    by_reciprocal(nanos)
}

#[cfg(any(test, not(target_pointer_width = "64")))]
#[allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    reason = "conversions are not const, and the rest is less than a second"
)]
const fn by_reciprocal(nanos: u64) -> Duration {
    // A billion is 2^9 * 5^9, and this 2^75 / 5^9, rounded up: the sum of the errors is less than one for all 55 bits that are left.
    const RECIPROCAL: u64 = 19_342_813_113_834_067;
    let seconds = by_quarters(nanos >> 9, RECIPROCAL) >> 11;
    let rest = nanos.wrapping_sub(seconds.wrapping_mul(NANOS_PER_SECOND as u64)) as u32;
    of_parts(seconds, rest)
}

/// Nanoseconds are less than a second; but the compiler has to see that nothing overflows.
#[cfg(any(test, not(target_pointer_width = "64")))]
#[inline]
const fn of_parts(seconds: u64, nanos: u32) -> Duration {
    if nanos < NANOS_PER_SECOND { Duration::new(seconds, nanos) } else { Duration::from_secs(seconds) }
}

/// So many milliseconds.
#[cfg(target_pointer_width = "64")]
#[inline]
pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many milliseconds, without a division of 64 bits.
#[cfg(not(target_pointer_width = "64"))]
#[inline]
pub(crate) const fn millis(millis: u64) -> Duration {
    by_seconds(millis)
}

#[cfg(any(test, not(target_pointer_width = "64")))]
#[allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    reason = "conversions are not const, and what is cut off is none"
)]
#[inline]
const fn by_seconds(millis: u64) -> Duration {
    if millis > u32::MAX as u64 {
        return by_many_seconds(millis);
    }
    let millis = millis as u32;
    of_parts((millis / 1_000) as u64, millis % 1_000 * 1_000_000)
}

/// More than seven weeks.
#[cfg(any(test, not(target_pointer_width = "64")))]
#[allow(clippy::cast_possible_truncation, reason = "the rest is less than a second")]
#[cold]
const fn by_many_seconds(millis: u64) -> Duration {
    // A thousand is 2^3 * 5^3, and this 2^70 / 5^3, rounded up, by less than one: enough for the 61 bits that are left.
    const RECIPROCAL: u64 = 9_444_732_965_739_290_428;
    let seconds = by_quarters(millis >> 3, RECIPROCAL) >> 6;
    let rest = millis.wrapping_sub(seconds.wrapping_mul(1_000)) as u32;
    of_parts(seconds, rest.wrapping_mul(1_000_000))
}

/// The nanoseconds of a duration; at most `u64::MAX`.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
#[allow(clippy::cast_lossless, reason = "conversions are not const")]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs();
    if seconds > u64::MAX / NANOS_PER_SECOND as u64 {
        return u64::MAX;
    }
    (seconds * NANOS_PER_SECOND as u64).saturating_add(duration.subsec_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    /// The ends of everything, and numbers of all lengths.
    fn numbers() -> impl Iterator<Item = u64> {
        let mut rng = Rng::with_seed(7);
        let ends = [0, 1, 999_999_999, 1_000_000_000, 1_000_000_001, 1 << 32, (1 << 32) - 1, u64::MAX - 1, u64::MAX];
        let seconds = [18_446_744_073_u64, 18_446_744_072, 1 << 33].map(|second| second * 1_000_000_000);
        ends.into_iter().chain(seconds).chain((0..2_000).map(move |_| rng.u64(..) >> rng.u32(..64)))
    }

    #[test]
    fn a_duration_by_the_reciprocal_is_that_by_division() {
        for nanos_ in numbers().flat_map(|n| [n.saturating_sub(1), n, n / 1_000_000_000 * 1_000_000_000]) {
            assert_eq!(by_reciprocal(nanos_), Duration::from_nanos(nanos_), "{nanos_}");
            assert_eq!(nanos(duration(nanos_)), nanos_);
        }
        for millis in numbers().flat_map(|n| [n.saturating_sub(1), n, n / 1_000 * 1_000, (n / 1_000 * 1_000).saturating_sub(1)]) {
            assert_eq!(by_seconds(millis), Duration::from_millis(millis), "{millis} ms");
            assert_eq!(by_many_seconds(millis), Duration::from_millis(millis), "{millis} ms");
        }
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(nanos(Duration::new(18_446_744_073, 709_551_616)), u64::MAX);
    }

    #[test]
    fn what_is_made_by_parts_is_what_the_processor_makes() {
        for (a, b) in numbers().zip(numbers().skip(5)).chain(numbers().map(|n| (u64::MAX, n))) {
            assert_eq!(by_quarters(a, b), high_half(a, b), "{a} * {b}");
            assert_eq!((b != 0).then(|| place_by_place(a, b)), divided(a, b), "{a} / {b}");
        }
    }
}
