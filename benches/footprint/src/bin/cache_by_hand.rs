//! `cache`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::cache::cached(footprint::key()).await.is_ok());
