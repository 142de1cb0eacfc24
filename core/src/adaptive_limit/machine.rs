//! How the limit is found: calls end, windows of them are measured, and the rule says what the limit is to be.

use super::algorithm::{Algorithm, Sample};
use crate::config::ConfigError;
use crate::ratio::Ratio;
use crate::time::Instant;
use crate::wide::quotient;

/// By what the limit is found, and within which bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<A> {
    pub(super) algorithm: A,
    pub(super) initial: u32,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Nanoseconds.
    pub(super) window: u64,
    pub(super) min_calls: u32,
    pub(super) overload_tolerance: Ratio,
}

impl<A> Terms<A> {
    /// What is wrong beside the rule.
    pub(super) const fn wrong(&self) -> Option<ConfigError> {
        let Self { initial, min, max, min_calls, overload_tolerance, .. } = *self;
        if min == 0 {
            Some(ConfigError::MinLimit { value: min })
        } else if max < min {
            Some(ConfigError::MaxLimit { value: max, least: min })
        } else if initial < min || initial > max {
            Some(ConfigError::InitialLimit { value: initial, least: min, most: max })
        } else if min_calls == 0 {
            Some(ConfigError::MinCalls { value: min_calls, most: u32::MAX })
        } else if overload_tolerance.is_at_least_one() || !overload_tolerance.is_number() {
            Some(ConfigError::OverloadTolerance { value: overload_tolerance })
        } else {
            None
        }
    }
}

impl<A: Algorithm> Terms<A> {
    pub(super) fn config_error(&self) -> Option<ConfigError> {
        self.wrong().or_else(|| self.algorithm.config_error())
    }
}

/// A call that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) overload: bool,
}

/// How a call ended, and when, if it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Ignored,
    Success(Instant),
    Overload(Instant),
}

/// What has been seen. How many are let in is the semaphore's number of permits.
pub struct Machine<A: Algorithm> {
    state: A::State,
    /// Zero before the first caller has come.
    limit: u32,
    window: Window,
    /// What a call counts for at most, in nanoseconds.
    longest: u64,
    /// When the window before was over; none before the first.
    opened: Option<Instant>,
    /// When the limit last gave way to an overload: calls that had begun by then tell nothing new of it.
    gave_way: Instant,
}

/// How many times as long as the average of the window before a call counts, at most.
const OUTLIER: u64 = 4;

struct Window {
    measured: u32,
    /// Of those, in nanoseconds.
    sum: u64,
    /// How many were a sign of overload.
    overloads: u32,
    /// The most that were.
    in_flight: u32,
}

impl Window {
    const NEW: Self = Self { measured: 0, sum: 0, overloads: 0, in_flight: 0 };

    /// Whether more are a sign of overload than there may be by chance: beside one of them, so many of its calls. Of those under way more may still end well.
    fn is_overloaded(&self, tolerance: Ratio) -> bool {
        let Some(others) = self.overloads.checked_sub(1) else { return false };
        tolerance.is_reached(others, self.measured.saturating_add(self.overloads).max(self.in_flight))
    }
}

impl<A: Algorithm> Machine<A> {
    pub(super) const NEW: Self =
        Self { state: A::START, limit: 0, window: Window::NEW, longest: u64::MAX, opened: None, gave_way: Instant::ORIGIN };

    /// Somebody has come. Says how many are let in.
    pub(super) fn open(&mut self, terms: &Terms<A>) -> u32 {
        if self.limit == 0 {
            self.limit = terms.initial;
        }
        self.admitted(terms)
    }

    fn admitted(&self, terms: &Terms<A>) -> u32 {
        terms.algorithm.admits(&self.state, self.limit).max(terms.min).min(self.limit)
    }

    /// A call has ended, one of `in_flight`, itself included, when so many were let in. Says how many are from now on.
    #[inline]
    pub(super) fn record(&mut self, terms: &Terms<A>, admitted: u32, in_flight: u32, call: Call) -> u32 {
        let Call { began, ended, overload } = call;
        if ended < began {
            // The clock was set back, and nobody knows how long it took. Nor do instants of before mean anything now.
            (self.opened, self.gave_way) = (None, Instant::ORIGIN);
            return admitted;
        }
        let latency = ended.as_nanos() - began.as_nanos();
        // What is still to come was before it was set back.
        self.gave_way = self.gave_way.min(ended);
        let opened = self.opened.map_or(began, |opened| opened.min(ended));
        self.opened = Some(opened);

        let window = &mut self.window;
        if overload || terms.algorithm.is_overload(latency) {
            if began < self.gave_way {
                return admitted;
            }
            window.overloads = window.overloads.saturating_add(1);
        } else {
            window.measured = window.measured.saturating_add(1);
            window.sum = window.sum.saturating_add(latency.min(self.longest));
        }
        window.in_flight = window.in_flight.max(in_flight);

        let is_long = ended.as_nanos().saturating_sub(opened.as_nanos()) >= terms.window;
        // Before a call has ended that began in it, nothing is seen of what the last change has brought about.
        let is_enough = window.is_overloaded(terms.overload_tolerance) || (window.measured >= terms.min_calls && began >= opened);
        if is_long && is_enough { self.close(terms, admitted, ended) } else { admitted }
    }

    #[inline(never)]
    fn close(&mut self, terms: &Terms<A>, admitted: u32, now: Instant) -> u32 {
        let window = core::mem::replace(&mut self.window, Window::NEW);
        self.opened = Some(now);
        let limit = self.limit;
        let next = if window.is_overloaded(terms.overload_tolerance) {
            self.gave_way = now;
            terms.algorithm.overloaded(&mut self.state, limit).min(limit)
        } else {
            let Window { measured, sum, in_flight, .. } = window;
            let latency = quotient(sum, measured.into());
            // So no call outweighs all others; and what all take longer for counts whole within a few windows.
            self.longest = latency.clamp(1, u64::MAX / OUTLIER) * OUTLIER;
            let next = terms.algorithm.measured(&mut self.state, limit, &Sample::new(latency, measured, in_flight));
            // How long calls take does not say that there might be more than are made.
            if in_flight < admitted.div_ceil(2) { next.min(limit) } else { next }
        };
        self.limit = next.min(terms.max).max(terms.min);
        self.admitted(terms)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::time::Duration;
    use std::vec::Vec;

    use super::{Call, Machine, Terms, Window};
    use crate::adaptive_limit::{Aimd, Algorithm, Gradient, Vegas};
    use crate::ratio::percent;
    use crate::time::{Instant, ms};

    /// Of which one call is enough, and one overload.
    const AIMD: Terms<Aimd> = terms(Aimd::new(ms(100)), 2, 20);

    const fn terms<A: Copy>(algorithm: A, min: u32, max: u32) -> Terms<A> {
        Terms { algorithm, initial: min, min, max, window: 0, min_calls: 1, overload_tolerance: percent(0) }
    }

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + ms(millis)
    }

    const fn call(began: Instant, ended: Instant) -> Call {
        Call { began, ended, overload: false }
    }

    /// With that limit.
    fn begun<A: Algorithm + Copy>(terms: &Terms<A>, limit: u32) -> Machine<A> {
        let mut machine = Machine::NEW;
        assert_eq!(machine.open(&Terms { initial: limit, ..*terms }), limit);
        machine
    }

    /// Plays calls, each of so many under way, from one millisecond to another; says what the limit is after each.
    fn play(terms: &Terms<Aimd>, mut limit: u32, calls: &[(u32, u64, u64)]) -> Vec<u32> {
        let mut machine = begun(terms, limit);
        let calls = calls.iter().map(|&(in_flight, began, ended)| (in_flight, call(at(began), at(ended))));
        calls
            .map(|(in_flight, call)| {
                limit = machine.record(terms, limit, in_flight, call);
                limit
            })
            .collect()
    }

    #[test]
    fn it_grows_only_if_half_of_it_is_in_use() {
        assert_eq!(play(&AIMD, 10, &[(4, 0, 1), (5, 1, 2), (5, 2, 3), (6, 3, 4)]), [10, 11, 11, 12]);
        assert_eq!(play(&AIMD, 2, &[(1, 0, 1), (1, 1, 2), (2, 2, 3)]), [3, 3, 4], "half of 3 is 2 calls");
    }

    #[test]
    fn it_shrinks_however_few_are_under_way() {
        let terms = terms(Gradient::new(), 1, 1_000);
        let mut machine = begun(&terms, 100);
        let calls = [(0, 10), (10, 20), (20, 30), (30, 70)];
        let limits = calls.map(|(began, ended)| machine.record(&terms, 100, 10, call(at(began), at(ended))));
        assert_eq!(limits, [100, 100, 100, 94]);
    }

    #[test]
    fn it_keeps_its_bounds() {
        assert_eq!(play(&AIMD, 19, &[(19, 0, 1), (20, 1, 2), (20, 2, 3)]), [20, 20, 20]);
        assert_eq!(play(&AIMD, 3, &[(3, 0, 101), (3, 101, 202), (3, 202, 303)]), [2, 2, 2]);
    }

    #[test]
    fn one_overload_is_answered_once() {
        // All began before the limit gave way, but the last one.
        assert_eq!(play(&AIMD, 10, &[(9, 0, 101), (8, 1, 102), (7, 2, 103), (7, 101, 202)]), [9, 9, 9, 8]);
    }

    #[test]
    fn a_window_is_so_long_and_has_so_many_calls() {
        let terms = Terms { window: 10_000_000, min_calls: 3, ..AIMD };
        assert_eq!(play(&terms, 10, &[(9, 0, 4), (9, 0, 8), (9, 0, 9), (9, 0, 10), (9, 9, 19)]), [10, 10, 10, 11, 11]);
        assert_eq!(play(&terms, 10, &[(9, 0, 20), (9, 0, 30), (9, 0, 40)]), [10, 10, 11]);
        assert_eq!(play(&terms, 10, &[(9, 0, 101)]), [9], "one overload is enough");
        assert_eq!(play(&terms, 10, &[(9, 0, 5), (9, 5, 6)]), [10, 10]);
    }

    #[test]
    fn a_window_bears_one_overload_and_a_share_of_its_calls() {
        for (overloads, measured, in_flight, expected) in [
            (0, 0, 0, false),
            (1, 0, 1, false),
            (2, 0, 1, true),
            (2, 18, 20, true),
            (2, 19, 20, false),
            (3, 0, 60, false), // of those under way more may still end well
            (4, 0, 60, true),
            (6, 94, 20, true),
            (6, 95, 20, false),
            (u32::MAX, u32::MAX, 1, true),
        ] {
            let window = Window { overloads, measured, in_flight, sum: 0 };
            assert_eq!(window.is_overloaded(percent(5)), expected, "{overloads} and {measured}, {in_flight} under way");
            assert_eq!(window.is_overloaded(percent(0)), overloads > 0);
        }
        let terms = Terms { overload_tolerance: percent(5), ..AIMD };
        assert_eq!(play(&terms, 10, &[(9, 0, 101), (9, 0, 102), (9, 0, 103), (9, 102, 203)]), [10, 9, 9, 9]);
        assert_eq!(play(&terms, 10, &[(9, 0, 101), (9, 0, 50)]), [10, 11], "what is borne is no hindrance");
    }

    #[test]
    fn a_window_is_as_long_as_a_call() {
        // What ends at once after a change began before it.
        assert_eq!(play(&AIMD, 10, &[(9, 0, 50), (9, 1, 51), (9, 2, 52), (9, 50, 100)]), [11, 11, 11, 12]);
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_time() {
        let calls = [(9, 1_000, 1_101), (9, 1_200, 100), (9, 100, 101), (9, 101, 202), (9, 202, 203)];
        assert_eq!(play(&AIMD, 10, &calls), [9, 9, 10, 9, 10]);
    }

    #[test]
    fn it_stays_within_its_bounds_whatever_comes() {
        fn check<A: Algorithm + Copy>(algorithm: A) {
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..2_000 {
                let (min, spread) = (random.u32(1..100), random.u32(0..u32::MAX - 100) >> random.u32(0..32));
                let max = min + spread;
                let window = random.u64(..) >> random.u32(0..64);
                let overload_tolerance = percent(random.u32(..100));
                let terms = Terms { window, min_calls: random.u32(1..4), overload_tolerance, ..terms(algorithm, min, max) };
                let mut admitted = random.u32(min..=max);
                let mut machine = begun(&terms, admitted);
                let mut now = 0_u64;
                for _ in 0..50 {
                    let took = random.u64(..) >> random.u32(0..64);
                    now = if random.u32(0..20) == 0 { random.u64(..) } else { now.saturating_add(took) };
                    let in_flight = random.u32(..) >> random.u32(0..32);
                    let [began, ended] = [now.saturating_sub(took), now].map(Instant::from_nanos);
                    let overload = random.u32(0..10) == 0;
                    let before = machine.limit;
                    admitted = machine.record(&terms, admitted, in_flight, Call { began, ended, overload });
                    assert!((min..=max).contains(&machine.limit), "{} of {min} to {max}", machine.limit);
                    assert!((min..=machine.limit).contains(&admitted), "{admitted} of {min} to {}", machine.limit);
                    // Calls that ended in the same window before may have been more.
                    if machine.limit > before {
                        assert!(!overload || !overload_tolerance.is_zero());
                    }
                }
            }
        }
        check(Aimd::new(Duration::MAX));
        check(Aimd::new(ms(1)));
        check(Vegas::new());
        check(Gradient::new());
    }

    #[test]
    fn it_never_grows_while_less_than_half_of_it_is_in_use() {
        fn check<A: Algorithm + Copy>(algorithm: A) {
            let mut random = fastrand::Rng::with_seed(11);
            let terms = terms(algorithm, 1, 1_000);
            let (mut machine, mut admitted, mut now, mut grew) = (begun(&terms, 50), 50, 0, 0);
            for _ in 0..20_000 {
                let took = random.u64(1..=1_000);
                let (limit, in_flight) = (machine.limit, random.u32(1..=admitted));
                let [began, ended] = [now, now + took].map(Instant::from_nanos);
                now += took;
                admitted = machine.record(&terms, admitted, in_flight, call(began, ended));
                if machine.limit > limit {
                    assert!(in_flight * 2 >= limit, "from {limit} to {}, of which {in_flight} were in use", machine.limit);
                    grew += 1;
                }
            }
            assert!(grew > 50, "{grew}");
        }
        check(Aimd::new(ms(1)));
        check(Aimd::new(Duration::from_nanos(950)));
        check(Vegas::new());
        check(Gradient::new());
    }

    /// Whatever interrupts a probe, the limit is what it was before, less what an overload costs, and it is never halved twice.
    #[test]
    fn where_there_is_no_queue_only_an_overload_takes_from_it_and_but_once() {
        fn check<A: Algorithm + Copy>(algorithm: A) {
            let mut random = fastrand::Rng::with_seed(13);
            let terms = terms(algorithm, 1, 900);
            let (mut machine, mut admitted, mut probing, mut interrupted) = (begun(&terms, 50), 50, 0, 0);
            for window in 0..20_000 {
                let (limit, is_probing) = (machine.limit, admitted < machine.limit);
                // Each as long as all the others, one after the other, and now and then there are hardly any.
                let (in_flight, overload) = (if random.u32(0..50) == 0 { 1 } else { admitted }, random.u32(0..20) == 0);
                let call = Call { began: at(window * 20), ended: at(window * 20 + 20), overload };
                admitted = machine.record(&terms, admitted, in_flight, call);
                let least = if overload { (limit * 9 / 10).min(limit - 1) } else { limit };
                assert!(machine.limit >= least, "from {limit} to {}, window {window}", machine.limit);
                if overload {
                    assert_eq!(admitted, machine.limit, "the probe is given up");
                }
                assert!(admitted >= machine.limit / 2, "{admitted} of {}", machine.limit);
                probing += u32::from(is_probing);
                interrupted += u32::from(is_probing && overload);
            }
            assert!(probing > 100 && interrupted > 10 && machine.limit > 30, "{probing}, {interrupted}, {}", machine.limit);
        }
        check(Gradient::new().probe_every(5));
        check(Vegas::new().probe_every(5));
    }
}
