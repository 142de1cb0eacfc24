//! `level`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::level::changed(footprint::read().is_ok()));
