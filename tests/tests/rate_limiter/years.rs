//! Awkward rates over years: the number of permits is the exact one.

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, RateLimiter, SlidingWindow, TokenBucket};
use aplomb::sync::AtomicWord;
use aplomb::time::{ms, secs};
use aplomb::{Heap, Instant};
use aplomb_sim::Sim;
use fastrand::Rng;

use super::locks::{ByHand, clock, locked};
use super::seeds;

const YEAR: u64 = 365 * 86_400 * 1_000_000_000;

fn rates() -> [Rate; 4] {
    [Rate::new(7, secs(3)), Rate::new(1, secs(86_399)), Rate::per_second(1_000_000_000), Rate::new(997, ms(1_009))]
}

fn permits_in(rate: Rate, nanos: u64) -> u64 {
    let permits = u128::from(nanos) * u128::from(rate.permits()) / rate.per().as_nanos();
    u64::try_from(permits).unwrap()
}

/// When a permit comes, rounded up, of which so many come before in that many at a time.
fn comes_at(rate: Rate, before: u64) -> u64 {
    let nanos = (u128::from(before) * rate.per().as_nanos()).div_ceil(u128::from(rate.permits()));
    u64::try_from(nanos).unwrap()
}

/// Takes as soon as there is something: a million times, or for a hundred years. Says when, and how many there were before.
fn take_greedily<A: Algorithm>(rule: &A, n: u32, mut taken: impl FnMut(u64, u64)) {
    let (mut state, mut now, mut before) = (A::START, Instant::ORIGIN, 0);
    for _ in 0..1_000_000 {
        if let Err(refused) = rule.try_take(&mut state, now, n) {
            now = refused.until().unwrap();
            assert_eq!(rule.try_take(&mut state, now, n), Ok(()));
        }
        taken(now.as_nanos(), before);
        before += u64::from(n);
        if now.as_nanos() > 100 * YEAR {
            break;
        }
    }
}

#[test]
fn a_bucket_that_is_emptied_again_and_again_gives_each_permit_at_its_nanosecond() {
    for rate in rates() {
        let burst = rate.permits().max(2);
        take_greedily(&TokenBucket::new(rate).burst(burst), 1, |at, before| {
            assert_eq!(at, comes_at(rate, (before + 1).saturating_sub(u64::from(burst))), "{before} at {rate}");
        });
    }
}

#[test]
fn a_bucket_that_is_never_full_gives_in_a_year_exactly_what_comes_in_it() {
    for rate in rates() {
        // It holds a month's permits, or as many as can be counted, and is emptied sooner.
        let burst = u32::try_from(permits_in(rate, YEAR / 12)).unwrap_or(u32::MAX).max(2);
        let bucket = TokenBucket::new(rate).burst(burst);
        // With a part of a permit in it, it is full that much sooner.
        let longest = u64::try_from(u128::from(burst - 1) * rate.per().as_nanos() / u128::from(rate.permits())).unwrap();
        for seed in seeds(20) {
            let mut rng = Rng::with_seed(seed);
            let (mut state, mut now, mut sum) = (TokenBucket::START, 0, 0);
            let end = YEAR.min(longest.saturating_mul(2_000));
            while now < end {
                let at = Instant::from_nanos(now);
                let available = bucket.available(&state, at);
                assert_eq!(bucket.try_take(&mut state, at, available), Ok(()));
                sum += u64::from(available);
                assert_eq!(sum, u64::from(burst) + permits_in(rate, now), "seed {seed}: at {now}, {rate}");
                now = end.min(now + rng.u64(1..longest));
            }
        }
    }
}

#[test]
fn windows_follow_each_other_without_a_gap() {
    for rate in rates() {
        let n = rate.permits().div_ceil(1_000);
        let whole = u64::from(rate.permits() / n * n);
        let per = u64::try_from(rate.per().as_nanos()).unwrap();
        let check = |at, before| assert_eq!(at, before / whole * per, "{before} at {rate}");
        take_greedily(&FixedWindow::new(rate), n, check);
        take_greedily(&SlidingWindow::<Heap>::new(rate), n, check);
    }
}

/// Past the lock, where the rule packs what was taken into a word: over a hundred years, or as long as its parts can be counted.
#[test]
fn past_the_lock_each_permit_comes_at_its_nanosecond() {
    let others = [Rate::per_minute(9), Rate::new(11, secs(86_399)), Rate::new(60, secs(61))];
    for rate in rates().into_iter().chain(others) {
        let (clock, burst) = (clock(), rate.permits().clamp(2, 1_000));
        let limiter = RateLimiter::<ByHand<AtomicWord>>::with_clock(clock, TokenBucket::new(rate).burst(burst));
        clock.set(Instant::ORIGIN);
        // Zero is no state past the lock: the first permit is taken under it.
        drop(limiter.try_acquire(1).unwrap());
        let (mut before, mut locks) = (1, 0);
        for _ in 0..200_000 {
            let (taken, locked) = locked(|| limiter.try_acquire(1).map(drop).map_err(|error| error.retry_after().unwrap()));
            locks += locked;
            match taken {
                Ok(()) => {
                    let due = comes_at(rate, (before + 1_u64).saturating_sub(u64::from(burst)));
                    assert_eq!(clock.now().as_nanos(), due, "{before} at {rate}");
                    before += 1;
                }
                Err(retry_after) => clock.advance(retry_after),
            }
            if clock.now().as_nanos() > 2 * YEAR {
                break;
            }
        }
        assert_eq!(locks, 0, "{rate}");
    }
}

/// Through the limiter and its futures, with one timer after another.
#[test]
fn whoever_waits_has_each_permit_at_its_nanosecond() {
    for rate in rates() {
        let burst = rate.permits().clamp(2, 1_000);
        aplomb_sim::block_on(async {
            let limiter = RateLimiter::<Sim>::with_burst(rate, burst);
            for before in 0..20_000 {
                drop(limiter.acquire(1).await.unwrap());
                let due = comes_at(rate, (before + 1_u64).saturating_sub(u64::from(burst)));
                assert_eq!(aplomb_sim::now().as_nanos(), due, "{before} at {rate}");
            }
        });
    }
}
