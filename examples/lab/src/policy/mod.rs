//! Policies as text: `deadline(2s) | retry(3, exp 100ms..1s, full) | budget(10%) | breaker(5, open 1s) | timeout(500ms)`, the outermost first.
//!
//! What is read becomes a stack of the real patterns on any platform, so that the same policy runs on sockets and in virtual time.

mod failure;
mod layer;
mod parse;
mod stack;
mod text;

pub(crate) use failure::Failure;
pub(crate) use layer::Layer;
pub(crate) use stack::{Sent, Stack};
pub(crate) use text::{parse_time, parse_times, write_time};

/// How no policy is written.
pub(crate) const NONE: &str = "none";

/// What is put around requests, the outermost first.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    text: String,
    pub(crate) layers: Vec<Layer>,
}

impl Policy {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
