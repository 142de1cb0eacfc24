//! What a policy would come to: thousands of clients on a service with an outage, in virtual time.

mod options;
mod plan;
mod world;

use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

pub(crate) use options::Options;

use plan::Plan;

use crate::outcome::{self, Outcome, Scene};
use crate::policy::Policy;
use crate::tally::Tally;
use crate::words::{cannot, time};

const TITLE: &str = "What if: an outage, in virtual time.";

/// Simulates all policies under all seeds, and prints what came of them.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let plan = options.plan()?;
    let scene = plan.scene();
    outcome::tell(out, TITLE, &scene).map_err(cannot("print"))?;

    let began = Instant::now();
    let outcomes = simulate(&plan, &scene, &options.policies(), options.seeds())?;
    let calls: u64 = outcomes.iter().map(Outcome::calls).sum();
    eprintln!("{} worlds, {calls} calls, simulated in {}", outcomes.len() as u64 * plan.seeds, time(began.elapsed()));

    outcome::print(out, &scene, &outcomes, options.ascii()).map_err(cannot("print"))?;
    if let Some(path) = options.html() {
        let page = outcome::write_page(TITLE, &scene, &outcomes);
        fs::write(path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// The number of a policy, and a seed.
type Job = (usize, u64);

/// All of them, on as many threads as there are cores. The order in which they come to their ends makes no difference.
fn simulate(plan: &Plan, scene: &Scene, policies: &[Policy], seeds: Range<u64>) -> Result<Vec<Outcome>, String> {
    let jobs: Vec<Job> = (0..policies.len()).flat_map(|policy| seeds.clone().map(move |seed| (policy, seed))).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(Job, Tally)>, String> {
        let mut done = Vec::new();
        while let Some(&(policy, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(((policy, seed), world::run(plan, &policies[policy], seed)?));
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(jobs.len());
    let done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut runs: Vec<(Job, Tally)> = done.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    runs.sort_unstable_by_key(|(job, _)| *job);

    let mut runs = runs.into_iter().map(|(_, tally)| tally);
    let each = jobs.len() / policies.len();
    Ok(policies.iter().map(|policy| Outcome::new(policy.text(), runs.by_ref().take(each).collect(), scene)).collect())
}
