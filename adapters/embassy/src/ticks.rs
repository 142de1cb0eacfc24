//! Between nanoseconds and ticks, at any tick rate. From nanoseconds, without a division.

use aplomb::Instant;
use embassy_time_driver::TICK_HZ;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The driver's tick rate.
pub(crate) type Driver = Ticks<TICK_HZ>;

/// Conversions for a clock of `HZ` ticks per second.
pub(crate) struct Ticks<const HZ: u64>;

impl<const HZ: u64> Ticks<HZ> {
    /// A tick lasts `NANOS / TICKS` nanoseconds, in lowest terms. `TICKS` is 1 for all decimal rates, and a power of two for 32,768 Hz.
    const NANOS: u64 = NANOS_PER_SECOND / gcd(NANOS_PER_SECOND, HZ);
    const TICKS: u64 = HZ / gcd(NANOS_PER_SECOND, HZ);

    /// Ticks per nanosecond: the whole ones, and the rest in units of `2^-64`, rounded down.
    const PER_NANO: u64 = HZ / NANOS_PER_SECOND;
    #[allow(clippy::cast_possible_truncation, reason = "less than one tick per nanosecond fits")]
    const REST_PER_NANO: u64 = ((((HZ % NANOS_PER_SECOND) as u128) << 64) / NANOS_PER_SECOND as u128) as u64;

    /// The instant of a tick, rounded down.
    // Kept out of line on small machines: each reading of the clock goes through it.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) const fn instant(ticks: u64) -> Instant {
        let whole = ticks / Self::TICKS;
        if whole > u64::MAX / Self::NANOS {
            return Instant::MAX;
        }
        let rest = (ticks % Self::TICKS) * Self::NANOS / Self::TICKS;
        Instant::from_nanos((whole * Self::NANOS).saturating_add(rest))
    }

    /// The first tick that is not before `at`: a sleep until then does not end early.
    #[inline]
    pub(crate) const fn at_or_after(at: Instant) -> u64 {
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
    use super::*;

    fn check<const HZ: u64>() {
        let second = Ticks::<HZ>::instant(HZ);
        assert_eq!(second, Instant::from_nanos(NANOS_PER_SECOND), "{HZ} Hz");
        let mut nanos = 1_u64;
        while nanos < u64::MAX / 3 {
            for at in [nanos - 1, nanos, nanos + 1, nanos * 2 + 1].map(Instant::from_nanos) {
                let ticks = Ticks::<HZ>::at_or_after(at);
                // Beyond the driver's own count lies never.
                assert!(ticks == u64::MAX || Ticks::<HZ>::instant(ticks) >= at, "{HZ} Hz: {at:?} ends early");
                assert!(ticks == 0 || Ticks::<HZ>::instant(ticks - 1) < at, "{HZ} Hz: {at:?} ends a tick late");
            }
            nanos = nanos * 3 + 1;
        }
    }

    #[test]
    fn no_sleep_ends_early_and_none_a_tick_late() {
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
