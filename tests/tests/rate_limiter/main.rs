//! The rate limiter: each algorithm beside a slow and obvious model, the queue in random worlds, and all of it beside what peers do.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod cases;
mod coarse;
