use std::ops::Range;
use std::time::Duration;

use aplomb_tokio::cache::Snapshot;

use super::customers::{Answer, Measured};
use super::plan::Phase;
use crate::figures::{percentile, ratio};

/// What came of a customer in some time.
pub(super) struct Part<'m> {
    times: Range<Duration>,
    callers: usize,
    answers: Vec<&'m Answer>,
    requests: usize,
}

impl Measured {
    /// What came of those who came in that time, and of the requests that the service had then.
    pub(super) fn within(&self, times: Range<Duration>) -> Part<'_> {
        let calls = self.calls.iter().filter(|call| times.contains(&call.at));
        let answers = calls.clone().filter_map(|call| call.answer.as_ref());
        let requests = self.arrivals.iter().filter(|at| times.contains(at)).count();
        Part { callers: calls.count(), answers: answers.collect(), requests, times }
    }

    /// The share of reads in a phase that the cache served at once.
    pub(super) fn hit_ratio(&self, phase: Phase) -> f64 {
        let index = phase as usize;
        let [Some(start), Some(end)] = [self.snapshots.get(index), self.snapshots.get(index + 1)] else { return 0.0 };
        let served = |snapshot: &Snapshot| snapshot.hits + snapshot.stale;
        let (hits, misses) = (served(end) - served(start), end.misses - start.misses);
        ratio(hits, hits + misses)
    }
}

impl Part<'_> {
    /// The share of callers who got an answer.
    pub(super) fn answered(&self) -> f64 {
        ratio(self.answers.len() as u64, self.callers as u64)
    }

    /// The latencies of those who got one that so many percent of them did not exceed.
    pub(super) fn percentiles<const N: usize>(&self, percents: [usize; N]) -> [Option<Duration>; N] {
        let mut latencies: Vec<_> = self.answers.iter().map(|answer| answer.latency).collect();
        latencies.sort_unstable();
        percents.map(|percent| (!latencies.is_empty()).then(|| percentile(&latencies, percent)))
    }

    /// The age of the oldest answer.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.age).max()
    }

    /// The requests a second that the service had.
    pub(super) fn requests_per_second(&self) -> f64 {
        ratio(self.requests as u64, 1) / self.times.end.saturating_sub(self.times.start).as_secs_f64()
    }
}
