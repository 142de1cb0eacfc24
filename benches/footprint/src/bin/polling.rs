//! Asking until the answer is there.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

firmware!(poll_until(operation, |value| *value != 0).every(ms(20)).max_attempts(30).await.is_ok());
