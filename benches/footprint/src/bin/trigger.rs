//! Values of which only the newest is worked on, triggered from anywhere.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static SAVE: Debounce<Trigger<u32>> = checked!(Debounce::triggered(ms(50)));

firmware!({
    SAVE.trigger(footprint::read().unwrap_or_default());
    SAVE.next().await.is_ok() && operation().await.is_ok()
});
