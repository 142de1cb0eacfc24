//! As `retry`, with an operation that borrows its device mutably.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{Device, firmware};

static RETRY: Retry = checked!(Retry::new().max_attempts(4).attempt_timeout(ms(200)));

firmware!(let mut device = Device::new(); RETRY.run_mut(async || device.transfer().await).await.is_ok());
