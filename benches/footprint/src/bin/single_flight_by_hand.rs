//! `single_flight`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware};

firmware!(by_hand::single_flight::shared(footprint::key()).await.is_ok());
