//! A pool of two places, and four for those who wait.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static POOL: Pool<Inline<4>> = checked!(Pool::new(2).storage());

firmware!(POOL.run(operation).await.is_ok());
