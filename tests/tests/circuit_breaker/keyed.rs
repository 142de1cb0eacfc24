//! A breaker for each key: beside a map that forgets nothing, and what is forgotten in which order.

use std::collections::HashMap;

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

/// Whom a full table forgets, by an obvious list of who was used when.
#[test]
fn a_full_table_forgets_the_idlest_of_the_least_class() {
    for seed in crate::seeds(500) {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = clock();
        let capacity = random.usize(1..40);
        let keyed: &Keyed<Heap> = leak(KeyedCircuitBreaker::new(each(clock)).shards().capacity(capacity));
        let keys: &[u8; 60] = leak(std::array::from_fn(|key| u8::try_from(key).unwrap()));
        // Keys in the order of their last use, with how many failures in a row, and until when they are open.
        let mut known: Vec<(u8, u32, Option<u64>)> = Vec::new();
        let (mut held, mut now): (Vec<(u8, Permit<_>)>, u64) = (Vec::new(), 0);
        for step in 0..300 {
            now += random.u64(0..8);
            clock.set(at(now));
            let key = &keys[random.usize(0..60)];
            let told = || format!("seed {seed}, step {step}: {known:?}");
            let position = known.iter().position(|(known, ..)| known == key);
            let is_held = |key: u8| held.iter().any(|(held, _)| *held == key);
            // One probe at a time, and it is told at once, so that there is none that is held.
            let expected = match position {
                Some(_) => Ok(None),
                None if known.len() < capacity => Ok(None),
                None => {
                    let class =
                        |(_, failures, until): &(u8, u32, Option<u64>)| if until.is_some() { 2 } else { u8::from(*failures > 0) };
                    let idle = known.iter().enumerate().filter(|(_, (key, ..))| !is_held(*key));
                    match idle.min_by_key(|(index, known)| (class(known), *index)) {
                        Some((index, (_, _, until))) if until.is_none_or(|until| now >= until) => Ok(Some(index)),
                        _ => Err(BreakerError::TableFull { capacity }),
                    }
                }
            };
            let permit = match (keyed.permit(key), expected) {
                (Err(full @ BreakerError::TableFull { .. }), expected) => {
                    assert_eq!(expected, Err(full), "{}", told());
                    continue;
                }
                (permit, expected) => {
                    let forgotten = expected.unwrap_or_else(|_| panic!("there is no room: {}", told()));
                    if let Some(index) = forgotten {
                        known.remove(index);
                    }
                    permit
                }
            };
            let position = known.iter().position(|(known, ..)| known == key);
            let (_, mut failures, mut until) = position.map_or((*key, 0, None), |position| known.remove(position));
            assert_eq!(permit.is_err(), until.is_some_and(|until| now < until));
            if let Ok(permit) = permit {
                if until.is_none() && random.u8(0..4) == 0 {
                    held.push((*key, permit));
                } else if random.bool() {
                    permit.failure();
                    failures += 1;
                    if until.is_some() || failures >= 2 {
                        (until, failures) = (Some(now + 50), 0);
                    }
                } else {
                    permit.success();
                    (until, failures) = (None, 0);
                }
            }
            known.push((*key, failures, until));
            if !held.is_empty() && random.u8(0..3) == 0 {
                let (key, permit) = held.swap_remove(random.usize(0..held.len()));
                drop(permit);
                // That is a use too.
                let position = known.iter().position(|(known, ..)| *known == key).unwrap();
                let used = known.remove(position);
                known.push(used);
            }
            assert_eq!(keyed.len(), known.len());
        }
    }
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
