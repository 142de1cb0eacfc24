//! A service with a hard quota, and clients that have more to ask.

mod clients;
mod ledger;
mod service;

use std::io::{self, Write};
use std::time::Duration;

use aplomb_tokio::prelude::*;
use clap::Args;
use console::style;
use futures_lite::future::or;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Builder;
use tokio::time::sleep;

use clients::{AGAIN, CLIENTS, CLIENTS_BURST, Manner, Measured, SLACK};
use ledger::{BURST, RATE};
use service::Service;

use crate::policy::parse_time;
use crate::words::{cannot, time};

/// A service with a hard quota, and clients that have more to ask.
///
/// Many clients of three customers ask a service on the loopback interface at the same time: at will, as its refusals tell them, and through a rate limiter that they share. Ends with what was measured.
#[derive(Args)]
pub(crate) struct Options {
    /// For how long they ask
    #[arg(long, default_value = "3s", value_parser = lasting, value_name = "TIME")]
    time: Duration,
}

fn lasting(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).ok().filter(|time| (ms(500)..=secs(600)).contains(time));
    time.ok_or_else(|| "expected a time from 500ms to 10m".into())
}

/// Lets the clients of three customers ask for that long, each in its manner; prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let takes = options.time;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(cannot("start tokio"))?;
    let service = Service::start().map_err(cannot("start the service"))?;
    introduce(out, takes).map_err(cannot("print"))?;

    let address = service.address();
    let measured = runtime.block_on(async {
        let end = deadline(takes);
        let customers = parallel_array(Manner::ALL, Manner::ALL.len(), |manner| clients::all(manner, address, end));
        or(customers.into_future(), show_progress(&service, takes)).await
    });
    conclude(out, &service, &measured.map_err(|error| error.to_string())?).map_err(cannot("print"))
}

/// Shows how much each customer was served, and never ends.
async fn show_progress<T>(service: &Service, takes: Duration) -> T {
    let bar = ProgressBar::new(u64::try_from(takes.as_millis()).unwrap_or(u64::MAX)).with_style(progress()).with_prefix("quota");
    loop {
        let served = service.ledgers().map(|(manner, ledger)| format!("{} {:>4}", manner.name(), ledger.served()));
        bar.set_message(served.collect::<Vec<_>>().join("  "));
        bar.set_position(u64::try_from(bar.elapsed().as_millis()).unwrap_or(u64::MAX));
        sleep(ms(50)).await;
    }
}

fn progress() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:15} [{bar:30}] served: {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn introduce(out: &mut dyn Write, takes: Duration) -> io::Result<()> {
    let title = format!("A quota: {RATE} requests a second, and {BURST} at once. Three customers, who always want more.");
    writeln!(out, "{}\n", style(title).bold())?;
    writeln!(out, "The service counts each request as it arrives, and refuses with a 429 and Retry-After what goes beyond.")?;
    writeln!(out, "The customers: {CLIENTS} clients each, at the same time, for {}", time(takes))?;
    let [again, slack] = [AGAIN, SLACK].map(time);
    writeln!(out, "  {:9} a client that was refused asks again after {again}", Manner::Bare.name())?;
    writeln!(out, "  {:9} it asks again when Retry-After says, which knows whole seconds only", Manner::AsTold.name())?;
    writeln!(
        out,
        "  {:9} all clients share RateLimiter::with_burst(Rate::per_second({RATE}), {CLIENTS_BURST}); the rest of the burst is for",
        Manner::Limited.name()
    )?;
    writeln!(out, "  {:9} requests that the network brings closer together: up to {slack} may lie between their delays\n", "")
}

fn conclude(out: &mut dyn Write, service: &Service, measured: &[Measured]) -> io::Result<()> {
    let heads = [
        ["", "requests", "served", "refused", "throughput", "served to", "longest"],
        ["", "", "", "with 429", "of the quota", "each client", "wait"],
    ];
    for [name, requests, served, refused, throughput, each, wait] in heads {
        let head = format!("{name:9}{requests:>10}{served:>8}{refused:>10}{throughput:>14}{each:>13}{wait:>10}");
        writeln!(out, "{}", style(head).bold())?;
    }
    for ((manner, ledger), Measured { served: (fewest, most), longest_wait }) in service.ledgers().zip(measured) {
        let (served, refused) = (ledger.served(), ledger.refused());
        let throughput = format!("{:.1} %", ledger.throughput() * 100.0);
        let (each, wait) = (format!("{fewest} to {most}"), time(*longest_wait));
        let (name, requests) = (manner.name(), served + refused);
        writeln!(out, "{name:9}{requests:>10}{served:>8}{refused:>10}{throughput:>14}{each:>13}{wait:>10}")?;
    }
    writeln!(out, "\nThroughput is what was used of the {RATE} a second, as the service counts them; the burst comes on top.")
}
