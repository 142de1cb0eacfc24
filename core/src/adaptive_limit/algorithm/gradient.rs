use super::probe::{Probe, Step};
use super::vegas::PROBE_EVERY;
use super::{Algorithm, ONE, Sample, grown, share};
use crate::config::ConfigError;
use crate::ratio::{Ratio, percent};
use crate::wide::quotient;

/// By the gradient of latency: the limit shrinks as calls take longer than they did in the long run, and has room for a short queue.
///
/// After each window, `gradient = tolerance * long_run / latency`, at least a half and at most 1; the limit goes a fifth of the way ([`smoothing`](Gradient::smoothing)) to `gradient * limit + queue_size`, upwards for each time that as many calls have ended as it allows at once, but by a twentieth at most; and after a window that was overloaded, a fifth of the way to its half. On a service
/// of capacity `C` that is kept busy it finds about `1.5 C + 4`: all of the capacity, and no call takes much longer than one and a half times its time. Averages make it bear calls of which some take much longer than others.
///
/// The semantics are those of `Gradient2Limit` in Netflix's concurrency-limits, on top of its `WindowedLimit`; the long run is an average of 300 windows' weight, and falls by a twentieth a window while it is more than twice the latency. Three things are otherwise: that
/// one does not heed overloads, and grows by windows, however many calls they have; and as long as the limit is reached, the long run follows the latency that the limit itself brings about, and the limit drifts up with it. Here a window in which the limit was reached raises nothing, and
/// after so many of them ([`probe_every`](Gradient::probe_every)), or when calls become slower in others, half as many are let in for two windows, to see how quick the service is.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::Gradient;
/// use aplomb_sim::prelude::*;
///
/// static API: AdaptiveLimit = checked!(AdaptiveLimit::new().algorithm(Gradient::new().tolerance(percent(200)).queue_size(8)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gradient {
    tolerance: Ratio,
    smoothing: Ratio,
    queue_size: u32,
    probe_every: u32,
}

impl Gradient {
    /// With the settings above.
    #[must_use]
    pub const fn new() -> Self {
        Self { tolerance: percent(150), smoothing: percent(20), queue_size: 4, probe_every: PROBE_EVERY }
    }

    /// How much longer than in the long run calls may take before the limit shrinks, at least 1. Default: 150 %.
    #[must_use]
    pub const fn tolerance(mut self, ratio: Ratio) -> Self {
        self.tolerance = ratio;
        self
    }

    /// How much of the way to a new limit is gone at once, above 0 and at most 1. Default: 20 %.
    #[must_use]
    pub const fn smoothing(mut self, share: Ratio) -> Self {
        self.smoothing = share;
        self
    }

    /// How many calls may be queued. With 0, the limit never grows. Default: 4.
    #[must_use]
    pub const fn queue_size(mut self, calls: u32) -> Self {
        self.queue_size = calls;
        self
    }

    /// After how many windows in which the limit was reached half as many are let in, for two windows, to see how quick the service is; at least 1. Default: 100; the first time, after two in which half of it was in use. Where the limit is not reached, it looks when calls take half as long again, after so many windows at the soonest; and after eight times as many in any case, where two fifths of it are in use.
    #[must_use]
    pub const fn probe_every(mut self, windows: u32) -> Self {
        self.probe_every = windows;
        self
    }

    pub(crate) const fn wrong(self) -> Option<ConfigError> {
        if !self.tolerance.is_at_least_one() {
            Some(ConfigError::Tolerance { value: self.tolerance })
        } else if !self.smoothing.is_share() {
            Some(ConfigError::Smoothing { value: self.smoothing })
        } else if self.probe_every == 0 {
            Some(ConfigError::ProbeEvery { value: 0 })
        } else {
            None
        }
    }
}

impl Default for Gradient {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Gradient`] has seen.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GradientState {
    long_run: LongRun,
    /// What the limit has below the point, in 65,536ths.
    fraction: u64,
    probe: Probe,
}

/// A running average, and from so many windows on an exponential one.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct LongRun {
    /// Nanoseconds.
    latency: u64,
    windows: u64,
}

/// An exponential average over 600 windows, as they are counted there.
const WINDOWS: u64 = 300;

impl LongRun {
    const NEW: Self = Self { latency: 0, windows: 0 };

    fn add(&mut self, latency: u64, may_rise: bool) {
        if self.windows < WINDOWS {
            self.windows += 1;
        }
        if latency < self.latency {
            let distance = quotient(self.latency - latency, self.windows);
            self.latency -= distance;
            if self.latency / 2 > latency {
                // What a long time of overload has left behind goes faster.
                self.latency -= quotient(self.latency, 20);
            }
        } else if may_rise || self.latency == 0 {
            self.latency += quotient(latency - self.latency, self.windows);
        }
    }
}

impl Gradient {
    /// So much of the way from the limit to `target`, which is in 65,536ths; upwards, so far for each round.
    fn go(&self, state: &mut GradientState, limit: u32, target: u64, rounds: u64) -> u32 {
        let from = estimate(state, limit);
        let to = if target < from {
            from.saturating_sub(self.smoothing.of(from - target))
        } else {
            grown(from, self.smoothing.of(target - from), rounds).min(target)
        };
        state.fraction = to % ONE;
        u32::try_from(to / ONE).unwrap_or(u32::MAX)
    }
}

/// The limit in 65,536ths.
fn estimate(state: &GradientState, limit: u32) -> u64 {
    u64::from(limit) * ONE + state.fraction
}

impl Algorithm for Gradient {
    type State = GradientState;
    const START: GradientState = GradientState { long_run: LongRun::NEW, fraction: 0, probe: Probe::NEW };

    fn measured(&self, state: &mut GradientState, limit: u32, sample: &Sample) -> u32 {
        let latency = sample.latency.max(1);
        match state.probe.step(self.probe_every, limit, state.long_run.latency, sample) {
            Step::Rests => state.long_run.add(latency, sample.in_flight < limit),
            Step::Probes(limit) => return limit,
            Step::Measured => {
                state.long_run = LongRun { latency, windows: WINDOWS };
                return limit;
            }
        }
        let gradient = share(self.tolerance.of(state.long_run.latency), latency).max(ONE / 2);
        let scaled = estimate(state, limit).saturating_mul(gradient) / ONE;
        let target = scaled.saturating_add(u64::from(self.queue_size) * ONE);
        self.go(state, limit, target, sample.rounds(limit))
    }

    fn overloaded(&self, state: &mut GradientState, limit: u32) -> u32 {
        state.probe.give_up();
        let half = estimate(state, limit) / 2;
        self.go(state, limit, half, 1)
    }

    #[inline]
    fn admits(&self, state: &GradientState, limit: u32) -> u32 {
        state.probe.admits(limit)
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.wrong()
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Gradient, GradientState, LongRun, ONE, Probe, Sample, percent};

    /// What becomes of a limit if calls take 100 units in the long run. Not all of it is in use, so that nothing is probed.
    fn next(gradient: Gradient, limit: u32, latency: u64) -> (u32, u64) {
        let long_run = LongRun { latency: 100, windows: super::WINDOWS };
        let mut state = GradientState { long_run, fraction: 0, probe: Probe::NEW };
        let next = gradient.measured(&mut state, limit, &Sample { latency, calls: 10, in_flight: limit - 1 });
        (next, state.fraction * 100 / ONE)
    }

    #[test]
    fn it_goes_a_fifth_of_the_way() {
        let gradient = Gradient::new();
        assert_eq!(next(gradient, 100, 100), (100, 79), "four may be queued, of which a fifth is 0.8");
        assert_eq!(next(gradient, 100, 50), (100, 79), "quicker is no more than as quick");
        assert_eq!(next(gradient, 100, 149), (100, 79), "it is tolerated");
        assert_eq!(next(gradient, 100, 200), (95, 80), "three quarters, and 4");
        assert_eq!(next(gradient, 100, 1_000_000), (90, 80), "never less than a half");
        assert_eq!(next(gradient.smoothing(percent(100)), 100, 1_000_000), (54, 0));
        assert_eq!(next(gradient.tolerance(percent(100)).queue_size(0).smoothing(percent(100)), 100, 128).0, 78);
        assert_eq!(next(gradient, u32::MAX, 100).0, u32::MAX);
    }

    #[test]
    fn an_overload_is_a_tenth() {
        let mut state = Gradient::START;
        let gradient = Gradient::new();
        assert_eq!(gradient.overloaded(&mut state, 100), 90);
        assert_eq!(gradient.overloaded(&mut state, 5), 4);
        assert_eq!(state.fraction, ONE / 2, "4.5");
        assert_eq!(gradient.overloaded(&mut state, 4), 4, "4.05");
        assert_eq!(gradient.overloaded(&mut state, 4), 3);
    }

    #[test]
    fn the_long_run_forgets_overload_quickly_and_does_not_learn_from_it() {
        let mut long_run = LongRun::NEW;
        long_run.add(100, false);
        assert_eq!(long_run.latency, 100, "the first is all that is known");
        long_run.add(200, true);
        assert_eq!(long_run.latency, 150);
        long_run.add(1_000, false);
        assert_eq!(long_run.latency, 150, "the limit was reached");
        let mut late = LongRun { latency: 1_000, windows: super::WINDOWS };
        late.add(600, true);
        assert_eq!(late.latency, 999);
        late.add(100, true);
        assert_eq!(late.latency, 948);
    }

    #[test]
    fn absurd_times_overflow_nothing() {
        for latency in [0, 1, u64::MAX] {
            for limit in [1, 20, u32::MAX] {
                let (gradient, mut state) = (Gradient::new().tolerance(percent(u32::MAX)).queue_size(u32::MAX), Gradient::START);
                for in_flight in [1, limit, limit, limit, u32::MAX] {
                    let sample = Sample { latency, calls: u32::MAX, in_flight };
                    let _limit = gradient.measured(&mut state, limit, &sample);
                    let _limit = gradient.overloaded(&mut state, limit);
                }
            }
        }
    }
}
