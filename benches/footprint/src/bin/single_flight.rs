//! Calls with one key that share an operation, four at most.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use aplomb_embassy::single_flight::Restarts;
use footprint::{Fault, firmware, operation};

static READINGS: SingleFlight<u8, u32, Fault, Restarts, Inline<4>> = checked!(SingleFlight::new().storage());

firmware!(READINGS.run(&footprint::key(), operation).await.is_ok());
