//! Beside a model that keeps everything that ever happened, and looks through it.

use std::time::Duration;

use aplomb::CircuitBreaker;
use aplomb::backoff::Exponential;
use aplomb::circuit_breaker::{Consecutive, LastCalls, LastTime, State, Trip};
use aplomb::ratio::{Ratio, percent};
use aplomb::time::ms;
use aplomb_sim::ManualClock;

use crate::clock::{Hands, PermitOf, at, clock, leak};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Consecutive(u32),
    LastCalls { share: u32, min_calls: u32, calls: u32 },
    LastTime { share: u32, min_calls: u32, width: u64, buckets: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    kind: Kind,
    /// Milliseconds, which double up to eight times as many.
    open_for: u64,
    half_open: u32,
    half_open_for: Lasts,
    successes: u32,
}

/// For how long it is half-open.
#[derive(Debug, Clone, Copy)]
enum Lasts {
    ByDefault,
    Millis(u64),
    Forever,
}

fn settings(random: &mut fastrand::Rng) -> Settings {
    let share = [10, 25, 33, 50, 100][random.usize(0..5)];
    let kind = match random.u8(0..3) {
        0 => Kind::Consecutive(random.u32(1..5)),
        1 => {
            let calls = random.u32(1..20);
            Kind::LastCalls { share, min_calls: random.u32(1..=calls), calls }
        }
        _ => Kind::LastTime { share, min_calls: random.u32(1..6), width: random.u64(1..40), buckets: random.u32(1..6) },
    };
    Settings {
        kind,
        open_for: random.u64(0..60),
        half_open: random.u32(1..4),
        half_open_for: match random.u8(0..5) {
            0 => Lasts::Forever,
            1 | 2 => Lasts::Millis(random.u64(1..80)),
            _ => Lasts::ByDefault,
        },
        successes: random.u32(1..4),
    }
}

/// All that ever happened since it closed, and what follows from that.
struct Model {
    settings: Settings,
    state: State,
    /// How often anything was changed.
    epoch: u32,
    /// When the state ends, if it does by itself.
    until: Option<u64>,
    ended: Vec<(u64, bool)>,
    probes: u32,
    succeeded: u32,
    /// How often it has opened since it closed.
    openings: u32,
}

impl Model {
    fn new(settings: Settings) -> Self {
        Self { settings, state: State::Closed, epoch: 0, until: None, ended: vec![], probes: 0, succeeded: 0, openings: 0 }
    }

    fn enter(&mut self, state: State, until: Option<u64>) {
        (self.state, self.until) = (state, until);
        self.epoch += 1;
        self.ended.clear();
        (self.probes, self.succeeded) = (0, 0);
        if state == State::Closed {
            self.openings = 0;
        }
    }

    /// How long it opens the next time.
    fn pause(&self) -> u64 {
        self.settings.open_for << self.openings.min(3)
    }

    fn open(&mut self, now: u64) {
        let pause = self.pause();
        self.openings += 1;
        self.enter(State::Open, Some(now + pause));
    }

    /// The stamp of a call that goes through.
    fn admit(&mut self, now: u64) -> Option<u32> {
        if self.state == State::HalfOpen && self.until.is_some_and(|until| now >= until) {
            self.open(self.until.unwrap());
        }
        if self.state == State::Open && now >= self.until.unwrap() {
            let lasts = match self.settings.half_open_for {
                Lasts::ByDefault => Some(self.pause().max(60_000)),
                Lasts::Millis(time) => Some(time),
                Lasts::Forever => None,
            };
            self.enter(State::HalfOpen, lasts.map(|time| now + time));
        }
        match self.state {
            State::Closed | State::Disabled => Some(self.epoch),
            State::Open | State::ForcedOpen => None,
            State::HalfOpen if self.probes == self.settings.half_open => None,
            State::HalfOpen => {
                self.probes += 1;
                Some(self.epoch)
            }
        }
    }

    /// A call has ended; with nothing to say, if it was dropped.
    fn end(&mut self, now: u64, epoch: u32, failed: Option<bool>) {
        if epoch != self.epoch {
            return;
        }
        match (self.state, failed) {
            (State::HalfOpen, Some(_)) if self.until.is_some_and(|until| now > until) => {}
            (State::HalfOpen, failed) => {
                self.probes -= 1;
                match failed {
                    Some(true) => self.open(now),
                    Some(false) => {
                        self.succeeded += 1;
                        if self.succeeded == self.settings.successes {
                            self.enter(State::Closed, None);
                        }
                    }
                    None => {}
                }
            }
            (State::Closed, Some(failed)) => {
                self.ended.push((now, failed));
                if self.trips(now) {
                    self.open(now);
                }
            }
            _ => {}
        }
    }

    fn trips(&self, now: u64) -> bool {
        let too_many = |share: u32, min_calls: u32, ended: &[bool]| {
            let failures = ended.iter().filter(|failed| **failed).count();
            ended.len() >= min_calls as usize && failures * 100 >= share as usize * ended.len()
        };
        let failed: Vec<bool> = self.ended.iter().map(|(_, failed)| *failed).collect();
        match self.settings.kind {
            Kind::Consecutive(failures) => failed.iter().rev().take_while(|failed| **failed).count() >= failures as usize,
            Kind::LastCalls { share, min_calls, calls } => {
                too_many(share, min_calls, &failed[failed.len().saturating_sub(calls as usize)..])
            }
            Kind::LastTime { share, min_calls, width, buckets } => {
                let bucket = |at: u64| (at - self.ended[0].0) / width;
                let within = |at: &&(u64, bool)| bucket(now) - bucket(at.0) < u64::from(buckets);
                let within: Vec<bool> = self.ended.iter().filter(within).map(|(_, failed)| *failed).collect();
                too_many(share, min_calls, &within)
            }
        }
    }
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (settings, clock) = (settings(&mut random), clock());
    match settings.kind {
        Kind::Consecutive(failures) => {
            play(seed, random, settings, CircuitBreaker::with_clock(clock, Consecutive::new(failures)), clock);
        }
        Kind::LastCalls { share, min_calls, calls } => {
            let breaker = CircuitBreaker::with_clock(clock, LastCalls::<1>::new(calls));
            play(seed, random, settings, breaker.failure_rate(percent(share)).min_calls(min_calls), clock);
        }
        Kind::LastTime { share, min_calls, width, buckets } => {
            let breaker = CircuitBreaker::with_clock(clock, LastTime::<6>::new(ms(width * u64::from(buckets))));
            let breaker = breaker.buckets(buckets).failure_rate(percent(share)).min_calls(min_calls);
            play(seed, random, settings, breaker, clock);
        }
    }
}

fn play<T: Trip + Copy + 'static>(
    seed: u64,
    mut random: fastrand::Rng,
    settings: Settings,
    breaker: CircuitBreaker<Hands, T>,
    clock: &'static ManualClock<1>,
) {
    let breaker = breaker.half_open(settings.half_open).success_threshold(settings.successes);
    let breaker = match settings.half_open_for {
        Lasts::ByDefault => breaker,
        Lasts::Millis(time) => breaker.half_open_for(ms(time)),
        Lasts::Forever => breaker.half_open_for(Duration::MAX),
    };
    let open = Exponential::from(ms(settings.open_for)).factor(Ratio::new(2, 1)).max(ms(settings.open_for * 8));
    let breaker = leak(breaker.open_backoff(open).check().unwrap());
    let mut model = Model::new(settings);
    // Which begin at other instants than at the origin of the clock.
    let mut now = random.u64(0..1_000);
    let mut under_way: Vec<(PermitOf<T, Exponential>, u32)> = Vec::new();
    for step in 0..300 {
        if random.u8(0..3) == 0 {
            now += if random.u8(0..10) == 0 { random.u64(0..100_000) } else { random.u64(0..30) };
        }
        clock.set(at(now));
        let told = || format!("seed {seed}, step {step} at {now}: {settings:?}");
        match random.u8(0..24) {
            0..10 => {
                // What is said before changes nothing of it, and agrees.
                let (goes_through, rejected) = (breaker.lets_through(), breaker.snapshot().rejected);
                let turned_away = breaker.turn_away();
                assert_eq!(breaker.snapshot().rejected, rejected + 1, "{}", told());
                match (breaker.permit(), model.admit(now)) {
                    (Ok(permit), Some(epoch)) => {
                        assert_eq!((goes_through, turned_away.retry_after()), (true, Some(ms(0))), "{}", told());
                        under_way.push((permit, epoch));
                    }
                    (Err(error), None) => {
                        assert_eq!((goes_through, turned_away), (false, error), "{}", told());
                        // While it is half-open, no longer than a probe that fails now would take.
                        let most = if model.state == State::HalfOpen { model.pause() } else { u64::MAX };
                        let left = model.until.map(|until| ms((until - now).min(most)));
                        assert_eq!(error.retry_after(), left, "{}", told());
                    }
                    (permit, expected) => panic!("{permit:?} instead of {expected:?}: {}", told()),
                }
            }
            10..22 if !under_way.is_empty() => {
                let (permit, epoch) = under_way.swap_remove(random.usize(0..under_way.len()));
                let end = [Some(true), Some(true), Some(false), Some(false), None][random.usize(0..5)];
                match end {
                    Some(true) => permit.failure(),
                    Some(false) => permit.success(),
                    None => drop(permit),
                }
                model.end(now, epoch, end);
            }
            22 if random.u8(0..4) == 0 => match random.u8(0..4) {
                0 => {
                    breaker.force_open();
                    model.enter(State::ForcedOpen, None);
                }
                1 => {
                    breaker.disable();
                    model.enter(State::Disabled, None);
                }
                2 => {
                    breaker.reset();
                    model.enter(State::Closed, None);
                }
                _ => {
                    breaker.force_closed();
                    model.enter(State::Closed, None);
                }
            },
            _ => _ = breaker.state(),
        }
        let snapshot = breaker.snapshot();
        let counts = model.state == State::HalfOpen && model.until.is_none_or(|until| now < until);
        assert_eq!(snapshot.probes, if counts { model.probes } else { 0 }, "{}", told());
        // Of this time that it is half-open: those that have outlasted another one go on beside them.
        let probes = under_way.iter().filter(|(_, epoch)| *epoch == model.epoch && model.state == State::HalfOpen).count();
        assert!(probes <= settings.half_open as usize, "{}", told());
    }
    // It never stays open for ever: whatever hangs, time and successes close it.
    if matches!(settings.half_open_for, Lasts::Forever) {
        // Whoever says so has it held up by probes that hang.
        under_way.clear();
    }
    if matches!(breaker.state(), State::ForcedOpen | State::Disabled) {
        breaker.reset();
    }
    for _ in 0..4 * settings.successes + 8 {
        now += 10_000;
        clock.set(at(now));
        for _ in 0..settings.successes {
            breaker.permit().into_iter().for_each(aplomb::circuit_breaker::Permit::success);
        }
    }
    assert_eq!(breaker.state(), State::Closed, "seed {seed}: {settings:?}");
}

#[test]
fn it_does_what_the_model_does() {
    crate::seeds(3_000).for_each(run);
}
