//! The lab: aplomb at work on a real service, and its scenarios replayed.
//!
//! `lab` starts an HTTP service that fails, stalls and recovers by a plan, and calls it bare and guarded, on tokio and on smol; then clients keep to a quota, somebody types into a search box, a job is polled, and a thousand pages are fetched.
//! `lab cache` shows what a shared fetch and a cache spare a service, and what they answer while it is down. `lab replay FILE...` plays scenario files on any of the runtimes.

mod cache;
mod errands;
mod figures;
mod http;
mod outage;
mod quota;
mod replay;
mod server;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// aplomb at work: an outage, a quota, and some errands, bare and guarded.
///
/// Starts an HTTP service on the loopback interface that fails, stalls and recovers by a plan, and calls it in rounds: bare, and guarded by timeout and retry, on tokio and on smol. Then many clients of a service
/// with a hard quota ask it at will, as its refusals tell them, and through a rate limiter. Then somebody types into a search box, bare and debounced, a job is polled until it is done, and a thousand pages are
/// fetched, one at a time and ten at once. Each ends with what was measured.
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
    Cache(cache::Options),
    Replay(replay::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let out = &mut io::stdout();
    let shown = match command.other {
        None => show(&command.outage, out),
        Some(Other::Cache(options)) => cache::run(&options, out),
        Some(Other::Replay(options)) => return replay::run(&options),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("lab: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn show(options: &outage::Options, out: &mut dyn Write) -> Result<(), String> {
    outage::run(options, out)?;
    quota::run(options.seconds, out)?;
    errands::run(out)
}
