//! The main job: a service that slows down, fails and recovers, and what becomes of those who call it, each by a policy.

mod customers;
mod live;
mod plan;
mod service;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use console::style;
use futures_lite::future::or;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use plan::{Plan, customers};
use service::Service;

use crate::outcome::{self, Outcome};
use crate::policy::parse_time;
use crate::tally::Recovered;
use crate::words::{cannot, time};

/// How long it takes.
#[derive(Args)]
pub(crate) struct Options {
    /// For how long the clients call; the trouble takes its share of it
    #[arg(long, default_value = "12s", value_parser = lasting, value_name = "TIME")]
    time: Duration,
    /// What the service draws its times from, and the clients theirs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write a page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Draw with plain ASCII
    #[arg(long)]
    ascii: bool,
}

const TITLE: &str = "A service slows down, fails, stalls, and recovers. The same calls, by several policies at the same time.";

fn lasting(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).ok().filter(|time| (Duration::from_secs(4)..=Duration::from_mins(10)).contains(time));
    time.ok_or_else(|| "expected a time from 4s to 10m".into())
}

/// Lets all customers call at the same time, and prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let plan = Plan { time: options.time, seed: options.seed };
    let customers = customers()?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot("start tokio"))?;
    let service = Rc::new(Service::start(&plan, customers.len()).map_err(cannot("start the service"))?);
    let scene = plan.scene(service.address());
    outcome::tell(out, TITLE, &scene).map_err(cannot("print"))?;

    let local = LocalSet::new();
    let shown = live::show(out, &service, &scene, &customers, options.ascii);
    let called = or(customers::all(&customers, &service, &plan), async { shown.await.map_err(cannot("print")) });
    local.block_on(&runtime, called)?;

    let outcomes: Vec<Outcome> = customers
        .iter()
        .enumerate()
        .map(|(index, policy)| Outcome::new(policy.text(), vec![service.tally(index)], &scene))
        .collect();
    outcome::print(out, &scene, &outcomes, options.ascii).map_err(cannot("print"))?;
    conclude(out, &outcomes).map_err(cannot("print"))?;
    if let Some(path) = &options.html {
        let page = outcome::write_page(TITLE, &scene, &outcomes);
        fs::write(path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Says who was well again, and when.
fn conclude(out: &mut dyn Write, outcomes: &[Outcome]) -> std::io::Result<()> {
    writeln!(out, "\n{}", style("When the trouble was over").bold())?;
    for outcome in outcomes {
        let after = match outcome.recovered().map(|spread| spread.median) {
            Some(Recovered::After(Duration::ZERO)) => "it was normal again at once".into(),
            Some(Recovered::After(after)) => format!("it was normal again after {}", time(after)),
            Some(Recovered::Never) => "it was not normal again to the end".into(),
            None => "nobody can tell".into(),
        };
        writeln!(out, "  {after:40} {}", outcome.name)?;
    }
    Ok(())
}
