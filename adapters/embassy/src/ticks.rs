//! Between nanoseconds and ticks, at any tick rate, and without a division.

use core::num::NonZeroU64;
use core::time::Duration;

use aplomb::Instant;
use embassy_time_driver::TICK_HZ;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The driver's tick rate.
pub(crate) type Driver = Ticks<TICK_HZ>;

/// Conversions for a clock of `HZ` ticks per second.
pub(crate) struct Ticks<const HZ: u64>;

impl<const HZ: u64> Ticks<HZ> {
    /// A tick lasts `NANOS / TICKS` nanoseconds, in lowest terms. `TICKS` is 1 for all decimal rates, a power of two for 32,768 Hz, and 3 for 12 MHz.
    const NANOS: u64 = NANOS_PER_SECOND / gcd(NANOS_PER_SECOND, HZ);
    const TICKS: u64 = HZ / gcd(NANOS_PER_SECOND, HZ);

    /// What `1 / TICKS` is in units of `2^-64`, rounded down; used only if it is less than one.
    const PER_TICKS: u64 = u64::MAX / Self::TICKS;

    /// What a tick lasts, rounded up.
    pub(crate) const TICK: Duration = Duration::from_nanos(NANOS_PER_SECOND.div_ceil(HZ));

    /// Ticks per nanosecond: the whole ones, and the rest in units of `2^-64`, rounded down.
    const PER_NANO: u64 = HZ / NANOS_PER_SECOND;
    #[allow(clippy::cast_possible_truncation, reason = "less than one tick per nanosecond fits")]
    const REST_PER_NANO: u64 = ((((HZ % NANOS_PER_SECOND) as u128) << 64) / NANOS_PER_SECOND as u128) as u64;

    /// The instant of a tick, rounded down.
    // Kept out of line on small machines: each reading of the clock goes through it.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) const fn instant(ticks: u64) -> Instant {
        let (whole, rest) = Self::divided(ticks);
        if whole > u64::MAX / Self::NANOS {
            return Instant::MAX;
        }
        let (rest, _) = Self::divided(rest * Self::NANOS);
        Instant::from_nanos((whole * Self::NANOS).saturating_add(rest))
    }

    /// By `TICKS`, and what is left.
    #[inline]
    const fn divided(number: u64) -> (u64, u64) {
        if Self::TICKS.is_power_of_two() {
            return (number / Self::TICKS, number % Self::TICKS);
        }
        // Too few by one at most, since all is rounded down.
        let quotient = high_half(number, Self::PER_TICKS);
        let rest = number - quotient * Self::TICKS;
        if rest < Self::TICKS { (quotient, rest) } else { (quotient + 1, rest - Self::TICKS) }
    }

    /// The tick with which a sleep until `at` is over: the one after the first that is not before it. The instant may have been counted from any time within a tick, of which the clock told the beginning.
    #[inline]
    pub(crate) const fn over(at: Instant) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(Self::at_or_after(at))
    }

    /// The first tick that is not before `at`.
    #[inline]
    const fn at_or_after(at: Instant) -> u64 {
        // A few ticks too few at most, since all is rounded down.
        let nanos = at.as_nanos();
        let mut ticks = nanos.saturating_mul(Self::PER_NANO).saturating_add(high_half(nanos, Self::REST_PER_NANO));
        while ticks < u64::MAX && Self::instant(ticks).as_nanos() < nanos {
            ticks += 1;
        }
        ticks
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The upper 64 bits of the product, by four multiplications of 32 bits.
const fn high_half(a: u64, b: u64) -> u64 {
    const LOW: u64 = 0xffff_ffff;
    let (a1, a0, b1, b0) = (a >> 32, a & LOW, b >> 32, b & LOW);
    let middle = a1 * b0 + ((a0 * b0) >> 32);
    let carry = (middle & LOW) + a0 * b1;
    a1 * b1 + (middle >> 32) + (carry >> 32)
}

#[cfg(test)]
mod tests {
    use aplomb::time::nanos;
    use fastrand::Rng;

    use super::*;

    fn check<const HZ: u64>() {
        let second = Ticks::<HZ>::instant(HZ);
        assert_eq!(second, Instant::from_nanos(NANOS_PER_SECOND), "{HZ} Hz");
        let mut nanos = 1_u64;
        while nanos < u64::MAX / 3 {
            for at in [nanos - 1, nanos, nanos + 1, nanos * 2 + 1].map(Instant::from_nanos) {
                let ticks = Ticks::<HZ>::at_or_after(at);
                // Beyond the driver's own count lies never.
                assert!(ticks == u64::MAX || Ticks::<HZ>::instant(ticks) >= at, "{HZ} Hz: {at:?} comes after its tick");
                assert!(ticks == 0 || Ticks::<HZ>::instant(ticks - 1) < at, "{HZ} Hz: {at:?} has an earlier tick");
            }
            nanos = nanos * 3 + 1;
        }
    }

    /// In nanoseconds that nobody's clock tells.
    fn check_from_within<const HZ: u64>() {
        let (hz, second) = (u128::from(HZ), u128::from(NANOS_PER_SECOND));
        let begins = |tick: u64| u64::try_from((u128::from(tick) * second).div_ceil(hz)).unwrap();
        let mut rng = Rng::with_seed(HZ);
        for _ in 0..20_000 {
            // Of all lengths; the clock has run for a day at most.
            let tick = (rng.u64(..) >> rng.u32(24..64)) % (HZ * 86_400);
            let began = rng.u64(begins(tick)..begins(tick + 1));
            let lasts = rng.u64(..) >> rng.u32(18..64);
            let reading = Ticks::<HZ>::instant(tick);
            assert!(reading.as_nanos() <= began, "a reading lies ahead");
            assert!(began - reading.as_nanos() <= nanos(Ticks::<HZ>::TICK), "a reading lies more than a tick behind");
            let over = begins(Ticks::<HZ>::over(reading.saturating_add_nanos(lasts)).get());
            let took = over - began;
            assert!(took >= lasts, "{HZ} Hz: {lasts} ns from {began} ns on take {took} ns");
            assert!(took <= lasts + begins(2) + 1, "{HZ} Hz: {lasts} ns from {began} ns on take {took} ns");
        }
    }

    fn check_readings<const HZ: u64>() {
        let mut rng = Rng::with_seed(HZ);
        for ticks in (0..20_000).map(|_| rng.u64(..) >> rng.u32(..64)).chain([0, HZ - 1, HZ, HZ + 1, u64::MAX - 1, u64::MAX]) {
            let nanos = u128::from(ticks) * u128::from(NANOS_PER_SECOND) / u128::from(HZ);
            let exact = u64::try_from(nanos).unwrap_or(u64::MAX);
            assert_eq!(Ticks::<HZ>::instant(ticks).as_nanos(), exact, "{HZ} Hz: {ticks} ticks");
        }
    }

    #[test]
    fn a_tick_has_its_instant_to_the_nanosecond() {
        check_readings::<100>();
        check_readings::<32_768>();
        check_readings::<12_000_000>();
        check_readings::<96_000_000>();
        check_readings::<14_745_600>();
        check_readings::<999_999_937>();
        check_readings::<5_242_880_000>();
        check_readings::<7>();
    }

    #[test]
    fn no_time_that_is_waited_for_is_early_and_none_more_than_two_ticks_late() {
        check_from_within::<100>();
        check_from_within::<1_000>();
        check_from_within::<32_768>();
        check_from_within::<1_000_000>();
        check_from_within::<12_000_000>();
        check_from_within::<3>();
    }

    #[test]
    fn no_tick_lies_before_its_instant_and_none_a_tick_after_it() {
        check::<100>();
        check::<1_000>();
        check::<32_768>();
        check::<1_000_000>();
        check::<12_000_000>();
        check::<1_000_000_000>();
        check::<5_242_880_000>();
        check::<3>();
    }

    #[test]
    fn the_end_of_time_is_reached() {
        assert_eq!(Ticks::<1_000>::instant(u64::MAX), Instant::MAX);
        assert_eq!(Ticks::<32_768>::at_or_after(Instant::from_nanos(u64::MAX - 1)), 604_462_909_807_315);
    }
}
