//! `throttle`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::throttle::throttled().await.is_ok());
