//! `fallback`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::fallback::fallen_back().await.is_ok());
