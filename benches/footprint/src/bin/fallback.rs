//! What is asked if another has no answer.

#![no_std]
#![no_main]

use aplomb_embassy::fallback::fallback;
use footprint::{firmware, operation};

firmware!(fallback(operation(), |_| async { footprint::read() }).await.is_ok());
