//! The circuit breaker beside a slow and obvious model, beside cockatiel, and by the tables of those who set its semantics.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::ops::Range;

mod changed;
mod clock;
mod cockatiel;
mod keyed;
#[path = "../locks/mod.rs"]
mod locks;
mod model;
mod opening;
mod others;
mod outside;

/// So many seeds, or the one of `APLOMB_SEED`.
fn seeds(number: u64) -> Range<u64> {
    let seed: Option<u64> = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..number, |seed| seed..seed + 1)
}
