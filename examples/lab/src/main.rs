//! The lab: aplomb at work on a real service, and its scenarios replayed.
//!
//! `lab` starts an HTTP service that fails, stalls and recovers by a plan, and calls it bare and guarded, on tokio and on smol; then somebody types into a search box, and a job is polled. `lab replay FILE...` plays scenario files on any of the
//! runtimes.

mod errands;
mod outage;
mod replay;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// aplomb at work: an outage, bare and guarded.
///
/// Starts an HTTP service on the loopback interface that fails, stalls and recovers by a plan, and calls it in rounds: bare, and guarded by timeout and retry, on tokio and on smol. Then somebody types into a search
/// box, bare and debounced, and a job is polled until it is done. Each ends with what was measured.
#[derive(Parser)]
#[command(name = "lab", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(flatten)]
    outage: outage::Options,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Subcommand)]
enum Other {
    Replay(replay::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    match command.other {
        None => outage::run(&command.outage),
        Some(Other::Replay(options)) => replay::run(&options),
    }
}
