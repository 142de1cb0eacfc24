//! A device whose transfers are retried, and which is reset in between.

#![no_std]
#![no_main]

use aplomb_embassy::guarded::Guarded;
use aplomb_embassy::prelude::*;
use footprint::{Device, firmware};

static POLICY: Retry = checked!(Retry::new().max_attempts(4).attempt_timeout(ms(200)));

firmware!(
    let mut device = Guarded::new(Device::new(), &POLICY).recover(async |device: &mut Device| device.reset().await);
    device.run(async |device| device.transfer().await).await.is_ok()
);
