//! The specification of aplomb by example, and what plays it: one interpreter, on every runtime.
//!
//! A scenario is a pattern with its configuration, an operation, a script, and the exact trace that must come out, in virtual time. [`scenario`] reads them, [`play`] plays them, [`trace`] compares.

mod config;
pub mod firmware;
mod interpreter;
pub mod millis;
mod names;
mod operation;
mod patterns;
mod runtimes;
pub mod scenario;
mod script;
mod stage;
mod suite;
pub mod trace;

pub use config::Pattern;
pub use patterns::Form;
pub use runtimes::{Played, Runtime, Unplayable, play};
pub use suite::{Verdict, play_all};

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/readmes.md"))]
mod readmes {}
