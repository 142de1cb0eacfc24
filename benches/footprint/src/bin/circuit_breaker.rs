//! A circuit breaker, by consecutive failures.

#![no_std]
#![no_main]

use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>> =
    checked!(CircuitBreaker::consecutive(5).storage().open_for(secs(60)));

firmware!(BREAKER.run(operation).await.is_ok());
