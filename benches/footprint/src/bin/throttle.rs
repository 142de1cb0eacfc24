//! Calls that start never closer than an interval.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static SEND: Throttle = checked!(Throttle::new(ms(50)));

firmware!(SEND.call(operation).await.is_ok());
