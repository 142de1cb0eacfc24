//! A token bucket, with four places for those who wait.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::TokenBucket;
use footprint::{firmware, operation};

static LIMITER: RateLimiter<TokenBucket, Inline<4>> = checked!(RateLimiter::new(Rate::per_second(10)).storage());

firmware!(LIMITER.run(operation).await.is_ok());
