//! Cases of algorithms, one by one.

use core::time::Duration;

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, Refused, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::time::{ms, secs};
use aplomb::{Heap, Inline, Instant};

fn gives_nothing<A: Algorithm>(rule: A) {
    let mut state = A::START;
    for n in [0, 1, 2] {
        assert_eq!(rule.try_take(&mut state, Instant::from_nanos(1_000), n), Err(Refused::Never));
        assert_eq!(rule.reserve(&mut state, Instant::from_nanos(1_000), n), None);
    }
    assert!(rule.config_error().is_some());
}

#[test]
fn a_configuration_that_makes_no_sense_gives_nothing() {
    for wrong in [Rate::per_second(0), Rate::new(5, Duration::ZERO)] {
        gives_nothing(TokenBucket::new(wrong));
        gives_nothing(TokenBucket::new(wrong).burst(3));
        gives_nothing(FixedWindow::new(wrong));
        gives_nothing(SlidingWindow::<Heap>::new(wrong));
        gives_nothing(SlidingCounter::new(wrong));
    }
    gives_nothing(TokenBucket::new(Rate::per_second(5)).burst(0));
    gives_nothing(TokenBucket::new(Rate::new(1, secs(1_000_000_000))).burst(6));
    gives_nothing(SlidingWindow::<Inline<2>>::new(Rate::per_second(3)));
}

#[test]
fn a_window_that_an_earlier_rate_has_filled_is_one_window() {
    let (wide, narrow) = (FixedWindow::new(Rate::per_second(10)), FixedWindow::new(Rate::per_second(2)));
    let mut state = FixedWindow::START;
    let at = |millis| Instant::ORIGIN + ms(millis);
    assert_eq!(wide.try_take(&mut state, at(1_000), 10), Ok(()));
    narrow.take_over(&mut state, &wide, at(1_100));
    assert_eq!(narrow.try_take(&mut state, at(1_100), 1), Err(Refused::Until(at(2_000))));
    assert_eq!(narrow.not_before(&state, at(1_100), 0, 1), at(2_000));
    assert_eq!(narrow.not_before(&state, at(1_100), 1, 1), at(2_000));
    assert_eq!(narrow.not_before(&state, at(1_100), 1, 2), at(3_000));
}
