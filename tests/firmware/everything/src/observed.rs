//! Patterns that somebody watches: each told of each of its events.

use core::fmt::{Debug, Write};
use core::pin::pin;

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::backoff::Constant;
use aplomb_embassy::circuit_breaker::{AnyError, KeyedEvent};
use aplomb_embassy::hedge::NoneFatal;
use aplomb_embassy::observe::Observer;
use aplomb_embassy::parallel::Progress;
use aplomb_embassy::polling::PollEvent;
use aplomb_embassy::rate_limiter::TokenBucket;
use aplomb_embassy::retry::{self, Cause};
use aplomb_embassy::single_flight::Restarts;
use aplomb_embassy::{adaptive_limit, batcher, bulkhead, cache, circuit_breaker, hedge, pool, rate_limiter, single_flight};

use aplomb_embassy::prelude::*;

use crate::streams::drained;
use crate::{Asked, Fault, Paper, answer, ask, told, unknown, used};

type Watch<E> = fn(&E);
type CacheWatch = fn(&cache::Event<'_, u32, u32>);

static RETRY: Retry = Retry::new();
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<1>, Watch<circuit_breaker::Event>> =
    CircuitBreaker::consecutive(3).storage().observed_by(used_event);
static BREAKERS: KeyedCircuitBreaker<u32, Consecutive, Constant, AnyError, Inline<4>, FoldHash, 1, Watch<KeyedEvent<u32>>> =
    KeyedCircuitBreaker::new(CircuitBreaker::consecutive(2).storage()).observed_by(used_event);
static LIMITER: RateLimiter<TokenBucket, Inline<4>, Watch<rate_limiter::Event>> =
    RateLimiter::new(Rate::per_second(3)).storage().observed_by(used_event);
static LIMITERS: KeyedRateLimiter<u32, TokenBucket, Inline<4>, FoldHash, 1, Watch<rate_limiter::Event>> =
    KeyedRateLimiter::new(Rate::per_second(3)).storage().observed_by(used_event);
static LIMIT: AdaptiveLimit<Gradient, IgnoreErrors, Inline<4>, Watch<adaptive_limit::Event>> =
    AdaptiveLimit::new().storage().observed_by(used_event);
static BULKHEAD: Bulkhead<Inline<4>, Watch<bulkhead::Event>> = Bulkhead::new(2).storage().observed_by(used_event);
static HEDGE: Hedge<After, Inline<2>, NoneFatal, Watch<hedge::Event>> = Hedge::after(ms(200)).storage().observed_by(used_event);
static POOL: Pool<Inline<4>, Watch<pool::Event>> = Pool::new(2).storage().observed_by(used_event);
static JOBS: JobSet<Asked, Inline<4>, Watch<pool::Event>> = JobSet::new(2).storage().observed_by(used_event);
static BATCHER: Batcher<u32, u32, Fault, Inline<4>, Watch<batcher::Event>> = Batcher::new(3).storage().observed_by(used_event);
static FLIGHTS: SingleFlight<u32, u32, Fault, Restarts, Inline<4>, FoldHash, 1, Watch<single_flight::Event>> =
    SingleFlight::new().storage().observed_by(used_event);
static CACHE: Cache<u32, u32, Fault, Inline<4>, FoldHash, Inline<4>, 1, CacheWatch> =
    Cache::new().storage().flight_storage().ttl(secs(1)).observed_by(removal);

fn used_event<E: Debug>(event: &E) {
    used(write!(Paper, "{event:?}"));
}

fn removal(event: &cache::Event<'_, u32, u32>) {
    used(write!(Paper, "{event:?}"));
}

/// Watches retries, as a type.
struct Watcher;

impl Observer<retry::Event<'_, Fault>> for Watcher {
    fn observe(&mut self, event: &retry::Event<'_, Fault>) {
        retried(event);
    }
}

fn retried(event: &retry::Event<'_, Fault>) {
    if let retry::Event::Retrying { cause, .. } = event {
        used(write!(Paper, "{cause} {event:?}"));
    }
}

fn polled(event: &PollEvent<'_, u32, Fault>) {
    used(write!(Paper, "{event:?}"));
}

pub async fn all() {
    calls().await;
    guards().await;
    tables().await;
}

async fn calls() {
    told(RETRY.call(answer).notify(retried).await);
    let between = |cause: Cause<'_, Fault>| {
        used(matches!(cause, Cause::Rejected));
        async { told(answer().await) }
    };
    told(retry(answer).observed_by(Watcher).between(between).await);
    told(poll_until(answer, |value| *value > 3).max_attempts(unknown()).notify(polled).await);
    let progress = |progress: &Progress| used((progress.done(), progress.running()));
    told(parallel_array([1, 2], 2, ask).stored_in::<Inline<2>>().on_progress(progress).await);
    told(HEDGE.run(answer).await);
}

async fn guards() {
    let key = unknown();
    told(BREAKER.run(answer).await);
    told(BREAKERS.run(&key, answer).await);
    told(LIMITER.run(answer).await);
    told(LIMITERS.run(&key, answer).await);
    told(LIMIT.run(answer).await);
    told(BULKHEAD.run(answer).await);
    let pipeline =
        Pipeline::new().retry(RETRY).rate_limiter(&LIMITER).circuit_breaker(&BREAKER).hedge(&HEDGE).bulkhead(&BULKHEAD);
    told(pipeline.run(answer).await);
}

async fn tables() {
    let key = unknown();
    told(POOL.run(answer).await);
    used(JOBS.add(Asked(key)).is_ok());
    if let Ok(results) = JOBS.results() {
        drained(pin!(results)).await;
    }
    told(BATCHER.call(key, async |items| answer().await.map(|_| items)).await);
    told(FLIGHTS.run(&key, answer).await);
    told(CACHE.get(&key, answer).await);
    told(CACHE.get_with_refresh(&key, answer).await);
    CACHE.insert(key, unknown());
    used(CACHE.invalidate(&key));
}
