//! Values that are sent four at a time, or after 100 ms.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{Fault, firmware, operation};

static BATCHER: Batcher<u32, u32, Fault, Inline<4>> = checked!(Batcher::new(4).storage().max_wait(ms(100)));

firmware!(BATCHER.call(footprint::key().into(), async |items| operation().await.map(|_| items)).await.is_ok());
