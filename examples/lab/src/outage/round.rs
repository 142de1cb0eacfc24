use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::guard::{Mode, Outcome};
use super::plan::Plan;
use super::service::Service;
use crate::figures::{percentile, ratio};

/// How long nothing may happen before a round is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the service may take to notice the last requests.
const SETTLING: Duration = Duration::from_millis(50);

/// A runtime that calls the service.
pub(super) trait Client {
    fn name(&self) -> &'static str;

    /// Starts a call. Its end is told to [`Call::end`].
    fn start_call(&self, mode: Mode, call: Call);
}

/// A call that has begun.
pub(super) struct Call {
    /// Where the service is.
    pub(super) address: SocketAddr,
    began: Instant,
    ended: Sender<Ended>,
}

impl Call {
    /// Says how it ended, and takes the time.
    pub(super) fn end(self, outcome: Outcome) {
        // Nobody listens any more to a round that was given up.
        let _ = self.ended.send(Ended { outcome, latency: self.began.elapsed() });
    }
}

/// A call that has ended.
struct Ended {
    outcome: Outcome,
    latency: Duration,
}

/// What was measured in a round.
pub(super) struct Measured {
    pub(super) runtime: &'static str,
    pub(super) mode: Mode,
    pub(super) calls: usize,
    pub(super) succeeded: usize,
    pub(super) attempts: u32,
    /// Calls that ended because the budget refused a retry.
    pub(super) refused: usize,
    /// The requests that the service got.
    pub(super) requests: u64,
    /// Of all calls, succeeded or not, the shortest first.
    latencies: Vec<Duration>,
    pub(super) took: Duration,
}

/// Makes so many calls, evenly over the round, whether or not earlier ones have ended; then waits for the last.
///
/// # Errors
///
/// Says so if calls don't come back.
pub(super) fn run(
    client: &dyn Client,
    mode: Mode,
    service: &Service,
    plan: &Plan,
    calls: u32,
    bar: &ProgressBar,
) -> Result<Measured, String> {
    let began = service.begin_round();
    let (ended, ends) = channel();
    let mut measured = Measured::new(client.name(), mode);
    for index in 0..calls {
        measured.listen_until(began + plan.round * index / calls, &ends);
        let call = Call { address: service.address(), began: Instant::now(), ended: ended.clone() };
        client.start_call(mode, call);
        measured.show(bar, plan, began);
    }
    drop(ended);
    while measured.calls < calls as usize {
        match ends.recv_timeout(SILENCE) {
            Ok(end) => measured.add(&end),
            Err(_) => return Err(format!("{} calls did not come back", calls as usize - measured.calls)),
        }
        measured.show(bar, plan, began);
    }
    measured.took = began.elapsed();
    measured.latencies.sort_unstable();
    thread::sleep(SETTLING);
    measured.requests = service.requests();
    Ok(measured)
}

impl Measured {
    fn new(runtime: &'static str, mode: Mode) -> Self {
        let (latencies, took) = (Vec::new(), Duration::ZERO);
        Self { runtime, mode, calls: 0, succeeded: 0, attempts: 0, refused: 0, requests: 0, latencies, took }
    }

    /// Hears of the ends of calls until it is time for the next one.
    fn listen_until(&mut self, at: Instant, ends: &Receiver<Ended>) {
        while let Ok(end) = ends.recv_timeout(at.saturating_duration_since(Instant::now())) {
            self.add(&end);
        }
    }

    fn add(&mut self, end: &Ended) {
        self.calls += 1;
        self.succeeded += usize::from(end.outcome.succeeded);
        self.attempts += end.outcome.attempts;
        self.refused += usize::from(end.outcome.refused);
        self.latencies.push(end.latency);
    }

    fn show(&self, bar: &ProgressBar, plan: &Plan, began: Instant) {
        bar.set_position(self.calls as u64);
        let failed = self.calls - self.succeeded;
        bar.set_message(format!("{:14} {failed} failed", plan.phase(began.elapsed()).name()));
    }

    /// The share of calls that succeeded.
    pub(super) fn success(&self) -> f64 {
        ratio(self.succeeded as u64, self.calls as u64)
    }

    pub(super) fn attempts_per_call(&self) -> f64 {
        ratio(self.attempts.into(), self.calls as u64)
    }

    /// The latency that so many percent of the calls did not exceed.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}
