//! What is counted while clients call a service, step by step, and what that comes to.

use std::ops::Range;
use std::time::Duration;

use crate::figures::{percentile, ratio};

/// How many steps there are at most.
const STEPS: u32 = 120;
/// How many calls a step should have at least, for shares of them to say something.
const CALLS: f64 = 30.0;
/// Of so many steps, one may be otherwise all the same: a limit that is looked for is missed at times.
const ODD: usize = 40;
/// It is normal again when so much of what succeeded before succeeds.
const NORMAL: f64 = 0.95;

/// What happened in each step of time.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    step: Duration,
    steps: Vec<Step>,
    whole: Step,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    /// Requests that the service got.
    requests: u64,
    /// Calls that began, and have ended.
    calls: u64,
    /// Those of them that succeeded, whenever they ended.
    succeeded: u64,
    /// Calls that ended with success, whenever they began.
    served: u64,
    /// Of calls that began and succeeded.
    latencies: Vec<Duration>,
}

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// The share of calls that succeeded.
    pub(crate) success: f64,
    pub(crate) requests_per_call: f64,
    /// The most requests in a step, a second.
    pub(crate) peak: f64,
    /// That of calls that succeeded and began before the first trouble, if any did.
    pub(crate) p99_before: Option<Duration>,
    /// That of all calls that succeeded, if any did.
    pub(crate) p99: Option<Duration>,
    /// When it was normal again; none if there were too few calls to tell, or nothing succeeded before the trouble either.
    pub(crate) recovered: Option<Recovered>,
}

/// When it was normal again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recovered {
    /// So long after the last trouble.
    After(Duration),
    /// Not to the end.
    Never,
}

impl Tally {
    /// For calls that begin in that time, some `rate` a second.
    pub(crate) fn new(time: Duration, rate: f64) -> Self {
        let step = (time / STEPS).max(Duration::from_secs_f64(CALLS / rate)).min(time);
        let steps = time.as_nanos().div_ceil(step.as_nanos().max(1));
        Self { step, steps: vec![Step::default(); usize::try_from(steps).unwrap_or(0)], whole: Step::default() }
    }

    /// A request has come to the service.
    pub(crate) fn request(&mut self, at: Duration) {
        for step in self.at(at) {
            step.requests += 1;
        }
    }

    /// A call has ended.
    pub(crate) fn call(&mut self, began: Duration, ended: Duration, succeeded: bool) {
        for step in self.at(began) {
            step.calls += 1;
            if succeeded {
                step.succeeded += 1;
                step.latencies.push(ended.saturating_sub(began));
            }
        }
        if succeeded {
            for step in self.at(ended) {
                step.served += 1;
            }
        }
    }

    /// The step of that time, if it is one of them, and the whole.
    fn at(&mut self, at: Duration) -> impl Iterator<Item = &mut Step> {
        let index = usize::try_from(at.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(usize::MAX);
        self.steps.get_mut(index).into_iter().chain([&mut self.whole])
    }

    /// How long a step lasts.
    pub(crate) fn step(&self) -> Duration {
        self.step
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn whole(&self) -> &Step {
        &self.whole
    }

    /// So many a second, in a step.
    pub(crate) fn rate(&self, count: u64) -> f64 {
        ratio(count, 1) / self.step.as_secs_f64()
    }

    /// What it comes to, if something went wrong with the service in that time.
    pub(crate) fn figures(&self, trouble: &Range<Duration>) -> Figures {
        let peak = self.steps.iter().map(|step| step.requests).max().unwrap_or(0);
        Figures {
            success: self.whole.success().unwrap_or(0.0),
            requests_per_call: ratio(self.whole.requests, self.whole.calls),
            peak: self.rate(peak),
            p99_before: self.before(trouble).percentile(99),
            p99: self.whole.percentile(99),
            recovered: self.recovered(trouble),
        }
    }

    /// All steps that are over before the trouble, in one.
    fn before(&self, trouble: &Range<Duration>) -> Step {
        let ends = (1..).map(|number| self.step * number);
        let before = ends.zip(&self.steps).take_while(|(ends, _)| *ends <= trouble.start);
        before.fold(Step::default(), |mut sum, (_, step)| {
            sum.calls += step.calls;
            sum.succeeded += step.succeeded;
            sum.latencies.extend_from_slice(&step.latencies);
            sum
        })
    }

    /// From the end of the trouble to the first step from which on all are normal, but for one in [`ODD`].
    fn recovered(&self, trouble: &Range<Duration>) -> Option<Recovered> {
        let usual = self.before(trouble).success().unwrap_or(1.0);
        let ends = (1..).map(|number| self.step * number);
        let after = ends.zip(&self.steps).skip_while(|(ends, _)| *ends <= trouble.end);
        let is_normal = |(ends, step): (Duration, &Step)| Some((ends, step.success()? >= NORMAL * usual));
        let after: Vec<(Duration, bool)> = after.filter_map(is_normal).collect();
        if usual == 0.0 || after.is_empty() {
            return None;
        }
        let stays = |from: &usize| {
            let rest = &after[*from..];
            rest[0].1 && rest.iter().filter(|(_, normal)| !normal).count() <= rest.len() / ODD
        };
        let from = (0..after.len()).find(stays);
        Some(from.map_or(Recovered::Never, |from| Recovered::After(after[from].0.saturating_sub(self.step + trouble.end))))
    }
}

impl Step {
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn served(&self) -> u64 {
        self.served
    }

    /// The share of the calls that succeeded, if there were any.
    pub(crate) fn success(&self) -> Option<f64> {
        (self.calls > 0).then(|| ratio(self.succeeded, self.calls))
    }

    /// The latency that so many percent of the calls that succeeded did not exceed, if there were any.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        (!sorted.is_empty()).then(|| percentile(&sorted, percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// A call a tenth of a second; of those that begin in `fails`, each fails.
    fn tally(fails: &[(u64, u64)]) -> Tally {
        let mut tally = Tally::new(secs(60), 100.0);
        for tenth in 0..600 {
            let at = secs(tenth) / 10;
            tally.request(at);
            tally.call(at, at + Duration::from_millis(5), !fails.iter().any(|(from, to)| (*from..*to).contains(&(tenth / 10))));
        }
        tally
    }

    #[test]
    fn normal_is_what_was_before_to_the_end() {
        let recovered = |fails: &[(u64, u64)]| tally(fails).figures(&(secs(10)..secs(15))).recovered;
        let after = |time| Some(Recovered::After(secs(time)));
        assert_eq!(recovered(&[(10, 15)]), after(0));
        assert_eq!(recovered(&[(10, 23)]), after(8));
        assert_eq!(recovered(&[(10, 15), (40, 42)]), after(27), "not if it fails again");
        assert_eq!(recovered(&[(10, 15), (40, 41)]), after(0), "but for a moment");
        assert_eq!(recovered(&[(10, 60)]), Some(Recovered::Never));
    }

    #[test]
    fn what_nobody_can_tell_is_not_told() {
        let fails = tally(&[(0, 60)]).figures(&(secs(10)..secs(15)));
        assert_eq!((fails.p99_before, fails.p99, fails.recovered), (None, None, None), "there is no normal");
        let starts_badly = tally(&[(0, 5)]).figures(&(secs(0)..secs(5)));
        assert_eq!((starts_badly.p99_before, starts_badly.recovered), (None, Some(Recovered::After(secs(0)))));
        assert_eq!(tally(&[]).figures(&(secs(59)..secs(60))).recovered, None, "nothing comes after it");
    }

    #[test]
    fn figures_are_counted() {
        let figures = tally(&[(10, 40)]).figures(&(secs(10)..secs(15)));
        assert_eq!((figures.success, figures.requests_per_call, figures.peak), (0.5, 1.0, 10.0));
        assert_eq!((figures.p99_before, figures.p99), (Some(Duration::from_millis(5)), Some(Duration::from_millis(5))));
    }

    #[test]
    fn what_ends_after_the_last_step_counts_in_the_whole() {
        let mut tally = Tally::new(secs(1), 1_000.0);
        tally.request(secs(2));
        tally.call(secs(0), secs(3), true);
        assert_eq!((tally.whole().requests(), tally.whole().served(), tally.whole().success()), (1, 1, Some(1.0)));
        assert_eq!(tally.steps().iter().map(Step::served).sum::<u64>(), 0);
    }
}
