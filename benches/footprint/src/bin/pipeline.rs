//! Four patterns around one operation.

#![no_std]
#![no_main]

use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::TokenBucket;
use footprint::{firmware, operation};

const RETRY: Retry = Retry::new().max_attempts(4).attempt_timeout(ms(200));
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>> =
    checked!(CircuitBreaker::consecutive(5).storage().open_for(secs(60)));
static LIMITER: RateLimiter<TokenBucket, Inline<4>> = checked!(RateLimiter::new(Rate::per_second(10)).storage());

firmware!({
    let guarded = Pipeline::new().timeout(secs(10)).retry(RETRY).circuit_breaker(&BREAKER).rate_limiter(&LIMITER);
    guarded.run(operation).await.is_ok()
});
