//! An operation that is started once more when it is late.

#![no_std]
#![no_main]

use aplomb_embassy::hedge::After;
use aplomb_embassy::prelude::*;
use footprint::{firmware, operation};

static HEDGE: Hedge<After, Inline<1>> = checked!(Hedge::after(ms(50)).storage());

firmware!(HEDGE.run(operation).await.is_ok());
