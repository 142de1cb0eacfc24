//! A breaker for each key: beside a map that forgets nothing, and what is forgotten in which order.

use std::collections::HashMap;

use aplomb::backoff::Exponential;
use aplomb::circuit_breaker::{Consecutive, Permit, State};
use aplomb::key::FoldHash;
use aplomb::time::ms;
use aplomb::{BreakerError, CircuitBreaker, Heap, Inline, KeyedCircuitBreaker, Storage};

use crate::clock::{Hands, at, clock, leak};

type Each<S> = CircuitBreaker<Hands, Consecutive, aplomb::backoff::Constant, aplomb::circuit_breaker::AnyError, S>;
type Keyed<S, const SHARDS: usize = 1> = KeyedCircuitBreaker<
    Hands,
    u8,
    Consecutive,
    aplomb::backoff::Constant,
    aplomb::circuit_breaker::AnyError,
    S,
    FoldHash,
    SHARDS,
>;

fn each<S: Storage>(clock: &'static aplomb_sim::ManualClock<1>) -> Each<S> {
    CircuitBreaker::with_clock(clock, Consecutive::new(2)).open_for(ms(50))
}

/// As long as there is room for all keys, it is as many breakers.
fn beside_single_ones<S: Storage + 'static, const SHARDS: usize>(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = clock();
    let keyed: &Keyed<S, SHARDS> = leak(KeyedCircuitBreaker::new(each(clock)).shards().capacity(24 * SHARDS));
    let single: HashMap<u8, &'static Each<S>> = (0..20).map(|key| (key, leak(each(clock)))).collect();
    let keys: &[u8; 20] = leak(std::array::from_fn(|key| u8::try_from(key).unwrap()));
    let (mut under_way, mut now) = (Vec::new(), 0);
    for step in 0..400 {
        now += random.u64(0..12);
        clock.set(at(now));
        let key = &keys[random.usize(0..20)];
        match random.u8(0..8) {
            0..4 => match (keyed.permit(key), single[key].permit()) {
                (Ok(one), Ok(other)) => under_way.push((one, other)),
                (Err(one), Err(other)) => assert_eq!(one, other, "seed {seed}, step {step}"),
                (one, other) => panic!("{one:?} and {other:?}: seed {seed}, step {step}"),
            },
            4..7 if !under_way.is_empty() => {
                let (one, other): (Permit<_>, Permit<_>) = under_way.swap_remove(random.usize(0..under_way.len()));
                match random.u8(0..3) {
                    0 => {
                        one.success();
                        other.success();
                    }
                    1 => {
                        one.failure();
                        other.failure();
                    }
                    _ => drop((one, other)),
                }
            }
            _ => match random.u8(0..20) {
                0 => {
                    keyed.force_open(key).unwrap();
                    single[key].force_open();
                }
                1 => {
                    keyed.disable(key).unwrap();
                    single[key].disable();
                }
                2..6 => {
                    keyed.force_closed(key).unwrap();
                    single[key].force_closed();
                }
                _ => {}
            },
        }
        let (one, other) = (keyed.snapshot(key), single[key].snapshot());
        assert_eq!((one.state, one.tally, one.probes), (other.state, other.tally, other.probes), "seed {seed}, step {step}");
    }
}

#[test]
fn with_room_for_all_it_is_as_many_breakers() {
    for seed in crate::seeds(200) {
        beside_single_ones::<Heap, 1>(seed);
        beside_single_ones::<Heap, 3>(seed);
        beside_single_ones::<Inline<32>, 1>(seed);
    }
}

/// What is known of a key.
#[derive(Debug)]
struct Known {
    key: u8,
    /// In a row.
    failures: u32,
    /// How often it has opened since it closed.
    opened: u32,
    /// From when on it may be tried, if it has opened.
    from: Option<u64>,
    is_half_open: bool,
}

impl Known {
    const fn new(key: u8) -> Self {
        Self { key, failures: 0, opened: 0, from: None, is_half_open: false }
    }

    /// Where it stands in the order of forgetting, if it was used so long ago.
    fn order(&self, used: usize) -> (u8, u64) {
        match (self.from, self.failures) {
            (Some(from), _) => (2, from),
            (None, failures) => (u8::from(failures > 0), used as u64),
        }
    }

    fn goes_through(&mut self, now: u64) {
        if self.from.is_some() && !self.is_half_open {
            (self.from, self.is_half_open) = (Some(now), true);
        }
    }

    fn succeeds(&mut self) {
        *self = Self::new(self.key);
    }

    fn fails(&mut self, now: u64) {
        self.failures += 1;
        if self.from.is_some() || self.failures == 2 {
            self.from = Some(now + (50 << self.opened.min(2)));
            (self.failures, self.opened, self.is_half_open) = (0, self.opened + 1, false);
        }
    }
}

/// Whom a full table forgets, by an obvious list of who was used when.
#[test]
fn a_full_table_forgets_the_idlest_of_the_least_class() {
    for seed in crate::seeds(500) {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = clock();
        let capacity = random.usize(1..40);
        // The longer a key has been down, the longer it is left alone: so one that has opened later may be tried earlier.
        let each = each::<Heap>(clock).open_backoff(Exponential::from(ms(50)).max(ms(200)));
        let keyed = leak(KeyedCircuitBreaker::<_, u8, _, _, _, Heap>::new(each).capacity(capacity));
        let keys: &[u8; 60] = leak(std::array::from_fn(|key| u8::try_from(key).unwrap()));
        // In the order of their last use.
        let mut known: Vec<Known> = Vec::new();
        let (mut held, mut now): (Vec<(u8, Permit<_>)>, u64) = (Vec::new(), 0);
        for step in 0..300 {
            now += random.u64(0..8);
            clock.set(at(now));
            let key = &keys[random.usize(0..60)];
            let told = || format!("seed {seed}, step {step} at {now}");
            let is_known = known.iter().any(|known| known.key == *key);
            if !is_known && known.len() == capacity {
                let is_held = |known: &Known| held.iter().any(|(held, _)| *held == known.key);
                // One probe at a time, and it is told at once, so that there is none that is held.
                let idle = || known.iter().enumerate().filter(|(_, known)| !is_held(known));
                let first = idle().map(|(used, known)| known.order(used)).min();
                match first {
                    Some((class, from)) if class < 2 || from <= now => {
                        // Of several that may be tried since the same instant, it is any.
                        let candidates = idle().filter(|(used, known)| Some(known.order(*used)) == first);
                        let candidates: Vec<u8> = candidates.map(|(_, known)| known.key).collect();
                        keyed.force_closed(key).unwrap();
                        let is_gone = |key: &&u8| candidates.len() == 1 || keyed.state(*key) == State::Closed;
                        let gone: Vec<u8> = candidates.iter().filter(is_gone).copied().collect();
                        assert!(gone.len() == 1 && !keyed.forget(&gone[0]), "{}: one of {candidates:?} goes", told());
                        known.retain(|known| known.key != gone[0]);
                    }
                    first => {
                        let retry_after = first.map(|(_, from)| ms(from - now));
                        let full = keyed.permit(key).unwrap_err();
                        assert_eq!(full, BreakerError::TableFull { capacity, retry_after }, "{}", told());
                        continue;
                    }
                }
            }
            let position = known.iter().position(|known| known.key == *key);
            let mut used = position.map_or_else(|| Known::new(*key), |position| known.remove(position));
            let permit = keyed.permit(key);
            assert_eq!(permit.is_err(), used.from.is_some_and(|from| now < from), "{}", told());
            if let Ok(permit) = permit {
                used.goes_through(now);
                match random.u8(0..8) {
                    0 | 1 if used.from.is_none() => held.push((*key, permit)),
                    0 => drop(permit),
                    1..5 => {
                        permit.failure();
                        used.fails(now);
                    }
                    _ => {
                        permit.success();
                        used.succeeds();
                    }
                }
            }
            known.push(used);
            if !held.is_empty() && random.u8(0..3) == 0 {
                let (key, permit) = held.swap_remove(random.usize(0..held.len()));
                drop(permit);
                // That is a use too.
                let position = known.iter().position(|known| known.key == key).unwrap();
                let used = known.remove(position);
                known.push(used);
            }
            assert_eq!(keyed.len(), known.len());
        }
    }
}

/// One whose probes never came is open again, and so not forgotten, until that is over.
#[test]
fn a_key_whose_probes_had_their_time_is_open_again() {
    let clock = clock();
    let each = CircuitBreaker::with_clock(clock, Consecutive::new(1)).open_for(ms(50)).half_open_for(ms(10));
    let keyed: &Keyed<Heap> = leak(KeyedCircuitBreaker::new(each).capacity(2));
    keyed.permit(&1).unwrap().failure();
    clock.set(at(20));
    keyed.permit(&2).unwrap().failure();
    clock.set(at(50));
    drop(keyed.permit(&1).unwrap());
    for (now, left) in [(60, 10), (69, 1)] {
        clock.set(at(now));
        let full = BreakerError::TableFull { capacity: 2, retry_after: Some(ms(left)) };
        assert_eq!(keyed.permit(&3).unwrap_err(), full);
    }
    clock.set(at(70));
    keyed.permit(&3).unwrap().success();
    assert_eq!((keyed.state(&1), keyed.state(&2), keyed.len()), (State::Open, State::Closed, 2));
}

#[test]
fn a_key_is_forgotten_unless_a_call_with_it_is_under_way() {
    let keyed: &Keyed<Inline<4>> = leak(KeyedCircuitBreaker::new(each(clock())));
    let permit = keyed.permit(&1).unwrap();
    assert!(!keyed.forget(&1));
    permit.failure();
    assert_eq!(keyed.snapshot(&1).tally.failures, 1);
    assert!(keyed.forget(&1) && !keyed.forget(&1) && keyed.is_empty());
    assert_eq!((keyed.state(&1), keyed.snapshot(&1).tally.failures), (State::Closed, 0));
}
