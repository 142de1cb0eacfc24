//! `pipeline`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::pipeline::piped().await.is_ok());
