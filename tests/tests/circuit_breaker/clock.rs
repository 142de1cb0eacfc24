//! Time that is moved by hand, and calls that are made by hand.

use aplomb::circuit_breaker::Permit;
use aplomb::time::ms;
use aplomb::{CircuitBreaker, Instant};
use aplomb_sim::{Manual, ManualClock};

pub(crate) type Hands = Manual<'static, 1>;
pub(crate) type PermitOf<T, B> = Permit<&'static CircuitBreaker<Hands, T, B>>;

/// A clock of its own. It leaks, a few dozen bytes for each test.
pub(crate) fn clock() -> &'static ManualClock<1> {
    Box::leak(Box::new(ManualClock::new()))
}

/// A breaker that lives as long as its permits.
pub(crate) fn leak<B>(breaker: B) -> &'static B {
    Box::leak(Box::new(breaker))
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::ORIGIN + ms(millis)
}
