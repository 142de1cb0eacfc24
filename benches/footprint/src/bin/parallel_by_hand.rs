//! `parallel`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::parallel::paralleled([1, 2, 3, 4]).await.is_ok());
