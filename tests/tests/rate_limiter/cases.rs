//! Cases of algorithms, one by one.

use core::time::Duration;

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, Refused, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::time::{ms, secs};
use aplomb::{ConfigError, Heap, Inline, Instant, RateLimiter};
use aplomb_sim::{Sim, SimClock};

fn gives_nothing<A: Algorithm>(rule: &A) {
    let mut state = A::START;
    for n in [0, 1, 2] {
        assert_eq!(rule.try_take(&mut state, Instant::from_nanos(1_000), n), Err(Refused::Never));
        assert_eq!(rule.reserve(&mut state, Instant::from_nanos(1_000), Instant::ORIGIN, n), None);
    }
    assert!(rule.config_error().is_some());
}

#[test]
fn a_configuration_that_makes_no_sense_gives_nothing() {
    for wrong in [Rate::per_second(0), Rate::new(5, Duration::ZERO)] {
        gives_nothing(&TokenBucket::new(wrong));
        gives_nothing(&TokenBucket::new(wrong).burst(3));
        gives_nothing(&FixedWindow::new(wrong));
        gives_nothing(&SlidingWindow::<Heap>::new(wrong));
        gives_nothing(&SlidingCounter::new(wrong));
    }
    gives_nothing(&TokenBucket::new(Rate::per_second(5)).burst(0));
    gives_nothing(&TokenBucket::new(Rate::new(1, secs(1_000_000_000))).burst(6));
    gives_nothing(&SlidingWindow::<Inline<2>>::new(Rate::per_second(3)));
}

#[test]
fn a_window_that_an_earlier_rate_has_filled_is_one_window() {
    let (wide, narrow) = (FixedWindow::new(Rate::per_second(10)), FixedWindow::new(Rate::per_second(2)));
    let mut state = FixedWindow::START;
    let at = |millis: u64| Instant::ORIGIN + ms(millis);
    assert_eq!(wide.try_take(&mut state, at(1_000), 10), Ok(()));
    narrow.take_over(&mut state, &wide, at(1_100));
    assert_eq!(narrow.try_take(&mut state, at(1_100), 1), Err(Refused::Until(at(2_000))));
    assert_eq!(narrow.not_before(&state, at(1_100), 0, 1), at(2_000));
    assert_eq!(narrow.not_before(&state, at(1_100), 1, 1), at(2_000));
    assert_eq!(narrow.not_before(&state, at(1_100), 1, 2), at(3_000));
}

/// Three large reservations are given back from under a small one. Go's `x/time/rate` gives back so much each time that the bucket is full when the small one comes, which makes six of five.
#[test]
fn what_is_given_back_does_not_overflow_a_bucket() {
    let bucket = TokenBucket::new(Rate::per_second(1)).burst(5);
    let mut state = TokenBucket::START;
    let at = |seconds: u64| Instant::ORIGIN + secs(seconds);
    assert_eq!(bucket.try_take(&mut state, at(0), 5), Ok(()));
    let large = [5, 5, 5].map(|n| bucket.reserve(&mut state, at(0), Instant::ORIGIN, n).unwrap());
    assert_eq!(large, [at(5), at(10), at(15)]);
    assert_eq!(bucket.reserve(&mut state, at(0), Instant::ORIGIN, 1), Some(at(16)));
    for reserved in large.into_iter().rev() {
        bucket.give_back(&mut state, at(0), 5, reserved);
    }
    assert_eq!(bucket.available(&state, at(12)), 0, "those of the last one, less what rests on them");
    assert_eq!(bucket.available(&state, at(16)), 4, "and with the small one, these are five");
}

/// Three permits a nanosecond: instants are rounded up by more than a permit.
#[test]
fn what_is_given_back_is_no_more_than_was_taken() {
    let bucket = TokenBucket::new(Rate::new(3, Duration::from_nanos(1)));
    let at = |nanos: u64| Instant::from_nanos(100 + nanos);
    for (first, second) in [(2, 1), (3, 1), (3, 2), (1, 3), (2, 2)] {
        let mut state = TokenBucket::START;
        assert_eq!(bucket.try_take(&mut state, at(0), 3), Ok(()));
        let reserved = bucket.reserve(&mut state, at(0), Instant::ORIGIN, first).unwrap();
        bucket.reserve(&mut state, at(0), Instant::ORIGIN, second).unwrap();
        bucket.give_back(&mut state, at(0), first, reserved);
        let taken = (0..10).filter(|_| bucket.reserve(&mut state, at(0), Instant::ORIGIN, 1) <= Some(at(1))).count();
        assert!(taken <= 2, "{first} and {second}: the second still rests on its own");
    }
}

#[test]
fn a_waiter_takes_so_many_bytes() {
    const PLACES: usize = 100;
    let [hundred, two_hundred] =
        [size_of::<RateLimiter<Sim, TokenBucket, Inline<PLACES>>>(), size_of::<RateLimiter<Sim, TokenBucket, Inline<200>>>()];
    assert_eq!((two_hundred - hundred) / PLACES, 40);
}

/// What it costs to take the next permit, or to look ahead on a copy, does not grow with the log: a million entries would otherwise take hours.
#[test]
fn a_log_of_a_million_is_filled_copied_and_slides() {
    const MANY: u32 = 1_000_000;
    let rule = SlidingWindow::<Heap>::new(Rate::per_hour(MANY));
    let at = |index: u32| Instant::from_nanos(u64::from(index) * 1_000);
    let mut log = SlidingWindow::<Heap>::START;
    (0..MANY).for_each(|index| rule.try_take(&mut log, at(index), 1).unwrap());
    let refused = Err(Refused::Until(Instant::ORIGIN + secs(3_600)));
    assert_eq!(rule.try_take(&mut log.clone(), at(MANY), 1), refused);
    (0..MANY).for_each(|index| rule.try_take(&mut log, at(index) + secs(3_600), 1).unwrap());
}

/// A permit each 1,500 ns, told in microseconds, rounded down.
#[derive(Debug, Clone, Copy)]
struct RoundsDown;

impl Algorithm for RoundsDown {
    /// When there is one again.
    type State = Instant;
    const START: Instant = Instant::ORIGIN;

    fn try_take(&self, next: &mut Instant, now: Instant, _n: u32) -> Result<(), Refused> {
        if now < *next {
            return Err(Refused::Until(Instant::from_nanos(next.as_nanos() / 1_000 * 1_000)));
        }
        *next = now + Duration::from_nanos(1_500);
        Ok(())
    }

    fn reserve(&self, next: &mut Instant, _now: Instant, not_before: Instant, _n: u32) -> Option<Instant> {
        let at = not_before.max(*next);
        *next = at + Duration::from_nanos(1_500);
        Some(at)
    }

    fn give_back(&self, _next: &mut Instant, _now: Instant, _n: u32, _at: Instant) {}

    fn available(&self, next: &Instant, now: Instant) -> u32 {
        u32::from(now >= *next)
    }

    fn most(&self) -> u32 {
        1
    }

    fn renewed_at(&self, next: &Instant) -> Instant {
        *next
    }

    fn take_over(&self, _next: &mut Instant, _from: &Self, _now: Instant) {}

    fn config_error(&self) -> Option<ConfigError> {
        None
    }
}

/// Whoever waits would ask for ever within one poll, in which no time passes.
#[test]
fn a_rule_that_refuses_until_now_is_asked_again_later() {
    aplomb_sim::block_on(async {
        let limiter = RateLimiter::<Sim, RoundsDown>::with_clock(SimClock, RoundsDown);
        for _ in 0..3 {
            limiter.acquire(1).await.unwrap();
        }
        assert_eq!(aplomb_sim::now().as_nanos(), 3_000);
    });
}
