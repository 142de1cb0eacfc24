//! How long calls take when they do not wait for each other.

use super::Sample;

/// Looks, now and then, how quick the service is with half as many calls.
///
/// As long as callers reach the limit, latency tells how long they wait behind each other there, as much as how long the work takes; an average of it, or its minimum, goes up with the limit that it is to hold down. So half as
/// many are let in for two windows: in the first what was queued runs out, in the second it is measured. If calls take hardly more than half as long then, there is a queue still: that half is the limit from now on, and it looks again.
///
/// Callers who leave a part of the limit free make a queue too, when the service can do less than they ask for. They are mostly let alone as long as calls take about as long as they did: it looks when these take half as long again, no more often than otherwise, and once when nothing is known yet, at half of those who were there.
/// But a queue that was there from the beginning, or has come to be taken for the service's own by chance, makes nothing slower. So it looks an eighth as often though nothing has changed, where two fifths of the limit are in use.
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
    Rests {
        /// Windows since it last looked.
        all: u32,
        /// Windows in a row in which calls took longer, though the limit was not reached.
        slow: u32,
    },
    /// What was queued runs out. So many were under way at once before, and they took so long, in nanoseconds.
    Drains {
        calls: u32,
        before: u64,
    },
    Measures {
        calls: u32,
        before: u64,
    },
}

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

/// After how many slow windows in a row it looks: one may be chance.
const SLOW: u32 = 5;

/// How many times as seldom it looks though nothing has changed, where the limit is not reached.
const RARELY: u32 = 8;

/// The patience of one that has looked, which looks as seldom as it is told.
const KNOWS: u32 = u32::MAX;

impl Probe {
    /// A limit that was never reached before may be many times too large. In the window in which it is, the queue grows, and in the next one those end who came while it did.
    pub(super) const NEW: Self = Self::patient(2);

    const fn patient(patience: u32) -> Self {
        Self { windows: 0, patience, stage: Stage::Rests { all: 0, slow: 0 } }
    }

    /// A window is over, of a service whose calls usually take so long, in nanoseconds; zero if that is not known.
    pub(super) fn step(&mut self, every: u32, limit: u32, usual: u64, sample: &Sample) -> Step {
        let admitted = self.admits(limit);
        match self.stage {
            Stage::Rests { all, slow } => {
                let is_reached = sample.in_flight >= self.reached_by(limit);
                let slow = if !is_reached && is_slow(sample.latency, usual) { slow.saturating_add(1) } else { 0 };
                self.stage = Stage::Rests { all: all.saturating_add(1), slow };
                let is_due = if is_reached {
                    self.windows >= every.min(self.patience)
                } else {
                    (slow >= SLOW && all >= every) || (all / RARELY >= every && is_much(sample.in_flight, limit))
                };
                if !is_due {
                    self.windows = self.windows.saturating_add(is_reached.into());
                    return Step::Rests;
                }
                self.stage = Stage::Drains { calls: sample.in_flight.min(limit), before: sample.latency };
                Step::Probes(limit)
            }
            // Hardly anybody calls any more, and how quick that is says nothing of a limit.
            Stage::Drains { .. } | Stage::Measures { .. } if sample.in_flight < admitted.div_ceil(2) => {
                self.give_up();
                Step::Rests
            }
            Stage::Drains { calls, before } => {
                self.stage = Stage::Measures { calls, before };
                Step::Probes(limit)
            }
            Stage::Measures { before, .. } if admitted > 1 && is_queued(sample.latency, before) => {
                self.stage = Stage::Drains { calls: admitted, before: sample.latency };
                Step::Probes(admitted)
            }
            Stage::Measures { .. } => {
                *self = Self::patient(KNOWS);
                Step::Measured
            }
        }
    }

    /// By how many calls the limit is reached. Before it has looked, by so many that it may grow.
    const fn reached_by(&self, limit: u32) -> u32 {
        if self.patience == KNOWS { limit } else { limit.div_ceil(2) }
    }

    /// A probe that is under way has come to nothing: there was overload, or there were no calls. It counts anew, and is more patient: in a window of a probe nothing grows.
    pub(super) fn give_up(&mut self) {
        if self.is_under_way() {
            *self = Self::patient(self.patience.saturating_mul(2));
        }
    }

    /// Whether it looks.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Rests { .. })
    }

    /// How many of `limit` it lets in.
    pub(super) fn admits(&self, limit: u32) -> u32 {
        match self.stage {
            Stage::Rests { .. } => limit,
            Stage::Drains { calls, .. } | Stage::Measures { calls, .. } => (calls / 2).max(1).min(limit),
        }
    }
}

/// Whether so many are two fifths of the limit. A limit that has grown above all callers lies hardly beyond twice as many.
const fn is_much(in_flight: u32, limit: u32) -> bool {
    in_flight.saturating_add(in_flight).saturating_add(in_flight / 2) >= limit
}

/// Whether that is more than half as long again as usual.
pub(super) const fn is_slow(latency: u64, usual: u64) -> bool {
    usual > 0 && latency > usual.saturating_add(usual / 2)
}

/// Whether that is less than five eighths of what it was: half of it, if all were queued.
const fn is_queued(latency: u64, before: u64) -> bool {
    latency < before / 8 * 5
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{KNOWS, Probe, Sample, Step};

    /// A service with so many places, whose calls take 1,000 units each, and all of the limit is in use.
    fn service(places: u64, limit: u32) -> Sample {
        Sample { latency: 1_000 * places.max(limit.into()) / places, calls: 10, in_flight: limit }
    }

    /// How many are let in as a probe goes on.
    fn goes_through(places: u64, mut limit: u32) -> Vec<u32> {
        let (mut probe, mut admitted) = (Probe::patient(KNOWS), Vec::new());
        loop {
            let step = probe.step(0, limit, 0, &service(places, probe.admits(limit)));
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
        let [half, less, rare] = [10, 9, 19].map(|in_flight| Sample { in_flight, ..reached });
        for _ in 0..2 {
            assert_eq!(probe.step(3, 20, 0, &less), Step::Rests);
            assert_eq!(probe.step(3, 20, 0, &half), Step::Rests);
        }
        assert_eq!(probe.step(3, 20, 0, &half), Step::Probes(20), "the first time, sooner, and at half of it");
        assert_eq!(probe.admits(20), 5);
        assert_eq!(probe.step(3, 20, 0, &service(20, 5)), Step::Probes(20));
        assert_eq!(probe.step(3, 20, 0, &service(20, 5)), Step::Measured);
        for _ in 0..3 {
            assert_eq!(probe.step(3, 20, 0, &rare), Step::Rests);
            assert_eq!(probe.step(3, 20, 0, &reached), Step::Rests);
        }
        assert_eq!((probe.step(3, 20, 0, &reached), probe.admits(20)), (Step::Probes(20), 10));
    }

    #[test]
    fn what_takes_longer_is_looked_at_though_the_limit_is_not_reached() {
        let sample = |latency, in_flight| Sample { latency, calls: 10, in_flight };
        let mut probe = Probe::patient(KNOWS);
        let slow = [sample(151, 12); 4];
        for (usual, breaks) in [(100, sample(150, 12)), (100, sample(900, 40)), (0, sample(900, 12)), (100, sample(100, 12))] {
            let steps = slow.map(|slow| probe.step(10, 40, 100, &slow));
            assert_eq!((steps, probe.step(10, 40, usual, &breaks)), ([Step::Rests; 4], Step::Rests));
        }
        assert_eq!(slow.map(|slow| probe.step(10, 40, 100, &slow)), [Step::Rests; 4]);
        assert_eq!(probe.step(10, 40, 100, &sample(200, 12)), Step::Probes(40), "the fifth in a row");
        assert_eq!(probe.admits(40), 6, "half of those who are there");
        assert_eq!(probe.step(100, 40, 100, &sample(150, 6)), Step::Probes(40));
        assert_eq!(probe.step(100, 40, 100, &sample(100, 6)), Step::Probes(6), "it was a queue");
        assert_eq!(probe.admits(6), 3);
        assert_eq!(probe.step(100, 6, 100, &sample(100, 3)), Step::Probes(6));
        assert_eq!((probe.step(100, 6, 100, &sample(100, 3)), probe.admits(6)), (Step::Measured, 6));
        let again = (0..20).find(|_| probe.step(10, 40, 100, &sample(200, 12)) != Step::Rests);
        assert_eq!(again, Some(10), "no more often than it is told");
    }

    #[test]
    fn what_has_not_changed_is_looked_at_rarely_and_only_where_many_call() {
        let looks_after = |in_flight| {
            let mut probe = Probe::patient(KNOWS);
            (0..200).find(|_| probe.step(3, 41, 100, &Sample { latency: 100, calls: 10, in_flight }) != Step::Rests)
        };
        assert_eq!([16, 17, 20, 40].map(looks_after), [None, Some(24), Some(24), Some(24)]);
        assert_eq!(looks_after(41), Some(3), "where it is reached");
    }

    /// A probe that is under way, of a limit of 20 that had been looked at before.
    fn under_way() -> Probe {
        let mut probe = Probe::patient(KNOWS);
        while probe.admits(20) == 20 {
            let _step = probe.step(3, 20, 0, &service(20, 20));
        }
        probe
    }

    #[test]
    fn what_is_given_up_leaves_the_limit_as_it_was_and_is_looked_at_later() {
        let mut overloaded = under_way();
        overloaded.give_up();
        let mut deserted = under_way();
        assert_eq!(deserted.step(3, 20, 0, &service(20, 4)), Step::Rests, "less than half of 10");
        for mut probe in [overloaded, deserted] {
            for _ in 0..3 {
                assert_eq!((probe.step(3, 20, 0, &service(20, 20)), probe.admits(20)), (Step::Rests, 20));
            }
            assert_eq!(probe.step(3, 20, 0, &service(20, 20)), Step::Probes(20));
        }
        let mut first = Probe::NEW;
        let mut after = Vec::new();
        for _ in 0..4 {
            while first.admits(20) == 20 {
                let _step = first.step(10, 20, 0, &service(20, 20));
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
