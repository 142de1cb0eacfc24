//! `thirteen`, by hand.

#![no_std]
#![no_main]

use embassy_time::{Duration, with_timeout};
use footprint::{by_hand, operation, report};

#[embassy_executor::main]
async fn main(spawner: embassy_executor::Spawner) {
    footprint::start();
    by_hand::pool::start(spawner);
    let mut factors = heapless::LinearMap::new();
    loop {
        report(matches!(with_timeout(Duration::from_millis(200), operation()).await, Ok(Ok(_))));
        report(by_hand::retry::retried(operation).await.is_ok());
        report(by_hand::circuit_breaker::broken(operation).await.is_ok());
        by_hand::rate_limiter::acquire().await;
        report(operation().await.is_ok());
        report(by_hand::debounce::debounced().await.is_ok());
        report(by_hand::throttle::throttled().await.is_ok());
        report(by_hand::pool::pooled().await.is_ok());
        report(by_hand::single_flight::shared(footprint::key()).await.is_ok());
        report(by_hand::cache::cached(footprint::key()).await.is_ok());
        report(by_hand::memoize::factor(&mut factors, footprint::key()).await.is_ok());
        report(by_hand::polling::polled().await.is_ok());
        report(by_hand::waterfall::fallen(7).await.is_ok());
        report(by_hand::parallel::paralleled([1, 2, 3, 4]).await.is_ok());
        embassy_time::Timer::after_millis(100).await;
    }
}
