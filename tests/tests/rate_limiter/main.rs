//! The rate limiter: each algorithm beside a slow and obvious model, the queue in random worlds, and all of it beside what peers do.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::ops::Range;

mod bounds;
mod cases;
mod coarse;
mod configuration;
mod decisions;
mod give_back;
mod golang;
mod governor;
#[path = "../locks/mod.rs"]
mod locks;
mod models;
mod originals;
mod outside;
mod queue;
mod refits;
mod rehearsals;
mod reservations;
mod stream;
mod waiting;
mod years;

/// So many seeds, or the one of `APLOMB_SEED`.
fn seeds(number: u64) -> Range<u64> {
    let seed: Option<u64> = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..number, |seed| seed..seed + 1)
}
