//! embassy alone: what all others are compared with.

#![no_std]
#![no_main]

use footprint::{firmware, operation};

firmware!(operation().await.is_ok());
