//! How long calls take when they do not wait for each other.

use super::Sample;

/// Looks, now and then, how quick the service is with half as many calls.
///
/// As long as callers reach the limit, latency tells how long they wait behind each other there, as much as how long the work takes; an average of it, or its minimum, goes up with the limit that it is to hold down. So half as
/// many are let in for two windows: in the first what was queued runs out, in the second it is measured. If calls take hardly more than half as long then, there is a queue still: that half is the limit from now on, and it looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Probe {
    /// Windows in which the limit was reached, since it last looked.
    windows: u32,
    /// In how many of them it looks, if that is sooner than it is told.
    patience: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage {
    Rests,
    /// What was queued runs out.
    Drains(Before),
    Measures(Before),
}

/// How long calls took before, in nanoseconds.
type Before = u64;

/// What a window was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is one as ever.
    Rests,
    /// It belongs to a probe, and the limit is to be this.
    Probes(u32),
    /// It has measured how long a call takes.
    Measured,
}

impl Probe {
    /// A limit that was never reached before may be many times too large. In the window in which it is, the queue grows, and in the next one those end who came while it did.
    pub(super) const NEW: Self = Self::patient(2);

    const fn patient(patience: u32) -> Self {
        Self { windows: 0, patience, stage: Stage::Rests }
    }

    /// A window is over.
    pub(super) fn step(&mut self, every: u32, limit: u32, sample: &Sample) -> Step {
        let admitted = self.admits(limit);
        match self.stage {
            Stage::Rests if sample.in_flight < limit => Step::Rests,
            Stage::Rests => {
                if self.windows < every.min(self.patience) {
                    self.windows = self.windows.saturating_add(1);
                    return Step::Rests;
                }
                self.stage = Stage::Drains(sample.latency);
                Step::Probes(limit)
            }
            // Hardly anybody calls any more, and how quick that is says nothing of a limit.
            Stage::Drains(_) | Stage::Measures(_) if sample.in_flight < admitted.div_ceil(2) => {
                self.give_up();
                Step::Rests
            }
            Stage::Drains(before) => {
                self.stage = Stage::Measures(before);
                Step::Probes(limit)
            }
            Stage::Measures(before) if admitted > 1 && is_queued(sample.latency, before) => {
                self.stage = Stage::Drains(sample.latency);
                Step::Probes(admitted)
            }
            Stage::Measures(_) => {
                *self = Self::patient(u32::MAX);
                Step::Measured
            }
        }
    }

    /// A probe that is under way has come to nothing: there was overload, or there were no calls. It counts anew, and is more patient: in a window of a probe nothing grows.
    pub(super) fn give_up(&mut self) {
        if self.is_under_way() {
            *self = Self::patient(self.patience.saturating_mul(2));
        }
    }

    /// Whether it looks.
    pub(super) fn is_under_way(&self) -> bool {
        self.stage != Stage::Rests
    }

    /// How many of `limit` it lets in.
    pub(super) fn admits(&self, limit: u32) -> u32 {
        match self.stage {
            Stage::Rests => limit,
            Stage::Drains(_) | Stage::Measures(_) => (limit / 2).max(1),
        }
    }
}

/// Whether that is less than five eighths of what it was: half of it, if all were queued.
const fn is_queued(latency: u64, before: u64) -> bool {
    latency < before / 8 * 5
}

#[cfg(test)]
mod tests {
    use super::{Probe, Sample, Step};

    /// A service with so many places, whose calls take 1,000 units each, and all of the limit is in use.
    fn service(places: u64, limit: u32) -> Sample {
        Sample { latency: 1_000 * places.max(limit.into()) / places, calls: 10, in_flight: limit }
    }

    /// How many are let in as a probe goes on.
    fn goes_through(places: u64, mut limit: u32) -> Vec<u32> {
        let (mut probe, mut admitted) = (Probe::patient(u32::MAX), Vec::new());
        loop {
            let step = probe.step(0, limit, &service(places, probe.admits(limit)));
            if let Step::Probes(next) = step {
                limit = next;
            }
            admitted.push(probe.admits(limit));
            match step {
                Step::Rests => unreachable!("it is due"),
                Step::Probes(_) => {}
                Step::Measured => return admitted,
            }
        }
    }

    extern crate std;
    use std::vec::Vec;

    #[test]
    fn a_limit_that_is_reached_is_halved_until_that_makes_nothing_quicker() {
        assert_eq!(goes_through(100, 20), [10, 10, 20], "there is no queue");
        assert_eq!(goes_through(20, 30), [15, 15, 30], "there is a short one");
        assert_eq!(goes_through(4, 20), [10, 10, 5, 5, 2, 2, 5]);
        assert_eq!(goes_through(1, 2), [1, 1, 2]);
        assert_eq!(goes_through(1, 64), [32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1, 2]);
    }

    #[test]
    fn it_looks_again_after_so_many_windows_in_which_the_limit_was_reached() {
        let (mut probe, reached) = (Probe::NEW, service(20, 20));
        let rare = Sample { in_flight: 19, ..reached };
        for _ in 0..2 {
            assert_eq!(probe.step(3, 20, &rare), Step::Rests);
            assert_eq!(probe.step(3, 20, &reached), Step::Rests);
        }
        assert_eq!(probe.step(3, 20, &reached), Step::Probes(20), "the first time, sooner");
        assert_eq!(probe.admits(20), 10);
        assert_eq!(probe.step(3, 20, &service(20, 10)), Step::Probes(20));
        assert_eq!(probe.step(3, 20, &service(20, 10)), Step::Measured);
        for _ in 0..3 {
            assert_eq!(probe.step(3, 20, &rare), Step::Rests);
            assert_eq!(probe.step(3, 20, &reached), Step::Rests);
        }
        assert_eq!((probe.step(3, 20, &reached), probe.admits(20)), (Step::Probes(20), 10));
    }

    /// A probe that is under way, of a limit of 20 that had been looked at before.
    fn under_way() -> Probe {
        let mut probe = Probe::patient(u32::MAX);
        while probe.admits(20) == 20 {
            let _step = probe.step(3, 20, &service(20, 20));
        }
        probe
    }

    #[test]
    fn what_is_given_up_leaves_the_limit_as_it_was_and_is_looked_at_later() {
        let mut overloaded = under_way();
        overloaded.give_up();
        let mut deserted = under_way();
        assert_eq!(deserted.step(3, 20, &service(20, 4)), Step::Rests, "less than half of 10");
        for mut probe in [overloaded, deserted] {
            for _ in 0..3 {
                assert_eq!((probe.step(3, 20, &service(20, 20)), probe.admits(20)), (Step::Rests, 20));
            }
            assert_eq!(probe.step(3, 20, &service(20, 20)), Step::Probes(20));
        }
        let mut first = Probe::NEW;
        let mut after = Vec::new();
        for _ in 0..4 {
            while first.admits(20) == 20 {
                let _step = first.step(10, 20, &service(20, 20));
            }
            after.push(first.windows);
            first.give_up();
        }
        assert_eq!(after, [2, 4, 8, 10], "never later than it is told");
        let mut rests = Probe { windows: 2, ..Probe::NEW };
        rests.give_up();
        assert_eq!(rests.windows, 2, "there was nothing to give up");
    }
}
