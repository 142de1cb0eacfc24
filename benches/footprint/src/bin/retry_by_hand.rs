//! `retry`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware, operation};

firmware!(by_hand::retry::retried(operation).await.is_ok());
