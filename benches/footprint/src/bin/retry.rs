//! Retries with a timeout for each attempt, exponential backoff and jitter.

#![no_std]
#![no_main]

use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static RETRY: Retry = checked!(Retry::new().max_attempts(4).attempt_timeout(ms(200)));

firmware!(RETRY.run(operation).await.is_ok());
