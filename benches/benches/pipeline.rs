//! A pipeline of four patterns, beside each of them alone, the same nested by hand, and as layers: one, a stack, and one of tower-resilience's.

use std::time::Duration;

use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::{CircuitBreakerLayer, PipelineLayer, RateLimitLayer, RetryLayer, TimeoutLayer};
use benches::{Group, YieldOnce, call, succeeds};
use tower::{Service, ServiceBuilder, service_fn};

static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(5));
static LIMITER: RateLimiter = checked!(RateLimiter::new(Rate::per_second(1_000_000_000)));
static BULKHEAD: Bulkhead = checked!(Bulkhead::new(64));
static RETRY: Retry = checked!(Retry::new());

/// The stack of tower-resilience's layers.
fn resilience() -> impl Service<()> {
    use tower_resilience_circuitbreaker::CircuitBreakerLayer;
    use tower_resilience_ratelimiter::RateLimiterLayer;
    use tower_resilience_retry::RetryLayer;
    use tower_resilience_timelimiter::TimeLimiterLayer;
    let quota = RateLimiterLayer::builder().limit_for_period(usize::MAX).refresh_period(Duration::from_secs(1));
    ServiceBuilder::new()
        .layer(TimeLimiterLayer::builder().timeout_duration(Duration::from_secs(10)).build())
        .layer(RetryLayer::builder().max_attempts(3).build())
        .layer(CircuitBreakerLayer::builder().build().expect("defaults"))
        .layer(quota.build().expect("a limit"))
        .service(service_fn(|()| succeeds!()()))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let four = Pipeline::new().timeout(secs(10)).retry(RETRY).circuit_breaker(&BREAKER).rate_limiter(&LIMITER);
    let guarded = &*Box::leak(Box::new(four));
    let whole = &*Box::leak(Box::new(four.bulkhead(&BULKHEAD).timeout(secs(1))));
    let mut layer = ServiceBuilder::new().layer(PipelineLayer::new(guarded)).service(service_fn(|()| succeeds!()()));
    let mut stack = ServiceBuilder::new()
        .layer(TimeoutLayer::<Tokio>::new(secs(10)))
        .layer(RetryLayer::new(RETRY))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .layer(RateLimitLayer::new(&LIMITER))
        .service(service_fn(|()| succeeds!()()));
    let mut resilience = resilience();
    Group::new("pipeline of timeout, retry, breaker, limiter, an operation that is ready")
        .member("aplomb", || guarded.run(succeeds!()))
        .member("bare operation", succeeds!())
        .member("aplomb, timeout alone", || timeout(secs(10), succeeds!()()))
        .member("aplomb, retry alone", || RETRY.run(succeeds!()))
        .member("aplomb, breaker alone", || BREAKER.run(succeeds!()))
        .member("aplomb, limiter alone", || LIMITER.run(succeeds!()))
        .member("aplomb, nested by hand", || timeout(secs(10), RETRY.run(|| BREAKER.run(|| LIMITER.run(succeeds!())))))
        .member("aplomb, and a bulkhead and a timeout within", || whole.run(succeeds!()))
        .member("aplomb-tower, one layer", move || call(&mut layer))
        .member("aplomb-tower, a stack of four", move || call(&mut stack))
        .member("tower-resilience, a stack of four", move || call(&mut resilience))
        .run();
    Group::new("pipeline of timeout, retry, breaker, limiter, an operation that yields once")
        .member("aplomb", || guarded.run(YieldOnce::new))
        .member("bare operation", YieldOnce::new)
        .member("aplomb, timeout alone", || timeout(secs(10), YieldOnce::new()))
        .member("aplomb, retry alone", || RETRY.run(YieldOnce::new))
        .member("aplomb, breaker alone", || BREAKER.run(YieldOnce::new))
        .member("aplomb, limiter alone", || LIMITER.run(YieldOnce::new))
        .run();
}
