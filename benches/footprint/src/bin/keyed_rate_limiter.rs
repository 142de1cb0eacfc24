//! A token bucket for each of eight keys.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::TokenBucket;
use footprint::{firmware, operation};

static LIMITERS: KeyedRateLimiter<u8, TokenBucket, Inline<8>> = checked!(KeyedRateLimiter::new(Rate::per_second(10)).storage());

firmware!(LIMITERS.try_acquire(&footprint::key(), 1).is_ok() && operation().await.is_ok());
