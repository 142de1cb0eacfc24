//! Past the lock and under it: the same is decided, and who is rejected by an open breaker takes no lock.

use aplomb::circuit_breaker::{Consecutive, Permit, State};
use aplomb::sync::{AtomicWord, NoWord, Word};
use aplomb::time::{ms, secs};
use aplomb::{BreakerError, CircuitBreaker, Instant};
use aplomb_sim::ManualClock;

use crate::clock::leak;
use crate::locks::{ByHand, clock, locked};
use crate::seeds;

type Breaker<W> = CircuitBreaker<ByHand<W>>;

fn breaker<W: Word>(clock: &'static ManualClock<1>) -> &'static Breaker<W> {
    leak(Breaker::with_clock(clock, Consecutive::new(1)).open_for(secs(10)))
}

fn retry_after<W: Word>(breaker: &Breaker<W>) -> Option<std::time::Duration> {
    breaker.permit().map(drop).unwrap_err().retry_after()
}

#[test]
fn who_is_rejected_takes_no_lock() {
    let clock = clock();
    let breaker = breaker::<AtomicWord>(clock);
    breaker.permit().unwrap().failure();
    assert_eq!(locked(|| retry_after(breaker)), (Some(secs(10)), 0));
    clock.advance(secs(4));
    assert_eq!(locked(|| retry_after(breaker)), (Some(secs(6)), 0));
    assert_eq!(breaker.snapshot().rejected, 2);
    assert_eq!(locked(|| retry_after(breaker)), (Some(secs(6)), 0), "it was set out again");

    // Who looks for a place takes it.
    clock.advance(secs(6));
    let (probe, locks) = locked(|| breaker.permit().unwrap());
    assert!(locks > 0);
    let (rejected, locks) = locked(|| breaker.permit().map(drop).unwrap_err());
    assert!(matches!(rejected, BreakerError::HalfOpen { .. }) && locks > 0);
    probe.success();

    breaker.force_open();
    assert_eq!(locked(|| retry_after(breaker)), (None, 0));
    assert_eq!(breaker.snapshot().rejected, 5);
    breaker.reset();
    assert_eq!((breaker.state(), breaker.snapshot().rejected), (State::Closed, 0));
}

fn is_open_no_longer<W: Word + 'static>() {
    let clock = clock();
    clock.set(Instant::ORIGIN + secs(3_600));
    let breaker = breaker::<W>(clock);
    breaker.permit().unwrap().failure();
    clock.advance(secs(4));
    assert_eq!(retry_after(breaker), Some(secs(6)));
    clock.set(Instant::ORIGIN + secs(60));
    assert_eq!(retry_after(breaker), Some(secs(6)), "59 minutes back are no time");
    clock.advance(secs(5));
    assert_eq!(retry_after(breaker), Some(secs(1)));
    clock.advance(secs(1));
    breaker.permit().unwrap().success();
    assert_eq!((breaker.state(), breaker.snapshot().rejected), (State::Closed, 3));
}

#[test]
fn a_clock_that_is_set_back_is_no_time() {
    is_open_no_longer::<AtomicWord>();
    is_open_no_longer::<NoWord>();
}

/// A breaker, and the calls under way there.
struct World<W: Word + 'static> {
    breaker: &'static Breaker<W>,
    under_way: Vec<Permit<&'static Breaker<W>>>,
}

impl<W: Word + 'static> World<W> {
    fn new(clock: &'static ManualClock<1>) -> Self {
        Self { breaker: breaker(clock), under_way: Vec::new() }
    }

    /// Does something, by a number that says what, and tells what came of it.
    fn step(&mut self, what: u8, index: usize) -> String {
        match what {
            0..6 => match self.breaker.permit() {
                Ok(permit) => {
                    let told = format!("{permit:?}");
                    self.under_way.push(permit);
                    told
                }
                Err(rejected) => format!("{rejected:?}"),
            },
            6..9 if index < self.under_way.len() => {
                let permit = self.under_way.swap_remove(index);
                match what {
                    6 => permit.success(),
                    7 => permit.failure(),
                    _ => drop(permit),
                }
                String::new()
            }
            9 if index == 0 => {
                self.breaker.force_open();
                String::new()
            }
            10 if index == 0 => {
                self.breaker.force_closed();
                String::new()
            }
            11 if index == 0 => {
                self.breaker.reset();
                String::new()
            }
            12 => format!("{:?}", self.breaker.state()),
            _ => format!("{:?}", self.breaker.snapshot()),
        }
    }
}

#[test]
fn the_same_is_decided_past_the_lock_and_under_it() {
    for seed in seeds(400) {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = clock();
        let (mut past, mut under) = (World::<AtomicWord>::new(clock), World::<NoWord>::new(clock));
        for step in 0..200 {
            match random.u8(0..40) {
                0 => clock.set(Instant::ORIGIN + ms(random.u64(0..20_000))),
                // As if a reading had come late.
                1 => clock.set(Instant::from_nanos(aplomb::Clock::now(&clock).as_nanos() - random.u64(0..1_000_000))),
                _ => clock.advance(ms(random.u64(0..2_000))),
            }
            let (what, index) = (random.u8(0..15), random.usize(0..4));
            assert_eq!(past.step(what, index), under.step(what, index), "seed {seed} step {step}: {what} with {index}");
        }
    }
}
