//! A bulkhead of two places, and four for those who wait.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static BUS: Bulkhead<Inline<4>> = checked!(Bulkhead::new(2).storage());

firmware!(BUS.run(operation).await.is_ok());
