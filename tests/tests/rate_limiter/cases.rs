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
