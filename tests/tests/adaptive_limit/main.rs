//! The adaptive limit: what it finds on a service whose capacity is known, and what becomes of its callers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod calls;
mod capacity;
mod overloads;
mod service;
mod spread;
