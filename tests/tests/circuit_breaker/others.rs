//! What the docs of resilience4j, gobreaker and Polly say, as tables.

use aplomb::CircuitBreaker;
use aplomb::backoff::Constant;
use aplomb::circuit_breaker::{Consecutive, LastCalls, LastTime, State, Trip};
use aplomb::ratio::percent;
use aplomb::time::{ms, secs};
use aplomb_sim::ManualClock;

use crate::clock::{Hands, at, clock};

type Breaker<T> = CircuitBreaker<Hands, T, Constant>;

fn by<T: Trip>(clock: &'static ManualClock<1>, trip: T) -> Breaker<T> {
    CircuitBreaker::with_clock(clock, trip)
}

/// Makes calls, `S` that succeed and `F` that fail, and says which of them has opened it; the first is 1.
fn tripped_by<T: Trip>(breaker: &Breaker<T>, calls: &str) -> Option<usize> {
    calls.chars().enumerate().find_map(|(index, call)| {
        let permit = breaker.permit().ok()?;
        if call == 'F' {
            permit.failure();
        } else {
            permit.success();
        }
        breaker.state().is_open().then_some(index + 1)
    })
}

/// As `tripped_by`, with so many milliseconds before each.
fn tripped_in_time<T: Trip>(breaker: &Breaker<T>, clock: &ManualClock<1>, calls: &[(u64, char)]) -> Option<u64> {
    let mut now = 0;
    calls.iter().find_map(|(pause, call)| {
        now += pause;
        clock.set(at(now));
        tripped_by(breaker, &call.to_string()).map(|_| now)
    })
}

/// resilience4j, *Count-based sliding window*, and the settings `failureRateThreshold`, `minimumNumberOfCalls`.
#[test]
fn resilience4j_counts_calls() {
    let ten = || by(clock(), LastCalls::<1>::new(10)).failure_rate(percent(50));
    for (min_calls, calls, expected) in [
        // "If only 9 calls have been evaluated, it will not trip open even if all 9 calls have failed."
        (10, "FFFFFFFFF", None),
        (10, "FFFFFFFFFF", Some(10)),
        // "When the failure rate is equal or greater than the threshold."
        (10, "SSSSSFFFFF", Some(10)),
        (10, "SSSSSSFFFF", None),
        // The tenth call is the one that is looked at, whatever it was.
        (10, "FFFFFFFFFS", Some(10)),
        // "The oldest measurement is evicted": the window moves by one call each.
        (10, "FFFFSSSSSSSSSSSSSSFFFF", None),
        (10, "FFFFSSSSSSSSSSFFFFF", Some(19)),
        (10, "FSFSFSFSS", None),
        (10, "FSFSFSFSSF", Some(10)),
        (4, "FFSS", Some(4)),
        (1, "F", Some(1)),
    ] {
        assert_eq!(tripped_by(&ten().min_calls(min_calls), calls), expected, "{calls}");
    }
    // The defaults: a hundred calls, half of them.
    let by_default = by(clock(), LastCalls::<2>::new(100));
    assert_eq!(tripped_by(&by_default, &"F".repeat(99)), None);
    assert_eq!(tripped_by(&by_default, "F"), Some(1));
}

/// resilience4j, *Time-based sliding window*: so many buckets of a second, of which the oldest leaves as a new one begins.
#[test]
fn resilience4j_counts_time() {
    let five_seconds = |clock| {
        let breaker = by(clock, LastTime::<5>::new(secs(5)));
        breaker.failure_rate(percent(50)).min_calls(4)
    };
    for (calls, expected) in [
        (&[(0, 'F'), (1_000, 'F'), (1_000, 'F'), (1_000, 'F')][..], Some(3_000)),
        (&[(0, 'F'), (1_000, 'F'), (1_000, 'F'), (2_000, 'F')], Some(4_000)),
        (&[(0, 'F'), (1_000, 'F'), (1_000, 'F'), (3_000, 'F')], None),
        (&[(0, 'F'), (999, 'F'), (4_001, 'F'), (1, 'F'), (1, 'F')], None),
        (&[(0, 'F'), (999, 'F'), (4_001, 'F'), (1, 'F'), (1, 'F'), (1, 'F')], Some(5_003)),
        (&[(0, 'S'), (0, 'S'), (0, 'S'), (0, 'F'), (4_999, 'F')], None),
        (&[(0, 'S'), (0, 'S'), (0, 'S'), (0, 'F'), (5_000, 'F'), (0, 'F'), (0, 'F'), (0, 'F')], Some(5_000)),
        (&[(0, 'F'), (86_400_000, 'F'), (0, 'F'), (0, 'F')], None),
    ] {
        let clock = clock();
        assert_eq!(tripped_in_time(&five_seconds(clock), clock, calls), expected, "{calls:?}");
    }
}

/// resilience4j, `slowCallDurationThreshold` and `slowCallRateThreshold`: slow is what takes longer, whether it fails or not.
#[test]
fn resilience4j_counts_slow_calls() {
    for (takes, failed, opens) in [(2_000, false, false), (2_001, false, true), (2_001, true, true), (10, false, false)] {
        let clock = clock();
        let breaker = by(clock, LastCalls::<1>::new(4)).min_calls(2);
        let breaker = breaker.failure_rate(percent(100)).slow_calls(secs(2), percent(100));
        for call in 0..2 {
            clock.set(at(call * 10_000));
            let permit = breaker.permit().unwrap();
            clock.set(at(call * 10_000 + takes));
            if failed && call == 0 { permit.failure() } else { permit.success() }
        }
        assert_eq!(breaker.state().is_open(), opens, "{takes} ms");
    }
}

/// resilience4j, `maxWaitDurationInHalfOpenState`: "the longest amount of time it could stay in half-open state, before it switches to open".
#[test]
fn resilience4j_bounds_half_open() {
    let clock = clock();
    let breaker = by(clock, Consecutive::new(1)).open_for(secs(1)).half_open_for(secs(2));
    breaker.permit().unwrap().failure();
    clock.set(at(1_000));
    let _hangs = breaker.permit().unwrap();
    for (millis, state) in
        [(1_000, State::HalfOpen), (2_999, State::HalfOpen), (3_000, State::Open), (3_999, State::Open), (4_000, State::HalfOpen)]
    {
        clock.set(at(millis));
        assert_eq!(breaker.state(), state, "at {millis}");
    }
}

/// gobreaker, where a probe that never ends is the last one, and resilience4j by default.
#[test]
fn by_default_half_open_has_an_end() {
    for (open_for, lasts) in [(0, 60_000), (10, 60_000), (600_000, 600_000)] {
        let clock = clock();
        let breaker = by(clock, Consecutive::new(1)).open_for(ms(open_for));
        breaker.permit().unwrap().failure();
        clock.set(at(open_for));
        let hangs = breaker.permit().unwrap();
        clock.set(at(open_for + lasts - 1));
        assert_eq!(breaker.state(), State::HalfOpen, "{open_for}");
        let left = ms(1.min(open_for));
        assert_eq!(breaker.permit().unwrap_err(), aplomb::BreakerError::HalfOpen { retry_after: Some(left) });
        clock.set(at(open_for + lasts + open_for));
        let beside_it = breaker.permit().unwrap();
        assert_eq!(breaker.snapshot().probes, 1, "the one that hangs is none of this time's");
        hangs.failure();
        beside_it.success();
        assert_eq!(breaker.state(), State::Closed, "{open_for}");
    }
}

#[test]
fn by_default_a_probe_may_take_longer_than_it_was_open() {
    let clock = clock();
    let breaker = by(clock, Consecutive::new(1)).open_for(ms(10));
    breaker.permit().unwrap().failure();
    clock.set(at(10));
    let probe = breaker.permit().unwrap();
    clock.set(at(60_010));
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn whoever_says_so_waits_for_a_probe_for_ever() {
    let clock = clock();
    let breaker = by(clock, Consecutive::new(1)).open_for(ms(10)).half_open_for(std::time::Duration::MAX);
    breaker.permit().unwrap().failure();
    clock.set(at(10));
    let _hangs = breaker.permit().unwrap();
    clock.set(at(1_000_000_000));
    assert_eq!(breaker.permit().unwrap_err(), aplomb::BreakerError::HalfOpen { retry_after: None });
}

/// gobreaker: `ReadyToTrip` is by default "more than 5 consecutive failures", `Timeout` 60 s, `MaxRequests` 1; results of an earlier generation are ignored.
#[test]
fn gobreaker_by_default() {
    let clock = clock();
    let breaker = by(clock, Consecutive::new(6));
    assert_eq!(tripped_by(&breaker, "FFFFFSFFFFF"), None);
    let old = breaker.permit().unwrap();
    assert_eq!(tripped_by(&breaker, "F"), Some(1));
    clock.set(at(59_999));
    assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(ms(1)));
    clock.set(at(60_000));
    let probe = breaker.permit().unwrap();
    assert_eq!(breaker.permit().unwrap_err(), aplomb::BreakerError::HalfOpen { retry_after: Some(secs(60)) });
    old.success();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

/// gobreaker, `MaxRequests: 3`: so many requests in half-open, and so many successes in a row close it.
#[test]
fn gobreaker_counts_successes_in_half_open() {
    for (calls, closes) in [("SSS", true), ("SS", false), ("SFS", false)] {
        let clock = clock();
        let breaker = by(clock, Consecutive::new(1)).half_open(3).success_threshold(3);
        breaker.permit().unwrap().failure();
        clock.set(at(60_000));
        let _opened = tripped_by(&breaker, calls);
        assert_eq!(breaker.state() == State::Closed, closes, "{calls}");
    }
}

/// Polly: by default 10 % of at least 100 actions within 30 s break it for 5 s, and one action is tried then; `Isolate` holds it open.
#[test]
fn polly_by_default() {
    let clock = clock();
    let breaker = by(clock, LastTime::<10>::new(secs(30)));
    let breaker = breaker.failure_rate(percent(10)).min_calls(100).open_for(secs(5));
    assert_eq!(tripped_by(&breaker, &"SSSSSSSSSF".repeat(9)), None);
    assert_eq!(tripped_by(&breaker, "SSSSSSSSSF"), Some(10));
    assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(secs(5)));
    clock.set(at(5_000));
    breaker.permit().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    breaker.force_open();
    clock.set(at(1_000_000));
    assert_eq!(breaker.state(), State::ForcedOpen);
    breaker.force_closed();
    assert!(breaker.permit().is_ok());
}

/// A clock that is set back: what is left of the time it is open is left still.
#[test]
fn time_that_runs_backwards_is_no_time() {
    let clock = clock();
    clock.set(at(100_000));
    let breaker = by(clock, Consecutive::new(1)).open_for(secs(10));
    breaker.permit().unwrap().failure();
    clock.set(at(104_000));
    assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(secs(6)));
    clock.set(at(4_000));
    assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(secs(6)));
    clock.set(at(9_000));
    assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(secs(1)));
    clock.set(at(10_000));
    assert!(breaker.permit().is_ok());
}
