//! `bulkhead`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::bulkhead::held().await.is_ok());
