//! `guarded`, by hand.

#![no_std]
#![no_main]

use footprint::{Device, by_hand, firmware};

firmware!(let mut device = Device::new(); by_hand::guarded::guarded(&mut device).await.is_ok());
