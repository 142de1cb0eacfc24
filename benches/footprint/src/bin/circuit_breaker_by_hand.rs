//! `circuit_breaker`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware, operation};

firmware!(by_hand::circuit_breaker::broken(operation).await.is_ok());
