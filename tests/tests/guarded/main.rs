//! Guarded buses: what is repeated and what is not, when a bus is set right, and drivers from crates.io on buses that fail.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod cases;
mod drivers;
mod ended;
mod flaky;
