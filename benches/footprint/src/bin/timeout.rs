//! A timeout.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

firmware!(timeout(ms(200), operation()).await.is_ok());
