//! Calls that are not alike: of a few windows' averages, nearly all is chance.

use aplomb::AdaptiveLimit;
use aplomb::adaptive_limit::{Algorithm, Gradient, Vegas};
use aplomb::time::ms;
use aplomb_sim::{Sim, SimClock};

use crate::service::{Load, Phase, Second, Spread, play_spread, table};

fn limit<A: Algorithm>(algorithm: A) -> AdaptiveLimit<Sim, A> {
    AdaptiveLimit::with_clock(SimClock, algorithm)
}

const fn phase(capacity: u32, seconds: u64) -> Phase {
    Phase { capacity, takes: ms(20), seconds }
}

/// How many calls were done in a second.
fn done(settled: &[Second]) -> f64 {
    let done: usize = settled.iter().map(|second| second.done).sum();
    f64::from(u32::try_from(done / settled.len()).unwrap())
}

/// So much of all that can be done is, five seconds after each change; and the limit is no more than so many times the capacity, and twenty.
fn check<A: Algorithm + 'static>(algorithm: A, spread: Spread, share: f64, most: u32) {
    let phases = [phase(20, 25), phase(10, 25), phase(40, 25)];
    let seconds = play_spread(Some(limit(algorithm)), Load::Closed { callers: 400 }, &phases, spread);
    for (phase, of_phase) in phases.iter().zip(&seconds) {
        let settled = &of_phase[5..];
        let share_done = done(settled) / phase.ideal();
        assert!(share_done >= share, "{spread:?}: {share_done} of {}{}", phase.capacity, table(&seconds));
        let mut limits: Vec<u32> = settled.iter().map(|second| second.limit).collect();
        limits.sort_unstable();
        let median = limits[limits.len() / 2];
        assert!(median <= most * phase.capacity + 20, "{spread:?}: {median} for {}{}", phase.capacity, table(&seconds));
    }
}

#[test]
fn vegas_finds_a_capacity_where_calls_are_not_alike() {
    check(Vegas::new(), Spread::Even, 0.95, 1);
    check(Vegas::new(), Spread::Exponential, 0.9, 1);
    check(Vegas::new(), Spread::TwoKinds, 0.9, 2);
    // What two hundred times the others take is of a few calls, and is not what it was in each phase.
    check(Vegas::new(), Spread::Rare, 0.75, 2);
}

#[test]
fn gradient_finds_a_capacity_where_calls_are_not_alike() {
    check(Gradient::new(), Spread::Even, 0.95, 2);
    check(Gradient::new(), Spread::Exponential, 0.9, 2);
    check(Gradient::new(), Spread::TwoKinds, 0.9, 3);
    check(Gradient::new(), Spread::Rare, 0.75, 3);
}

/// Three fifths of what can be done, and as many calls on a service without a queue: hardly anybody is turned away.
#[test]
fn calls_that_are_not_alike_are_no_queue() {
    fn check<A: Algorithm + 'static>(algorithm: impl Fn() -> A) {
        for (spread, capacity) in
            [Spread::Exponential, Spread::TwoKinds, Spread::Rare].into_iter().flat_map(|it| [(it, 20), (it, 1_000)])
        {
            let seconds = play_spread(Some(limit(algorithm())), Load::Open { calls: 600.0 }, &[phase(capacity, 60)], spread);
            let settled = &seconds[0][5..];
            let rejected: u32 = settled.iter().map(|second| second.rejected).sum();
            assert!(f64::from(rejected) <= 0.01 * 600.0 * 55.0, "{spread:?}, {capacity}: {rejected}{}", table(&seconds));
            assert!(settled.iter().all(|second| second.limit <= 100), "{spread:?}, {capacity}{}", table(&seconds));
        }
    }
    check(Gradient::new);
    check(Vegas::new);
}
