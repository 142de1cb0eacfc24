//! `waterfall`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::waterfall::fallen(7).await.is_ok());
