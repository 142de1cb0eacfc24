//! `trigger`, by hand.

#![no_std]
#![no_main]

use footprint::{by_hand, firmware, operation};

firmware!({
    by_hand::trigger::SAVE.signal(footprint::read().unwrap_or_default());
    by_hand::trigger::next().await;
    operation().await.is_ok()
});
