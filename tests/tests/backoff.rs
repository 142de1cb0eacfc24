//! Delays, against arithmetic that is slow and obvious; and beside backon.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use aplomb::Ratio;
use aplomb::backoff::{Backoff, Constant, Exponential, Fibonacci, Jitter, Linear, List};
use aplomb::ratio::percent;
use aplomb::time::{ms, secs};
use backon::BackoffBuilder;

/// Reproduces a failure with `APLOMB_SEED`.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..count, |seed| seed..seed + 1)
}

/// Nanoseconds of all magnitudes.
fn any_nanos(rng: &mut fastrand::Rng) -> u64 {
    rng.u64(..) >> rng.u32(0..64)
}

fn nanos(delay: Duration) -> u128 {
    // Never is as far as ours count.
    delay.as_nanos().min(u128::from(u64::MAX))
}

#[test]
fn delays_without_jitter_are_those_of_the_formula() {
    for seed in seeds(2_000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (initial, step, max) = (any_nanos(&mut rng), any_nanos(&mut rng), any_nanos(&mut rng));
        let (numerator, denominator) = (rng.u32(1..20), rng.u32(1..8));
        let factor = Ratio::new(numerator.max(denominator), denominator);
        let cap = u128::from(max);
        let d = Duration::from_nanos;
        let linear: Vec<u128> = Linear::from(d(initial)).step(d(step)).max(d(max)).delays(0).take(40).map(nanos).collect();
        let exponential: Vec<u128> =
            Exponential::from(d(initial)).factor(factor).max(d(max)).delays(0).take(80).map(nanos).collect();
        let fibonacci: Vec<u128> = Fibonacci::from(d(initial)).max(d(max)).delays(0).take(80).map(nanos).collect();
        let mut grown = u128::from(initial);
        let (mut next, mut then) = (u128::from(initial), u128::from(initial));
        for n in 0..80_u128 {
            let at = usize::try_from(n).unwrap();
            if n < 40 {
                assert_eq!(linear[at], (u128::from(initial) + n * u128::from(step)).min(cap), "seed {seed}: linear {n}");
            }
            assert_eq!(exponential[at], grown.min(cap), "seed {seed}: exponential {n}");
            grown = (grown * u128::from(numerator.max(denominator)) / u128::from(denominator)).min(u128::from(u64::MAX));
            assert_eq!(fibonacci[at], next.min(cap), "seed {seed}: fibonacci {n}");
            (next, then) = (then, (next + then).min(u128::from(u64::MAX)));
        }
    }
}

#[test]
fn jitter_stays_within_its_bounds_and_uses_them() {
    for seed in seeds(500) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let initial = any_nanos(&mut rng).max(1);
        let max = any_nanos(&mut rng);
        let share = rng.u32(0..=100);
        let plain: Vec<u128> = backoff(initial, max, Jitter::None).delays(0).take(30).map(nanos).collect();
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Proportional(percent(share)), Jitter::Decorrelated] {
            let mut previous = plain[0];
            for (delay, plain) in backoff(initial, max, jitter).delays(seed).map(nanos).zip(&plain) {
                let (low, high) = match jitter {
                    Jitter::Full => (0, *plain),
                    Jitter::Equal => (plain / 2, *plain),
                    Jitter::Proportional(_) => {
                        let share = plain * u128::from(share) / 100;
                        (plain.saturating_sub(share), (plain + share).min(u128::from(max)))
                    }
                    _ => (u128::from(initial.min(max)), (previous * 3).min(u128::from(max))),
                };
                assert!((low..=high).contains(&delay), "seed {seed}: {jitter:?} of {plain} is {delay}, not in {low}..={high}");
                previous = delay;
            }
        }
    }
}

fn backoff(initial: u64, max: u64, jitter: Jitter) -> Exponential {
    Exponential::from(Duration::from_nanos(initial)).max(Duration::from_nanos(max)).jitter(jitter)
}

#[test]
fn full_jitter_is_spread_evenly() {
    let backoff = Constant::every(secs(1)).jitter(Jitter::Full);
    let mut tenths = [0_u32; 10];
    for delay in backoff.delays(1).take(100_000) {
        tenths[usize::try_from(delay.as_millis() / 100).unwrap().min(9)] += 1;
    }
    assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
}

#[test]
fn ratios_agree_with_wide_arithmetic() {
    for seed in seeds(20_000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (numerator, denominator, whole) = (rng.u32(..), rng.u32(1..), any_nanos(&mut rng));
        let expected = u128::from(whole) * u128::from(numerator) / u128::from(denominator);
        let expected = u64::try_from(expected).unwrap_or(u64::MAX);
        assert_eq!(Ratio::new(numerator, denominator).of(whole), expected, "seed {seed}");
    }
    assert_eq!(Ratio::new(1, 0).of(7), 0);
}

/// As far as backon's floating point is exact.
fn assert_close(ours: impl Iterator<Item = Duration>, theirs: impl Iterator<Item = Duration>) {
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.collect(), theirs.collect());
    assert_eq!(ours.len(), theirs.len());
    let close = |(ours, theirs): (&Duration, &Duration)| ours.abs_diff(*theirs) <= *theirs / 1_000_000;
    assert!(ours.iter().zip(&theirs).all(close), "{ours:?}\n{theirs:?}");
}

#[test]
fn the_delays_are_those_of_backon() {
    let theirs = backon::ExponentialBuilder::default().with_min_delay(ms(100)).with_max_delay(secs(30)).with_factor(2.0);
    assert_close(Exponential::from(ms(100)).max(secs(30)).delays(0).take(20), theirs.with_max_times(20).build());
    let theirs = backon::ConstantBuilder::default().with_delay(ms(7)).with_max_times(5);
    assert_close(Constant::every(ms(7)).delays(0).take(5), theirs.build());
    // Up to the maximum: beyond it, backon 1.6 goes on with 1.44 s where it was told one second.
    let theirs = backon::FibonacciBuilder::default().with_min_delay(ms(10)).with_max_delay(secs(1)).with_max_times(11);
    assert_close(Fibonacci::from(ms(10)).max(secs(1)).delays(0).take(11), theirs.build());
    assert!(List::of(&[ms(1), ms(2)]).delays(0).eq([ms(1), ms(2)].into_iter().delays(0)));
}
