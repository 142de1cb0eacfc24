//! A limit that is found by latencies, and four places for those who wait.

#![no_std]
#![no_main]

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static LIMIT: AdaptiveLimit<Gradient, IgnoreErrors, Inline<4>> = checked!(AdaptiveLimit::new().storage());

firmware!(LIMIT.run(operation).await.is_ok());
