//! All thirteen patterns in one firmware.

#![no_std]
#![no_main]

use aplomb_embassy::Memoize;
use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::key::FoldHash;
use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::TokenBucket;
use aplomb_embassy::single_flight::Restarts;
use footprint::{Fault, operation, report};

static RETRY: Retry = checked!(Retry::new().max_attempts(4).attempt_timeout(ms(200)));
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>> =
    checked!(CircuitBreaker::consecutive(5).storage().open_for(secs(60)));
static LIMITER: RateLimiter<TokenBucket, Inline<4>> = checked!(RateLimiter::new(Rate::per_second(10)).storage());
static SAVE: Debounce = checked!(Debounce::new(ms(50)));
static SEND: Throttle = checked!(Throttle::new(ms(50)));
static POOL: Pool<Inline<4>> = checked!(Pool::new(2).storage());
static FLIGHTS: SingleFlight<u8, u32, Fault, Restarts, Inline<4>> = checked!(SingleFlight::new().storage());
static READINGS: Cache<u8, u32, Fault, Inline<8>, FoldHash, Inline<4>> =
    checked!(Cache::new().storage().flight_storage().ttl(secs(60)));

type Factors<A> = Memoize<A, u8, u32, Fault, Inline<8>, FoldHash, Inline<4>>;

async fn step(value: u32) -> Result<u32, Fault> {
    operation().await.map(|read| read ^ value)
}

async fn factor(_channel: u8) -> Result<u32, Fault> {
    operation().await
}

#[embassy_executor::main]
async fn main(_spawner: embassy_executor::Spawner) {
    footprint::start();
    let factors: Factors<_> = Memoize::kept_in(factor, Cache::new().storage().flight_storage());
    loop {
        report(timeout(ms(200), operation()).await.is_ok());
        report(RETRY.run(operation).await.is_ok());
        report(BREAKER.run(operation).await.is_ok());
        report(LIMITER.run(operation).await.is_ok());
        report(SAVE.call(operation).await.is_ok());
        report(SEND.call(operation).await.is_ok());
        report(POOL.run(operation).await.is_ok());
        report(FLIGHTS.run(&footprint::key(), operation).await.is_ok());
        report(READINGS.get(&footprint::key(), operation).await.is_ok());
        report(factors.call(&footprint::key()).await.is_ok());
        report(poll_until(operation, |value| *value != 0).every(ms(20)).max_attempts(30).await.is_ok());
        report(waterfall(step).then(step).then(step).run(7).await.is_ok());
        report(parallel_array([1, 2, 3, 4], 2, |_: u32| operation()).stored_in::<Inline<2>>().await.is_ok());
        embassy_time::Timer::after_millis(100).await;
    }
}
