use core::mem::replace;

use super::probe::{Probe, Step, is_slow};
use super::{Algorithm, ONE, Sample, share};
use crate::config::ConfigError;

/// As TCP Vegas: from how much longer calls take than they do without a queue, it reckons how many are queued, and keeps those few.
///
/// Of a limit of `L`, `L * (latency - quickest - noise) / latency` are queued. With `g` the limit's decimal logarithm, rounded down and at least 1, the limit grows by `6g` while no more than `g` are, by `g` below `3g`, and shrinks by `g` above `6g`; after an
/// overload, by a tenth, or `g` if that is more. It finds a limit that is a few above the service's capacity, with hardly any queue; where some calls take much longer than others by nature, it is half as much again.
///
/// `latency` is a running average over some four windows. `quickest` follows the windows, down by an eighth of the way, and up by a sixteenth while the limit is not reached: then there is no queue that the limit has brought about. Windows that take half as long again are looked into first, with half as many calls. `noise` is by how much one window differs from the next, some sixteen of them averaged: an average of few calls
/// that are not alike tells no more than that.
///
/// The semantics are those of `VegasLimit` in Netflix's concurrency-limits, on top of its `WindowedLimit`. Two things are otherwise. That one compares each window with the quickest ever: where times vary by nature, the quickest is a matter of luck, all others seem to be queued, and the limit goes down until calls are turned away that the service had time for. And it takes whatever it sees for the quickest now and then, which under steady load is itself queued, so that its limit goes up with each time;
/// here half as many are let in for that, for two windows.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::Vegas;
/// use aplomb_sim::prelude::*;
///
/// static DB: AdaptiveLimit<Vegas> = checked!(AdaptiveLimit::new().algorithm(Vegas::new()).max_limit(1_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Vegas {
    probe_every: u32,
}

impl Vegas {
    /// With the settings above.
    #[must_use]
    pub const fn new() -> Self {
        Self { probe_every: PROBE_EVERY }
    }

    /// After how many windows in which the limit was reached half as many are let in, for two windows, to see how quick the service is; at least 1. Default: 100; the first time, after two in which half of it was in use. Where the limit is not reached, it looks when calls take half as long again, after so many windows at the soonest; and after eight times as many in any case, where two fifths of it are in use.
    #[must_use]
    pub const fn probe_every(mut self, windows: u32) -> Self {
        self.probe_every = windows;
        self
    }

    pub(crate) const fn wrong(self) -> Option<ConfigError> {
        if self.probe_every == 0 { Some(ConfigError::ProbeEvery { value: 0 }) } else { None }
    }
}

pub(super) const PROBE_EVERY: u32 = 100;

impl Default for Vegas {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Vegas`] has seen.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VegasState {
    /// How long calls take without a queue, in nanoseconds; zero before the first window. So are the others.
    quickest: u64,
    /// How long they take of late.
    latency: u64,
    /// How long they took in the window before.
    before: u64,
    /// By how much that differs from one window to the next.
    noise: u64,
    probe: Probe,
}

impl VegasState {
    /// Takes in by how much a window differs from the one before, unless a probe makes it differ.
    fn differ(&mut self, latency: u64) {
        let before = replace(&mut self.before, latency);
        if before > 0 && !self.probe.is_under_way() {
            self.noise = self.noise - self.noise / 16 + latency.abs_diff(before) / 16;
        }
    }

    /// How long calls take without a queue, as far as chance lets that be known; zero before the first window.
    fn usual(&self) -> u64 {
        if self.quickest == 0 { 0 } else { self.quickest.saturating_add(self.noise) }
    }

    fn follow(&mut self, latency: u64, may_rise: bool) {
        if self.quickest == 0 {
            (self.quickest, self.latency) = (latency, latency);
        }
        self.latency = self.latency - self.latency / 4 + latency / 4;
        if latency < self.quickest {
            self.quickest -= (self.quickest - latency) / 8;
        } else if may_rise {
            self.quickest += (latency - self.quickest) / 16;
        }
    }
}

impl Algorithm for Vegas {
    type State = VegasState;
    const START: VegasState = VegasState { quickest: 0, latency: 0, before: 0, noise: 0, probe: Probe::NEW };

    fn measured(&self, state: &mut VegasState, limit: u32, sample: &Sample) -> u32 {
        let latency = sample.latency.max(1);
        state.differ(latency);
        let usual = state.usual();
        match state.probe.step(self.probe_every, limit, usual, sample) {
            Step::Rests => {}
            Step::Probes(limit) => return limit,
            Step::Measured => {
                (state.quickest, state.latency) = (latency, latency);
                return limit;
            }
        }
        state.follow(latency, sample.in_flight < limit && !is_slow(latency, usual));
        let longer = state.latency.saturating_sub(state.quickest).saturating_sub(state.noise);
        let queued = u64::from(limit).saturating_mul(share(longer, state.latency)).div_ceil(ONE);
        let step = step(limit);
        let times = |n: u32| u64::from(step.saturating_mul(n));
        if queued <= times(1) {
            limit.saturating_add(step.saturating_mul(6))
        } else if queued < times(3) {
            limit.saturating_add(step)
        } else if queued > times(6) {
            limit.saturating_sub(step)
        } else {
            limit
        }
    }

    fn overloaded(&self, state: &mut VegasState, limit: u32) -> u32 {
        state.probe.give_up();
        limit.saturating_sub(step(limit).max(limit / 10))
    }

    #[inline]
    fn admits(&self, state: &VegasState, limit: u32) -> u32 {
        state.probe.admits(limit)
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}

/// The limit's decimal logarithm, at least 1.
fn step(limit: u32) -> u32 {
    limit.checked_ilog10().map_or(1, |log| log.max(1))
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Probe, Sample, Vegas, VegasState};

    /// What becomes of a limit if the quickest call took 100 units.
    fn next(limit: u32, latency: u64) -> u32 {
        let mut state = known(100);
        state.latency = latency;
        Vegas::new().measured(&mut state, limit, &Sample { latency, calls: 10, in_flight: limit })
    }

    /// It has seen calls that took so long, and all alike.
    const fn known(quickest: u64) -> VegasState {
        VegasState { quickest, latency: quickest, before: 0, noise: 0, probe: Probe::NEW }
    }

    #[test]
    fn it_keeps_a_few_queued() {
        for (limit, latency, expected) in [
            (20, 100, 26),
            (20, 90, 26),
            (20, 105, 26), // 0.95 are queued
            (20, 106, 21), // 1.13
            (20, 117, 20), // 2.9: 3 are enough
            (20, 111, 21), // 1.98
            (20, 142, 20), // 5.9
            (20, 144, 19), // 6.1
            (20, 1_000_000, 19),
            (200, 100, 212),
            (200, 101, 212), // 1.98 of 2
            (200, 102, 202),
            (200, 106, 200), // 11.3: up to 12 are good
            (200, 107, 198),
            (1, 100, 7),
            (2, 200, 8),
            (u32::MAX, 100, u32::MAX),
        ] {
            assert_eq!(next(limit, latency), expected, "{limit}, {latency}");
        }
    }

    #[test]
    fn an_overload_is_a_tenth_and_ends_a_probe() {
        let mut state = known(100);
        assert_eq!(Vegas::new().overloaded(&mut state, 250), 225);
        assert_eq!(Vegas::new().overloaded(&mut state, 1), 0, "which its user makes the smallest limit");
        let reached = Sample { latency: 100, calls: 10, in_flight: 20 };
        let measured = [20, 20, 20].map(|limit| Vegas::new().measured(&mut state, limit, &reached));
        assert_eq!(measured, [26, 26, 20]);
        assert_eq!(Vegas::new().admits(&state, 20), 10);
        assert_eq!(Vegas::new().overloaded(&mut state, 20), 18);
        assert_eq!(Vegas::new().admits(&state, 18), 18);
    }

    #[test]
    fn what_a_probe_measures_is_the_quickest_from_then_on() {
        let mut state = known(10);
        let sample = |latency, in_flight| Sample { latency, calls: 10, in_flight };
        let vegas = Vegas::new();
        let measured = [20, 20, 20].map(|limit| vegas.measured(&mut state, limit, &sample(80, 20)));
        assert_eq!(measured, [19, 19, 20]);
        assert_eq!(vegas.admits(&state, 20), 10);
        assert_eq!(vegas.measured(&mut state, 20, &sample(80, 10)), 20);
        assert_eq!(vegas.measured(&mut state, 20, &sample(80, 10)), 20);
        assert_eq!(vegas.admits(&state, 20), 20);
        assert_eq!(state.quickest, 80);
    }

    #[test]
    fn absurd_times_overflow_nothing() {
        for latency in [0, 1, u64::MAX] {
            for limit in [1, 20, u32::MAX] {
                let mut state = Vegas::START;
                for in_flight in [1, limit, limit, limit, u32::MAX] {
                    let _limit = Vegas::new().measured(&mut state, limit, &Sample { latency, calls: u32::MAX, in_flight });
                }
            }
        }
    }
}
