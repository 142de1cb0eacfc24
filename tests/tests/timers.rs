//! No timer outlives what needs it: a future that has ended may be kept, and has none.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, IntoFuture, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aplomb::adaptive_limit::Gradient;
use aplomb::circuit_breaker::Consecutive;
use aplomb::edge::{EdgeStream, Share, Stream, Trigger};
use aplomb::hedge::After;
use aplomb::rate_limiter::{Rate, TokenBucket};
use aplomb::time::ms;
use aplomb::{
    AdaptiveLimit, Batcher, Bulkhead, Cache, CircuitBreaker, Deadline, Debounce, Hedge, Inline, Instant, Pipeline, Polling,
    RateLimiter, Retry, Throttle, Timeout,
};
use aplomb_sim::{Manual, ManualClock};

type Timers = ManualClock<8>;
type Own<'c> = Manual<'c, 8>;

const LATER: Deadline = Deadline::at(Instant::from_nanos(100_000_000));

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// It waits, by a timer, until something happens, and ends before its time.
fn check<F: Future>(name: &str, clock: &Timers, future: F, happens: impl FnOnce()) {
    let mut kept = pin!(future);
    assert!(poll(kept.as_mut()).is_pending(), "{name}: it waits");
    assert_eq!(clock.pending(), 1, "{name}: by a timer");
    happens();
    assert!(poll(kept.as_mut()).is_ready(), "{name}: it ends");
    assert_eq!(clock.pending(), 0, "{name}: and so does its timer");
    assert!(poll(kept).is_pending(), "{name}: it has ended");
}

/// An operation that ends when it is told so, with what it is polled next.
#[derive(Default)]
struct Told(Cell<bool>);

impl Told {
    fn operation(&self) -> impl Future<Output = Result<u32, ()>> {
        poll_fn(|_| if self.0.get() { Poll::Ready(Ok(7)) } else { Poll::Pending })
    }

    fn now(&self) {
        self.0.set(true);
    }

    /// An operation of its own, and how it is told.
    fn check<'t, F: Future + 't>(&'t self, name: &str, clock: &Timers, run: impl FnOnce(&'t Self) -> F) {
        self.0.set(false);
        check(name, clock, run(self), || self.now());
    }
}

#[test]
fn operations_that_are_limited_in_time() {
    let (clock, told) = (Timers::new(), Told::default());
    told.check("timeout", &clock, |told| Timeout::with_clock(&clock, ms(100), told.operation()));
    told.check("timeout_at", &clock, |told| Timeout::at_with_clock(&clock, LATER, told.operation()));
    let retry = Retry::<Own<'_>>::with_clock(&clock).attempt_timeout(ms(100));
    told.check("retry", &clock, |told| retry.run(|| told.operation()));
    let poll = |told| Polling::<Own<'_>, _, _>::with_clock(&clock, move || Told::operation(told), |_| true);
    told.check("polling", &clock, |told| poll(told).deadline_at(LATER).into_future());
    let hedge: Hedge<Own<'_>> = Hedge::with_clock(&clock, After::new(ms(100)));
    told.check("hedge", &clock, |told| hedge.run(|| told.operation()));
    let cache: Cache<Own<'_>, u32, u32, ()> = Cache::with_clock(&clock);
    told.check("cache", &clock, |told| cache.get(&7, || told.operation()).deadline_at(LATER));
    let pipeline = Pipeline::<Own<'_>>::with_clock(&clock).timeout(ms(100));
    told.check("pipeline", &clock, |told| pipeline.run(|| told.operation()));
}

#[test]
fn waits_for_a_place() {
    let clock = Timers::new();
    let bulkhead: Bulkhead<Own<'_>> = Bulkhead::with_clock(&clock, 1).max_wait(ms(100));
    let job = || ready(Ok::<_, ()>(7));
    let place = bulkhead.try_acquire();
    check("bulkhead", &clock, bulkhead.acquire(), || drop(place));
    let place = bulkhead.try_acquire();
    check("a call of a bulkhead", &clock, bulkhead.run(job), || drop(place));
    let _place = bulkhead.try_acquire();
    check("a bulkhead that is closed", &clock, bulkhead.acquire(), || bulkhead.close());
    let limit = AdaptiveLimit::<Own<'_>, _>::with_clock(&clock, Gradient::new()).initial_limit(1).max_wait(ms(100));
    let place = limit.try_acquire();
    check("limit", &clock, limit.acquire(), || drop(place));
    let limiter: RateLimiter<Own<'_>> =
        RateLimiter::with_clock(&clock, TokenBucket::new(Rate::per_second(1_000))).max_concurrent(1);
    let place = limiter.try_acquire(1);
    check("rate limiter", &clock, limiter.acquire_by(1, LATER), || drop(place));
}

#[test]
fn what_waits_for_its_time_and_is_told_before() {
    let clock = Timers::new();
    let breaker: CircuitBreaker<Own<'_>> = CircuitBreaker::with_clock(&clock, Consecutive::new(1)).open_for(ms(100));
    breaker.permit().unwrap().failure();
    check("breaker", &clock, breaker.changed(), || breaker.force_closed());
    let limiter: RateLimiter<Own<'_>> = RateLimiter::with_clock(&clock, TokenBucket::new(Rate::per_second(1)));
    limiter.try_acquire(1).unwrap();
    check("reservation", &clock, limiter.reserve(1).unwrap().into_future(), || {
        clock.advance(ms(1_000));
    });
    let batcher: Batcher<Own<'_>, u32, u32, ()> = Batcher::with_clock(&clock, 2).max_wait(ms(100));
    let all = |items: heapless::Vec<u32, 16>| ready(Ok::<_, ()>(items));
    check("batch", &clock, batcher.call(1, all), || assert!(poll(pin!(batcher.call(2, all))).is_ready()));
}

#[test]
fn edges() {
    let clock = Timers::new();
    let call = || ready(Ok::<u32, ()>(7));
    let alone: Debounce<Own<'_>> = Debounce::with_clock(&clock, ms(100));
    check("flushed", &clock, alone.call(call), || assert!(alone.flush()));
    check("cancelled", &clock, alone.call(call), || assert!(alone.cancel()));
    let mut newer = Box::pin(alone.call(call));
    check("superseded", &clock, alone.call(call), || {
        assert!(poll(newer.as_mut()).is_pending() && clock.pending() == 1);
    });
    drop(newer);
    let shared: Debounce<Own<'_>, Share<Result<u32, ()>, Inline<4>>> = Debounce::with_clock(&clock, ms(100));
    check("shared", &clock, shared.call(call), || assert!(shared.flush()));
    check("shared and cancelled", &clock, shared.call(call), || assert!(shared.cancel()));
    let told: Throttle<Own<'_>, Trigger<u32>> = Throttle::with_clock(&clock, ms(100));
    told.trigger(1);
    assert!(poll(pin!(told.next())).is_ready());
    told.trigger(2);
    check("next", &clock, told.next(), || assert!(told.flush()));
}

#[test]
fn a_stream_that_ends() {
    let (clock, ended) = (Timers::new(), Cell::new(false));
    let mut items = vec![1];
    let source = futures_lite::stream::poll_fn(|_| match items.pop() {
        None if !ended.get() => Poll::Pending,
        item => Poll::Ready(item),
    });
    let mut kept = pin!(EdgeStream::debounce(&clock, ms(100), source));
    let mut next = || kept.as_mut().poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(next().is_pending() && clock.pending() == 1);
    ended.set(true);
    assert_eq!((next(), clock.pending()), (Poll::Ready(Some(1)), 0));
}

/// A call that panics has ended too.
#[test]
fn a_retry_whose_attempt_panics() {
    let (clock, polls) = (Timers::new(), Cell::new(0));
    let retry = Retry::<Own<'_>>::with_clock(&clock).attempt_timeout(ms(100));
    let mut kept = pin!(retry.run(|| poll_fn(|_| -> Poll<Result<(), ()>> {
        assert_eq!(polls.replace(1), 0, "on purpose");
        Poll::Pending
    })));
    assert!(poll(kept.as_mut()).is_pending() && clock.pending() == 1);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(kept.as_mut()).is_ready())).is_err());
    assert_eq!(clock.pending(), 0);
}
