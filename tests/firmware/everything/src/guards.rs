//! Patterns that stand before a service, and are shared by its callers; and pipelines of them.

use core::fmt::Write;

use aplomb_embassy::adaptive_limit::{Aimd, Gradient, IgnoreErrors, Vegas};
use aplomb_embassy::backoff::{Constant, Exponential};
use aplomb_embassy::circuit_breaker::{AnyError, LastCalls, LastTime};
use aplomb_embassy::key::FoldHash;
use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::{Algorithm, FixedWindow, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb_embassy::{EmbassyClock, Semaphore, adaptive_limit, circuit_breaker};

use crate::{Fault, Paper, answer, told, unknown, used};

type Breaker<T, B = Constant> = CircuitBreaker<T, B, AnyError, Inline<1>>;
type Breakers<T> = KeyedCircuitBreaker<u32, T, Constant, AnyError, Inline<4>, FoldHash>;
type Limit<A> = AdaptiveLimit<A, IgnoreErrors, Inline<4>>;
type Limiters<A> = KeyedRateLimiter<u32, A, Inline<4>>;

static CONSECUTIVE: Breaker<Consecutive, Exponential> =
    CircuitBreaker::consecutive(3).storage().half_open(2).half_open_for(secs(5)).open_backoff(Exponential::from(secs(1)));
static BY_CALLS: Breaker<LastCalls<1>> =
    CircuitBreaker::with_clock(EmbassyClock, LastCalls::new(20)).slow_calls(ms(500), percent(50));
static BY_TIME: Breaker<LastTime<10>> =
    CircuitBreaker::last_time(secs(60)).storage().failure_rate(percent(30)).min_calls(10).buckets(6);
static BREAKERS: Breakers<Consecutive> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(2).storage()).capacity(4);
static BREAKERS_BY_TIME: Breakers<LastTime<4>> =
    KeyedCircuitBreaker::new(CircuitBreaker::with_clock(EmbassyClock, LastTime::new(secs(10))));

static BUCKET: RateLimiter<TokenBucket, Inline<4>> =
    RateLimiter::with_clock(EmbassyClock, TokenBucket::new(Rate::per_second(10)).burst(20));
static WINDOW: RateLimiter<FixedWindow, Inline<4>> =
    RateLimiter::with_clock(EmbassyClock, FixedWindow::new(Rate::per_hour(10))).max_concurrent(2);
static SLIDING: RateLimiter<SlidingWindow<Inline<8>>, Inline<4>> =
    RateLimiter::with_clock(EmbassyClock, SlidingWindow::new(Rate::per_second(8)));
static COUNTER: RateLimiter<SlidingCounter, Inline<4>> =
    RateLimiter::with_clock(EmbassyClock, SlidingCounter::new(Rate::per_day(1_000)));
static BUCKETS: Limiters<TokenBucket> = KeyedRateLimiter::new(Rate::per_second(3)).storage();
static WINDOWS: Limiters<FixedWindow> = KeyedRateLimiter::fixed_window(Rate::per_second(3)).storage();
static SLIDINGS: Limiters<SlidingWindow<Inline<4>>> =
    KeyedRateLimiter::with_clock(EmbassyClock, SlidingWindow::new(Rate::per_second(3)));
static COUNTERS: Limiters<SlidingCounter> = KeyedRateLimiter::sliding_counter(Rate::per_second(3)).storage();

static GRADIENT: Limit<Gradient> = AdaptiveLimit::new().storage().max_wait(secs(1));
static VEGAS: Limit<Vegas> = AdaptiveLimit::new().storage().algorithm(Vegas::new());
static AIMD: Limit<Aimd> = AdaptiveLimit::new().storage().algorithm(Aimd::new(ms(100)));

static BULKHEAD: Bulkhead<Inline<4>> = Bulkhead::new(2).storage().max_wait(secs(1));
static SEMAPHORE: Semaphore<Inline<4>> = Semaphore::with_storage(3);
static HEDGE: Hedge = Hedge::after(ms(200));
static BUDGET: RetryBudget = RetryBudget::new(500);

pub async fn all() {
    breakers().await;
    limiters().await;
    places().await;
    pipelines().await;
}

async fn breaker<T, B>(breaker: &'static Breaker<T, B>)
where
    T: circuit_breaker::Trip,
    B: aplomb_embassy::backoff::Backoff<State: Copy>,
{
    told(breaker.run(answer).await);
    if let Ok(permit) = breaker.permit() {
        permit.record(&answer().await);
    }
    used((breaker.snapshot(), breaker.changed().await));
    breaker.force_open();
    breaker.force_closed();
    breaker.disable();
    breaker.reset();
}

async fn breakers() {
    used(write!(Paper, "{CONSECUTIVE:?} {BREAKERS:?}"));
    told(CircuitBreaker::consecutive(unknown()).check());
    told(CircuitBreaker::last_time(ms(unknown().into())).check());
    breaker(&CONSECUTIVE).await;
    breaker(&BY_CALLS).await;
    breaker(&BY_TIME).await;
    told(BREAKERS.run(&unknown(), answer).await);
    used((BREAKERS.snapshot(&unknown()), BREAKERS.force_open(&unknown()), BREAKERS.forget(&unknown())));
    told(BREAKERS_BY_TIME.run(&unknown(), answer).await);
    used((BREAKERS_BY_TIME.snapshot(&unknown()), BREAKERS_BY_TIME.disable(&unknown())));
    BREAKERS_BY_TIME.reset(&unknown());
}

async fn limiter<A: Algorithm>(limiter: &'static RateLimiter<A, Inline<4>>, other: A) {
    let n = unknown();
    told(limiter.run_n(n, answer).await);
    used(limiter.acquire_by(n, deadline(secs(1))).await.is_ok());
    if let Ok(permit) = limiter.try_acquire(n) {
        permit.give_back();
    }
    if let Ok(reservation) = limiter.reserve(n) {
        used(reservation.delay());
        reservation.await;
    }
    used((limiter.set_rate(other), limiter.snapshot()));
}

async fn limiters_of<A: Algorithm + Copy>(limiters: &'static Limiters<A>, other: A) {
    let (key, n) = (unknown(), unknown());
    told(limiters.run_n(&key, n, answer).await);
    if let Ok(permit) = limiters.try_acquire(&key, n) {
        Limiters::give_back(permit, &key);
    }
    if let Ok(reservation) = limiters.reserve(&key, n) {
        reservation.await;
    }
    used((limiters.set_rate(other), limiters.snapshot(&key), limiters.forget(&key), limiters.len()));
}

async fn limiters() {
    used(write!(Paper, "{SLIDING:?} {COUNTERS:?}"));
    told(RateLimiter::new(Rate::new(unknown(), secs(1))).check());
    let rate = Rate::new(unknown(), ms(u64::from(unknown())));
    limiter(&BUCKET, TokenBucket::new(rate).burst(unknown())).await;
    limiter(&WINDOW, FixedWindow::new(rate)).await;
    limiter(&SLIDING, SlidingWindow::new(rate)).await;
    limiter(&COUNTER, SlidingCounter::new(rate)).await;
    limiters_of(&BUCKETS, TokenBucket::new(rate)).await;
    limiters_of(&WINDOWS, FixedWindow::new(rate)).await;
    limiters_of(&SLIDINGS, SlidingWindow::new(rate)).await;
    limiters_of(&COUNTERS, SlidingCounter::new(rate)).await;
}

async fn limit<A: adaptive_limit::Algorithm>(limit: &'static Limit<A>) {
    told(limit.run(answer).await);
    told(limit.try_run(answer).await);
    if let Ok(permit) = limit.acquire().await {
        permit.record(&answer().await);
    }
    used(limit.snapshot());
    limit.close();
}

async fn places() {
    used(write!(Paper, "{VEGAS:?} {BULKHEAD:?} {SEMAPHORE:?}"));
    told(AdaptiveLimit::new().initial_limit(unknown()).check());
    limit(&GRADIENT).await;
    limit(&VEGAS).await;
    limit(&AIMD).await;
    told(BULKHEAD.run(answer).await);
    used(BULKHEAD.try_acquire().is_ok());
    used((BULKHEAD.set_max_concurrent(unknown()), BULKHEAD.snapshot()));
    BULKHEAD.close();
    if let Ok(mut permit) = SEMAPHORE.acquire(unknown()).await {
        let half = permit.split(unknown());
        used(half.map(|half| permit.merge(half).is_ok()));
        permit.forget();
    }
    used((SEMAPHORE.available(), SEMAPHORE.waiting()));
    SEMAPHORE.set_permits(unknown());
}

async fn pipelines() {
    let key = unknown();
    let pipeline = Pipeline::new()
        .fallback(|error| async move { if error.is_rejected() { Ok(unknown()) } else { Err(error) } })
        .timeout(secs(5))
        .retry_rejected(Retry::standard(&BUDGET))
        .keyed_rate_limiter(&WINDOWS, &key)
        .keyed_circuit_breaker(&BREAKERS, &key)
        .adaptive_limit(&VEGAS)
        .hedge(&HEDGE)
        .timeout(ms(500));
    used(pipeline.run(answer).await.map_err(|error| (error.layer(), error.retry_after(), error.attempts())));
    let pipeline = Pipeline::new()
        .fallback_value(unknown())
        .timeout_at(deadline(secs(5)))
        .retry(Retry::new())
        .rate_limiter(&BUCKET)
        .circuit_breaker(&BY_TIME)
        .bulkhead(&BULKHEAD);
    used(pipeline.run(async || Err::<u32, _>(Fault(unknown()))).await.is_ok());
}
