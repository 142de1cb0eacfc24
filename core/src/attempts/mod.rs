//! The attempt loop, which retry and polling share.

mod machine;

pub(crate) use machine::{AttemptLoop, Limits, Pause, Stop, Terms};
