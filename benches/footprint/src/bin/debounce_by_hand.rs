//! `debounce`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::debounce::debounced().await.is_ok());
