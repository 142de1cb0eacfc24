//! Calls of which only the newest starts.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static SAVE: Debounce = checked!(Debounce::new(ms(50)));

firmware!(SAVE.call(operation).await.is_ok());
