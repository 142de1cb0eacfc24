//! Three steps, one after another.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{Fault, firmware, operation};

async fn step(value: u32) -> Result<u32, Fault> {
    operation().await.map(|read| read ^ value)
}

firmware!(waterfall(step).then(step).then(step).run(7).await.is_ok());
