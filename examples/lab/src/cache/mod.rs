//! What a cache spares a service, and what it answers while that is down: a stampede, and an outage.

mod customers;
mod measured;
mod plan;
mod service;
mod stampede;
mod timeline;
mod words;
mod zipf;

use std::io::Write;
use std::time::Instant;

use aplomb_tokio::prelude::*;
use clap::Args;
use futures_lite::future::or;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use customers::Manner;
use plan::TAKES;
use service::Service;
use stampede::Way;

use crate::levels::Levels;
use crate::words::cannot;

/// Callers on a service, bare and with a cache: a stampede, and an outage.
///
/// Starts an HTTP service on the loopback interface whose capacity is limited. A thousand callers ask it at once for the same report, bare, and sharing it by single flight, by a cache, and by a memoized function.
/// Then hundreds of callers a second ask for pages, some of them often and most of them rarely, while the service goes down and comes back: bare, and through caches that keep to the TTL, that serve what is out of
/// date if the service fails, and that refresh it while they serve it. Ends with what was measured, and a timeline.
#[derive(Args)]
pub(crate) struct Options {
    /// What the pages are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the timeline with plain ASCII
    #[arg(long)]
    ascii: bool,
}

/// Runs both, and prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(cannot("start tokio"))?;
    stampede(&runtime, out)?;
    outage(&runtime, options, out)
}

fn stampede(runtime: &Runtime, out: &mut dyn Write) -> Result<(), String> {
    let service = Service::start(stampede::ABILITY, Way::ALL.len()).map_err(cannot("start the service"))?;
    words::introduce_stampede(out, service.address()).map_err(cannot("print"))?;
    let measured = runtime.block_on(stampede::all(&service));
    words::conclude_stampede(out, &measured).map_err(cannot("print"))
}

fn outage(runtime: &Runtime, options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let began = Instant::now();
    let service = Service::start(plan::ABILITY, Manner::ALL.len()).map_err(cannot("start the service"))?;
    words::introduce_outage(out, service.address()).map_err(cannot("print"))?;
    let measured = runtime.block_on(async {
        let customer = |manner| infallible(customers::all(manner, &service, began, options.seed));
        let customers = parallel_array(Manner::ALL, Manner::ALL.len(), customer);
        or(customers.into_future(), show_progress(&service)).await
    });
    let measured = measured.map_err(|error| error.to_string())?;
    words::conclude_outage(out, &measured).map_err(cannot("print"))?;
    timeline::print(out, &measured, Levels::new(options.ascii)).map_err(cannot("print"))
}

/// Shows how many requests the service had from each customer, and never ends.
async fn show_progress<T>(service: &Service) -> T {
    let bar = ProgressBar::new(u64::try_from(TAKES.as_millis()).unwrap_or(u64::MAX)).with_style(progress()).with_prefix("outage");
    loop {
        let requests = Manner::ALL.map(|manner| format!("{} {:>4}", manner.name(), service.arrivals(manner as usize).len()));
        bar.set_message(requests.join("  "));
        bar.set_position(u64::try_from(bar.elapsed().as_millis()).unwrap_or(u64::MAX));
        sleep(ms(50)).await;
    }
}

fn progress() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:15} [{bar:30}] requests: {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
