//! Each rule finds what the service can do, and follows it when that changes.

use std::time::Duration;

use aplomb::AdaptiveLimit;
use aplomb::adaptive_limit::{Aimd, Algorithm, Gradient, Vegas};
use aplomb::time::ms;
use aplomb_sim::{Sim, SimClock};

use crate::service::{Load, Phase, Second, play, table};

fn limit<A: Algorithm>(algorithm: A) -> AdaptiveLimit<Sim, A> {
    AdaptiveLimit::with_clock(SimClock, algorithm)
}

const fn unlimited() -> Option<AdaptiveLimit<Sim, Gradient>> {
    None
}

/// A service whose calls take 20 ms, if they needn't wait for each other.
const fn phase(capacity: u32, seconds: u64) -> Phase {
    Phase { capacity, takes: ms(20), seconds }
}

fn median<T: Ord + Copy>(seconds: &[Second], of: impl Fn(&Second) -> T) -> T {
    let mut values: Vec<T> = seconds.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// What must have come of a phase, five seconds after it has begun.
struct Expected {
    least: u32,
    most: u32,
    p99: Duration,
}

/// Nine tenths of all that the service can do is done, and calls take hardly longer than they have to.
fn check(phases: &[Phase], seconds: &[Vec<Second>], expected: impl Fn(&Phase) -> Expected) {
    for (number, (phase, of_phase)) in phases.iter().zip(seconds).enumerate() {
        let settled = &of_phase[5..];
        let (limit, p99) = (median(settled, |second| second.limit), median(settled, |second| second.p99));
        let done: usize = settled.iter().map(|second| second.done).sum();
        let done = u32::try_from(done / settled.len()).unwrap();
        let expected = expected(phase);
        let report = || format!("phase {number}: limit {limit}, {done} a second, p99 {p99:?}{}", table(seconds));
        assert!((expected.least..=expected.most).contains(&limit), "{}", report());
        assert!(f64::from(done) >= 0.9 * phase.ideal(), "{}", report());
        assert!(p99 <= expected.p99, "{}", report());
    }
}

/// Halved, doubled, and doubled again.
const PHASES: [Phase; 4] = [phase(20, 15), phase(10, 15), phase(20, 15), phase(40, 15)];
const BUSY: Load = Load::Closed { callers: 100 };

#[test]
fn gradient_finds_the_capacity_and_half_as_much_again() {
    let seconds = play(Some(limit(Gradient::new())), BUSY, &PHASES);
    check(&PHASES, &seconds, |phase| Expected { least: phase.capacity, most: phase.capacity * 3 / 2 + 10, p99: ms(60) });
}

#[test]
fn vegas_finds_the_capacity_and_a_few() {
    let seconds = play(Some(limit(Vegas::new())), BUSY, &PHASES);
    check(&PHASES, &seconds, |phase| Expected { least: phase.capacity, most: phase.capacity + 8, p99: ms(50) });
}

#[test]
fn aimd_finds_how_many_take_as_long_as_they_may() {
    let seconds = play(Some(limit(Aimd::new(ms(60)))), BUSY, &PHASES);
    check(&PHASES, &seconds, |phase| Expected { least: phase.capacity, most: phase.capacity * 3, p99: ms(66) });
}

#[test]
fn without_a_limit_everybody_waits_for_everybody() {
    let phases = [phase(20, 10)];
    let seconds = play(unlimited(), BUSY, &phases);
    assert!(seconds[0][5..].iter().all(|second| second.p99 > ms(100)), "{}", table(&seconds));
}

/// Of a limit that is many times too large, what is measured is the queue. The probe goes down until there is none, though callers leave a part of the limit free.
#[test]
fn a_limit_that_begins_far_too_large_comes_down_at_once() {
    let phases = [phase(4, 15)];
    for (initial, callers) in [(100, 100), (100, 90), (20, 19)] {
        let load = Load::Closed { callers };
        let vegas = play(Some(limit(Vegas::new()).initial_limit(initial)), load, &phases);
        check(&phases, &vegas, |_| Expected { least: 4, most: 12, p99: ms(80) });
        let gradient = play(Some(limit(Gradient::new()).initial_limit(initial)), load, &phases);
        check(&phases, &gradient, |_| Expected { least: 4, most: 14, p99: ms(90) });
    }
}

/// So is what was there from the beginning, of callers who do not reach half of the limit, and whom it so does not hold back: seldom, since there mostly is no queue.
#[test]
fn a_limit_that_lies_above_all_callers_comes_down_after_a_while() {
    let phases = [phase(4, 110), phase(4, 15)];
    let load = Load::Closed { callers: 20 };
    let vegas = play(Some(limit(Vegas::new()).initial_limit(41)), load, &phases);
    check(&phases[1..], &vegas[1..], |_| Expected { least: 4, most: 12, p99: ms(80) });
    let gradient = play(Some(limit(Gradient::new()).initial_limit(41)), load, &phases);
    check(&phases[1..], &gradient[1..], |_| Expected { least: 4, most: 14, p99: ms(90) });
}

/// Callers that the service has time for leave half of the limit free, and it is theirs no longer when they are too many.
#[test]
fn a_limit_that_is_half_free_follows_a_capacity_that_falls() {
    fn check_falling<A: Algorithm + Copy + 'static>(algorithm: A, most: impl Fn(u32) -> u32, p99: Duration) {
        for callers in [30, 60] {
            let phases = [phase(40, 12), phase(10, 15), phase(5, 15)];
            let seconds = play(Some(limit(algorithm)), Load::Closed { callers }, &phases);
            check(&phases[1..], &seconds[1..], |phase| Expected { least: phase.capacity, most: most(phase.capacity), p99 });
        }
    }
    check_falling(Gradient::new(), |capacity| capacity * 3 / 2 + 10, ms(80));
    check_falling(Vegas::new(), |capacity| capacity + 8, ms(60));
    check_falling(Aimd::new(ms(60)), |capacity| capacity * 3, ms(80));
}

/// A service that has become slower has no queue for that, and is not to be cut down; which only a probe can tell.
#[test]
fn a_service_that_becomes_slower_keeps_its_limit() {
    fn check_slower<A: Algorithm + 'static>(algorithm: A, most: u32, p99: Duration) {
        let slower = Phase { capacity: 20, takes: ms(60), seconds: 30 };
        let phases = [phase(20, 15), slower];
        let seconds = play(Some(limit(algorithm)), BUSY, &phases);
        // Until the next probe it is mistaken for a queue.
        let learnt = [slower];
        check(&learnt, &[seconds[1][15..].to_vec()], |_| Expected { least: 20, most, p99 });
    }
    check_slower(Gradient::new(), 40, ms(180));
    check_slower(Vegas::new(), 28, ms(150));
}

/// Where callers leave half of the limit free, that is known before anybody has to wait.
#[test]
fn a_service_that_becomes_slower_for_few_keeps_nobody_waiting() {
    fn check_slower<A: Algorithm + 'static>(algorithm: A) {
        let slower = Phase { capacity: 40, takes: ms(60), seconds: 15 };
        let seconds = play(Some(limit(algorithm)), Load::Closed { callers: 30 }, &[phase(40, 12), slower]);
        assert!(seconds[1][2..].iter().all(|second| second.done >= 450), "{}", table(&seconds));
    }
    check_slower(Gradient::new());
    check_slower(Vegas::new());
}

/// Half as many again as can be done: what is too much is turned away, and all that can be done is.
#[test]
fn too_many_calls_leave_a_service_at_its_best() {
    fn check_overload<A: Algorithm + 'static>(algorithm: A, p99: Duration) {
        let phases = [phase(20, 15), phase(10, 15)];
        let seconds = play(Some(limit(algorithm)), Load::Open { calls: 1_500.0 }, &phases);
        check(&phases, &seconds, |_| Expected { least: 1, most: 200, p99 });
        assert!(seconds[0][5..].iter().all(|second| second.rejected > 300), "{}", table(&seconds));
    }
    check_overload(Gradient::new(), ms(60));
    check_overload(Vegas::new(), ms(50));
    check_overload(Aimd::new(ms(60)), ms(66));
    let seconds = play(unlimited(), Load::Open { calls: 1_500.0 }, &[phase(20, 10)]);
    assert!(seconds[0][9].p99 > ms(2_000), "{}", table(&seconds));
}

/// Less than can be done: hardly anybody is turned away, and the limit does not grow for nothing.
#[test]
fn few_calls_are_let_through_and_tell_nothing() {
    fn check_few<A: Algorithm + 'static>(algorithm: A, calls: f64, most: u32) {
        let seconds = play(Some(limit(algorithm)), Load::Open { calls }, &[phase(20, 30)]);
        let settled = &seconds[0][5..];
        let rejected: u32 = settled.iter().map(|second| second.rejected).sum();
        assert!(f64::from(rejected) <= 0.01 * calls * 25.0, "more than a hundredth: {rejected}{}", table(&seconds));
        assert!(settled.iter().all(|second| second.limit <= most), "{}", table(&seconds));
    }
    for (calls, most) in [(500.0, 60), (900.0, 110)] {
        check_few(Gradient::new(), calls, most);
        check_few(Vegas::new(), calls, most);
        check_few(Aimd::new(ms(60)), calls, most);
    }
}
