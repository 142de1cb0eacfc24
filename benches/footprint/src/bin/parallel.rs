//! Four operations, two at a time.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

firmware!(parallel_array([1, 2, 3, 4], 2, |_: u32| operation()).stored_in::<Inline<2>>().await.is_ok());
