//! The lab: aplomb at work on a real service and in virtual time, and its scenarios replayed.
//!
//! `lab` starts an HTTP service that slows down, fails, stalls and recovers, and calls it by several policies at the same time. `lab whatif` simulates policies, to choose parameters by. `lab cache` shows what a shared
//! fetch and a cache spare a service, `lab quota` how clients keep to one, `lab errands` a search box, a job that is polled, and a thousand pages. `lab replay FILE...` plays scenario files on any of the runtimes.

mod backend;
mod cache;
mod errands;
mod figures;
mod http;
mod levels;
mod outcome;
mod policy;
mod quota;
mod replay;
mod server;
mod story;
mod tally;
mod whatif;
mod words;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// aplomb at work: a service that slows down, fails and recovers, called by several policies.
///
/// Starts an HTTP service on the loopback interface that slows down, answers with errors, stalls and recovers. Clients call it at the same time, each by a policy: bare, with retries alone, which keep the service down,
/// and with what ends that. Ends with what was measured.
#[derive(Parser)]
#[command(name = "lab", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(flatten)]
    story: story::Options,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Subcommand)]
enum Other {
    Cache(cache::Options),
    /// Somebody types into a search box, bare and debounced; a job is polled until it is done; and a thousand pages are fetched, one at a time and ten at once.
    Errands,
    Quota(quota::Options),
    Replay(replay::Options),
    Whatif(whatif::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let out = &mut io::stdout();
    let shown = match command.other {
        None => story::run(&command.story, out),
        Some(Other::Cache(options)) => cache::run(&options, out),
        Some(Other::Errands) => errands::run(out),
        Some(Other::Quota(options)) => quota::run(&options, out),
        Some(Other::Whatif(options)) => whatif::run(&options, out),
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
