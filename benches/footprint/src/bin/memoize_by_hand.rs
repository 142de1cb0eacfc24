//! `memoize`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(let mut factors = heapless::LinearMap::new(); by_hand::memoize::factor(&mut factors, footprint::key()).await.is_ok());
