//! The main job: a service with an outage, and the same calls bare and guarded.

mod guard;
mod on_smol;
mod on_tokio;
mod plan;
mod round;
mod service;
mod words;

use std::io::Write;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use guard::Mode;
use on_smol::OnSmol;
use on_tokio::OnTokio;
use plan::Plan;
use round::Client;
use service::Service;

use crate::words::{cannot, time};

/// How much is called, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Calls in each of the four rounds
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    requests: u32,
    /// How long a round lasts, over which its calls and the plan of the outage are spread; and how long the quota is asked for
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// What the service draws its answers from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.5..=600.0).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err("not from 0.5 to 600".into()) }
}

/// Runs all rounds, and prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let plan = Plan { round: options.seconds, seed: options.seed };
    let service = Service::start(plan).map_err(cannot("start the service"))?;
    let clients: [Box<dyn Client>; 2] =
        [Box::new(OnTokio::start().map_err(cannot("start tokio"))?), Box::new(OnSmol::start().map_err(cannot("start smol"))?)];
    words::introduce(out, service.address(), &plan, options.requests).map_err(cannot("print"))?;

    let mut rounds = Vec::new();
    for client in &clients {
        for mode in [Mode::Bare, Mode::Guarded] {
            let name = format!("{}, {}", client.name(), mode.name());
            let bar = ProgressBar::new(options.requests.into()).with_style(style()).with_prefix(name.clone());
            let measured = round::run(&**client, mode, &service, &plan, options.requests, &bar);
            bar.finish_and_clear();
            let measured = measured.map_err(|complaint| format!("{name}: {complaint}"))?;
            writeln!(out, "{name:15} {} calls in {}", measured.calls, time(measured.took)).map_err(cannot("print"))?;
            rounds.push(measured);
        }
    }
    writeln!(out).map_err(cannot("print"))?;
    words::conclude(out, &rounds).map_err(cannot("print"))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:15} [{bar:30}] {pos:>4}/{len}  the service {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
