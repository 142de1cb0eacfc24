//! Beside governor, in the same virtual time.

use std::num::NonZeroU32;

use aplomb::Instant;
use aplomb::rate_limiter::{Algorithm, Rate, Refused, TokenBucket};
use aplomb::time::{duration, secs};
use fastrand::Rng;
use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter};

use super::seeds;

fn nonzero(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// Of a rate whose permits are whole nanoseconds apart, both give the same at the same nanosecond.
fn play(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let interval = *rng.choice(&[1, 10, 997, 1_000_000, 86_399_000_000_000]).unwrap();
    let burst = rng.u32(1..=20);
    let clock = FakeRelativeClock::default();
    let quota = Quota::with_period(duration(interval)).unwrap().allow_burst(nonzero(burst));
    let governor = RateLimiter::direct_with_clock(quota, clock.clone());
    let bucket = TokenBucket::new(Rate::new(1, duration(interval))).burst(burst);
    let (mut state, mut now) = (TokenBucket::START, 0);
    for step in 0..60 {
        let gap = match rng.u32(0..8) {
            0..=2 => 0,
            3 => 1,
            4 => interval,
            5 => interval * u64::from(burst) * 3,
            _ => rng.u64(0..=interval * 3),
        };
        clock.advance(duration(gap));
        now += gap;
        let n = rng.u32(1..=burst + 1);
        let ours = bucket.try_take(&mut state, Instant::from_nanos(now), n);
        let theirs = match governor.check_n(nonzero(n)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) => Err(Refused::Until(Instant::from_nanos(now) + refused.wait_time_from(clock.now()))),
            Err(_) => Err(Refused::Never),
        };
        assert_eq!(ours, theirs, "seed {seed}, step {step}: {n} at {now}");
    }
}

#[test]
fn it_decides_as_governor_does() {
    seeds(10_000).for_each(play);
}

/// governor rounds what lies between two permits down to whole nanoseconds: here its permits come four sevenths of a nanosecond early, each by so much more than the one before.
#[test]
fn governor_drifts_and_a_token_bucket_does_not() {
    let clock = FakeRelativeClock::default();
    let quota = Quota::with_period(secs(3) / 7).unwrap().allow_burst(nonzero(1));
    let governor = RateLimiter::direct_with_clock(quota, clock.clone());
    let bucket = TokenBucket::new(Rate::new(7, secs(3))).burst(2);
    let mut state = TokenBucket::START;
    assert_eq!(governor.check(), Ok(()));
    assert_eq!(bucket.try_take(&mut state, Instant::ORIGIN, 2), Ok(()));
    // The first of the next seven, and so on.
    for permit in 1..=7 {
        clock.advance(quota.replenish_interval());
        assert_eq!(governor.check(), Ok(()));
        let exact = bucket.reserve(&mut state, Instant::ORIGIN, Instant::ORIGIN, 1).unwrap().as_nanos();
        let theirs = u64::try_from(quota.replenish_interval().as_nanos()).unwrap() * permit;
        assert_eq!(exact - theirs, (permit * 4).div_ceil(7), "after {permit}");
    }
}
