//! `keyed_rate_limiter`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware, operation};

firmware!(by_hand::keyed_rate_limiter::has_one(footprint::key()) && operation().await.is_ok());
