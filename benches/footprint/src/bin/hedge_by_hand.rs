//! `hedge`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::hedge::hedged().await.is_ok());
