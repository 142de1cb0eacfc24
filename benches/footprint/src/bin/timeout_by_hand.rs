//! `timeout`, as embassy has it.

#![no_std]
#![no_main]

use embassy_time::{Duration, with_timeout};
use footprint::{firmware, operation};

firmware!(matches!(with_timeout(Duration::from_millis(200), operation()).await, Ok(Ok(_))));
