//! `rate_limiter`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware, operation};

firmware!({
    by_hand::rate_limiter::acquire().await;
    operation().await.is_ok()
});
