use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::plan::{Calls, Plan};
use crate::backend::{Ability, Trouble, What};
use crate::policy::{Policy, parse_time, parse_times};

/// What is simulated where no policy is given.
const POLICIES: [&str; 6] = [
    "none",
    "retry(4, exp 100ms..1s, full)",
    "retry(4, exp 100ms..1s, full) | budget(10%)",
    "retry(4, exp 100ms..1s, full) | breaker(5, open 1s)",
    "hedge(p95)",
    "adaptive(gradient, wait 100ms)",
];

/// What a policy would come to: thousands of clients on a service with an outage, in virtual time.
///
/// Runs the real patterns on the simulation platform, each policy under the same seeds: the same calls at the same times, to a service that takes as long for each. Prints, as the median over the seeds and the range,
/// how many calls succeeded, how many requests each took, the peak load on the service, and how long after the outage all was normal again; and writes plots, if asked to.
#[derive(Args)]
#[command(after_long_help = POLICY_HELP)]
pub(crate) struct Options {
    /// Calls a second
    #[arg(long, default_value_t = 250.0, value_parser = rate)]
    rps: f64,
    /// Requests a second that the service is able to serve
    #[arg(long, default_value_t = 400.0, value_parser = rate)]
    capacity: f64,
    /// How long the service works on a request, on average (the times are distributed exponentially)
    #[arg(long, default_value = "20ms", value_parser = positive, value_name = "TIME")]
    takes: Duration,
    /// How many requests may wait at the service; the next one gets an error at once [default: any number]
    #[arg(long, value_name = "REQUESTS")]
    queue: Option<usize>,
    /// Which share of the answers is late, and by how much
    #[arg(long, default_value = "2%:200ms", value_parser = hiccups, value_name = "SHARE:TIME")]
    hiccups: (f64, Duration),
    /// When the service is out, and how: it stalls, or fails (`10s..15s:fail`), or works at a share of its speed (`10s..15s:30%`). May be given more than once
    #[arg(long, default_value = "10s..15s", value_parser = trouble, value_name = "FROM..TO[:HOW]")]
    outage: Vec<Trouble>,
    /// For how long calls begin
    #[arg(long, default_value = "60s", value_parser = positive, value_name = "TIME")]
    time: Duration,
    /// After which time a client gives up a request, as an innermost `timeout`
    #[arg(long, default_value = "500ms", value_parser = positive, value_name = "TIME")]
    patience: Duration,
    /// A closed loop: so many clients, each of which waits for the end of its call before it thinks of another [default: an open loop]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: Option<u32>,
    /// How many processes the calls come from, each with budgets and breakers of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    processes: u16,
    /// A policy, the outermost pattern first; may be given more than once [default: those that show the point]
    #[arg(long)]
    policy: Vec<Policy>,
    /// How many seeds each policy is run under
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write a page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Draw with plain ASCII
    #[arg(long)]
    ascii: bool,
}

const POLICY_HELP: &str = "\
Policies: patterns with \"|\" between them, the outermost first
  none
  deadline(TIME)
      all inside ends by then, and retries inside know
  timeout(TIME)
  retry(ATTEMPTS, exp FROM..MAX, JITTER)
      the first attempt included; or \"every PAUSE\";
      jitter is one of none, full, equal, decorrelated
  hedge(TIME)
      a second request after that; or \"p95\", a percentile of what calls take
  budget(SHARE, BURST)
      for the retry or hedge before it: so many for a hundred successes or
      calls, and so many at once (100 retries, 10 hedges)
  breaker(FAILURES, open TIME, probes CALLS)
      so many in a row; or \"50% of 100\" calls; or \"50% in 10s\"
  limiter(RATE, burst CALLS, wait TIME)
      such as 300/s
  bulkhead(PLACES, queue CALLS, wait TIME)
  adaptive(RULE, initial CALLS, queue CALLS, wait TIME)
      a limit that is found, by gradient, vegas, or \"aimd TIME\", the latency
      that is too long
Retries, hedges and breakers go by what the service does, and not by what a
pattern inside rejects.";

impl Options {
    /// What they come to.
    ///
    /// # Errors
    ///
    /// Says what does not go together.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let mut troubles = self.outage.clone();
        troubles.sort_by_key(|trouble| trouble.when.start);
        if let Some([first, second]) = troubles.array_windows().find(|[first, second]| first.when.end > second.when.start) {
            return Err(format!("--outage: {:?} and {:?} overlap", first.when, second.when));
        }
        if let Some(trouble) = troubles.last().filter(|trouble| trouble.when.end >= self.time) {
            return Err(format!("--outage: {:?} is not over before the end, {:?}", trouble.when, self.time));
        }
        if self.rps * self.time.as_secs_f64() > 1e7 {
            return Err("--rps: more than ten million calls".into());
        }
        if self.seed.checked_add(self.seeds).is_none() {
            return Err(format!("--seed: there are no {} seeds from {} on", self.seeds, self.seed));
        }
        let (capacity, takes, queue, hiccups) = (self.capacity, self.takes, self.queue, self.hiccups);
        Ok(Plan {
            ability: Ability { capacity, takes, queue, hiccups, troubles },
            rate: self.rps,
            calls: self.clients.map_or(Calls::Open, |clients| Calls::Closed { clients }),
            processes: self.processes.into(),
            patience: self.patience,
            time: self.time,
            seeds: self.seeds,
        })
    }

    pub(super) fn policies(&self) -> Vec<Policy> {
        if self.policy.is_empty() { POLICIES.iter().filter_map(|text| text.parse().ok()).collect() } else { self.policy.clone() }
    }

    pub(super) fn seeds(&self) -> Range<u64> {
        self.seed..self.seed + self.seeds
    }

    pub(super) fn html(&self) -> Option<&Path> {
        self.html.as_deref()
    }

    pub(super) fn ascii(&self) -> bool {
        self.ascii
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=1e6).contains(rate));
    rate.ok_or_else(|| "expected a number a second, from 0.01 to 1000000".into())
}

fn positive(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).ok().filter(|time| (Duration::from_micros(1)..=Duration::from_hours(24)).contains(time));
    time.ok_or_else(|| "expected a time such as 250ms, 1.5s or 2m, of a day at most".into())
}

fn share(text: &str) -> Result<f64, String> {
    let hundredths = text.strip_suffix('%').and_then(|number| number.parse().ok());
    hundredths.filter(|hundredths| (0.0..=100.0).contains(hundredths)).ok_or_else(|| "expected a share such as 30%".into())
}

fn hiccups(text: &str) -> Result<(f64, Duration), String> {
    let (part, time) = text.split_once(':').ok_or("expected a share and a time, such as 2%:200ms")?;
    Ok((share(part)?, positive(time)?))
}

fn trouble(text: &str) -> Result<Trouble, String> {
    let (when, how) = text.split_once(':').unwrap_or((text, "stall"));
    let when = parse_times(when).map_err(|expected| format!("expected {expected}"))?;
    let what = match how {
        "stall" => What::Stalls,
        "fail" => What::Fails,
        _ => share(how).map(What::Slows).map_err(|_| "expected stall, fail, or a share of its speed such as 30%")?,
    };
    Ok(Trouble { when, what })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &[&str]) -> Result<Options, String> {
        let line = ["whatif"].iter().chain(line);
        Command::try_parse_from(line).map(|command| command.options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_policies_that_show_the_point_are_read() {
        assert_eq!(options(&[]).unwrap().policies().len(), POLICIES.len());
    }

    #[test]
    fn troubles_come_one_after_another_and_end() {
        let plan = |line: &[&str]| options(line).and_then(|options| options.plan());
        let sorted = plan(&["--outage", "20s..30s:fail", "--outage", "10s..20s:30%"]).unwrap().ability.troubles;
        assert_eq!(sorted.iter().map(|trouble| trouble.what).collect::<Vec<_>>(), [What::Slows(30.0), What::Fails]);
        assert!(plan(&["--outage", "20s..30s", "--outage", "10s..21s"]).unwrap_err().contains("overlap"));
        assert!(plan(&["--outage", "20s..60s"]).unwrap_err().contains("is not over"));
        assert!(plan(&["--outage", "20s..30s:often"]).unwrap_err().contains("expected stall, fail"));
        assert_eq!(
            plan(&["--outage", "20s..30s:29%"]).unwrap().ability.troubles[0].what.to_string(),
            "works at 29 % of its speed"
        );
    }

    #[test]
    fn there_are_as_many_seeds_as_it_is_told() {
        let plan = |seed: &str| options(&["--seeds", "3", "--seed", seed]).and_then(|options| options.plan());
        assert!(plan("18446744073709551612").is_ok());
        assert!(plan("18446744073709551613").unwrap_err().contains("--seed"));
    }
}
