//! A cache of eight values, each good for a minute.

#![no_std]
#![no_main]

use aplomb_embassy::key::FoldHash;
use aplomb_embassy::prelude::*;
use footprint::{Fault, firmware, operation};

static READINGS: Cache<u8, u32, Fault, Inline<8>, FoldHash, Inline<4>> =
    checked!(Cache::new().storage().flight_storage().ttl(secs(60)));

firmware!(READINGS.get(&footprint::key(), operation).await.is_ok());
