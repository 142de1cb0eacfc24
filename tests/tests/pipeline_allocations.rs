//! What a pipeline allocates: nothing.

mod counting;

use std::future::{Future, pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::rate_limiter::{Rate, TokenBucket};
use aplomb::time::{ms, secs};
use aplomb::{Bulkhead, CircuitBreaker, Pipeline, RateLimiter, Retry};
use aplomb_sim::{Manual, ManualClock};
use counting::allocations;

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_call_through_six_layers_allocates_nothing() {
    type Here<'c> = Manual<'c, 8>;
    let clock = ManualClock::<8>::new();
    let breaker: CircuitBreaker<Here<'_>> = CircuitBreaker::with_clock(&clock, aplomb::circuit_breaker::Consecutive::new(50));
    let limiter: RateLimiter<Here<'_>> = RateLimiter::with_clock(&clock, TokenBucket::new(Rate::per_second(1_000)));
    let bulkhead: Bulkhead<Here<'_>> = Bulkhead::with_clock(&clock, 4);
    let guarded = Pipeline::<Here<'_>>::with_clock(&clock)
        .timeout(secs(10))
        .retry(Retry::<Here<'_>>::with_clock(&clock).max_attempts(2))
        .circuit_breaker(&breaker)
        .rate_limiter(&limiter)
        .bulkhead(&bulkhead)
        .timeout(secs(2));
    let calls = || {
        assert_eq!(poll(guarded.run(|| ready(Ok::<_, u8>(7)))), Poll::Ready(Ok(7)));
        // One that fails and pauses, and one that waits: both are dropped.
        assert!(poll(guarded.run(|| ready(Err::<u8, _>(7)))).is_pending());
        assert!(poll(guarded.run(pending::<Result<u8, u8>>)).is_pending());
        clock.advance(ms(10));
    };
    // Timers and queues may have grown.
    calls();
    assert_eq!(allocations(|| (0..100).for_each(|_| calls())), 0);
}
