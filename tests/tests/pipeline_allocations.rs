//! What a pipeline allocates: nothing.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::rate_limiter::{Rate, TokenBucket};
use aplomb::time::{ms, secs};
use aplomb::{Bulkhead, CircuitBreaker, Pipeline, RateLimiter, Retry};
use aplomb_sim::{Manual, ManualClock};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How many allocations this thread makes meanwhile.
fn allocations(act: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    act();
    COUNT.get() - before
}

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
