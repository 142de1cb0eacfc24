//! The cache where a scenario does not reach: what it calls under its lock and what not, panics, counts, readings of the clock, chance, and those who refresh.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod calls;
mod chance;
mod clock;
mod counts;
mod deadlines;
mod hand;
mod idle;
mod ledger;
mod model;
mod observed;
mod panics;
mod reentry;
mod refreshers;
mod scripts;
