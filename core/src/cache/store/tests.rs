extern crate std;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cache::rules::Rules;
use crate::storage::Inline;

const NOTHING: Rules = Rules::NONE;

fn hash(key: u32) -> u64 {
    // Few chains, so that many share one.
    u64::from(key % 7) << 61 | u64::from(key.wrapping_mul(0x9e37_79b1)) << 29
}

fn limits(capacity: usize) -> Limits {
    Limits { capacity, max_weight: u64::MAX }
}

fn times(end: u64) -> Times {
    NOTHING.times(Instant::ORIGIN, end, false)
}

fn put<S: Storage>(store: &mut Store<u32, u32, S>, key: u32, end: u64, now: u64, capacity: usize) -> Option<(u32, bool)> {
    let now = Instant::from_nanos(now);
    let mut displaced = None;
    store.make_place(now, limits(capacity), &NOTHING, &mut displaced);
    let new = New { key, value: key, times: times(end), weight: 1, end: Instant::from_nanos(end) };
    store.insert(hash(key), new, limits(capacity), &NOTHING).unwrap_or_else(|(key, _)| panic!("no room for {key}"));
    displaced.map(|displaced| (displaced.entry.0, displaced.cause == Removal::Expired))
}

fn is_there<S: Storage>(store: &Store<u32, u32, S>, key: u32) -> bool {
    store.find(hash(key), |known| *known == key).is_some()
}

fn hit<S: Storage>(store: &mut Store<u32, u32, S>, key: u32) -> bool {
    let Some(link) = store.find(hash(key), |known| *known == key) else { return false };
    count_use(&mut store.get_mut(link).unwrap().times);
    true
}

/// Does the same to a store and to a map, from which the same goes.
fn play<S: Storage>(seed: u64, capacity: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut store = Store::<u32, u32, S>::new();
    // Ends and weights.
    let mut model: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
    for now in 0..300_u64 {
        let key = random.u32(0..40);
        let link = store.find(hash(key), |known| *known == key);
        assert_eq!(link.is_some(), model.contains_key(&key), "seed {seed} at {now}");
        let (end, weight) = (now + random.u64(0..60), random.u32(0..4));
        match (random.u8(0..4), link) {
            (0, Some(link)) => {
                let removed = store.remove(link).unwrap();
                assert_eq!((removed.key, removed.value), (key, key));
                model.remove(&key);
            }
            (1, Some(link)) => {
                assert_eq!(store.replace(link, key, times(end), weight, Instant::from_nanos(end)), Some(key));
                model.insert(key, (end, weight));
            }
            (_, Some(_)) => assert!(hit(&mut store, key)),
            (_, None) => {
                let is_full = model.len() >= capacity;
                let at = Instant::from_nanos(now);
                let mut displaced = None;
                store.make_place(at, limits(capacity), &NOTHING, &mut displaced);
                let new = New { key, value: key, times: times(end), weight, end: Instant::from_nanos(end) };
                assert!(store.insert(hash(key), new, limits(capacity), &NOTHING).is_ok(), "seed {seed} at {now}: no room");
                assert_eq!(displaced.is_some(), is_full, "seed {seed} at {now}");
                if let Some(Displaced { entry: (gone, _), cause }) = displaced {
                    let (end, _) = model.remove(&gone).unwrap();
                    let any_has_ended = end <= now || model.values().any(|(end, _)| *end <= now);
                    assert_eq!(
                        (cause == Removal::Expired, end <= now),
                        (any_has_ended, any_has_ended),
                        "seed {seed} at {now}: what has ended goes first"
                    );
                }
                model.insert(key, (end, weight));
            }
        }
        assert_eq!(store.len(), model.len());
        assert_eq!(store.weight(), model.values().map(|(_, weight)| u64::from(*weight)).sum::<u64>(), "seed {seed} at {now}");
        let mut slot = usize::MAX;
        let mut found = BTreeSet::new();
        while let Some((next, link)) = store.last_before(slot) {
            assert!(link.is_none_or(|link| found.insert(store.get_mut(link).unwrap().key)));
            slot = next;
        }
        assert!(found.iter().eq(model.keys()), "seed {seed} at {now}");
    }
}

#[test]
fn does_what_a_map_does() {
    for seed in 0..40 {
        for capacity in [1, 2, 3, 5, 8, 33] {
            play::<Inline<40>>(seed, capacity);
            #[cfg(feature = "alloc")]
            play::<crate::storage::Heap>(seed, capacity);
        }
    }
    for seed in 0..20 {
        play::<Inline<2>>(seed, 2);
    }
}

/// How many keys are compared in look-ups of some thousand that are not there.
fn compared_in_vain<S: Storage>(capacity: u32) -> u32 {
    let mut store = Store::<u32, u32, S>::new();
    let hash = |key: u32| u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for key in 0..capacity {
        let new = New { key, value: key, times: times(u64::MAX), weight: 1, end: Instant::MAX };
        assert!(store.insert(hash(key), new, limits(capacity as usize), &NOTHING).is_ok());
    }
    let mut compared = 0;
    for absent in 100_000..108_000 {
        assert_eq!(
            store.find(hash(absent), |_| {
                compared += 1;
                false
            }),
            None
        );
    }
    compared
}

#[test]
fn keys_of_others_are_mostly_not_compared() {
    // In every second look-up there is another one in the chain, of whose tag four bits are known, or five.
    assert!(compared_in_vain::<Inline<4_000>>(4_000) < 8_000 / 8);
    #[cfg(feature = "alloc")]
    assert!(compared_in_vain::<crate::storage::Heap>(4_096) < 8_000 / 32);
}

#[test]
fn there_are_no_more_than_links_with_tags_can_count() {
    assert_eq!(most::<Inline<40>>(), 40);
    #[cfg(feature = "alloc")]
    assert_eq!(most::<crate::storage::Heap>(), 134_217_727);
}

/// A storage of somebody else's, whose links have none within: entries would be lost where they share a chain.
#[test]
#[cfg(feature = "alloc")]
fn a_fixed_capacity_takes_links_that_have_room_within() {
    struct Bounded;

    impl Storage for Bounded {
        type Link = core::num::NonZeroU32;
        type Slots<T> = std::vec::Vec<T>;
        type Rows<T: Default> = crate::storage::CacheLines<T>;
        const CAPACITY: usize = 1_000;
    }

    let has_room = [
        Chained::<u32, u32, Bounded>::HAS_ROOM,
        Chained::<u32, u32, crate::storage::Heap>::HAS_ROOM,
        Chained::<u32, u32, Inline<40>>::HAS_ROOM,
    ];
    assert_eq!(has_room, [false, true, true]);
}

#[test]
fn holds_as_many_as_there_may_be() {
    for capacity in 1..=40 {
        let mut store = Store::<u32, u32, Inline<40>>::new();
        for key in 0..u32::try_from(capacity).unwrap() {
            assert_eq!(put(&mut store, key, u64::MAX, 0, capacity), None);
        }
        assert_eq!(store.len(), capacity);
        assert!(put(&mut store, 1_000, u64::MAX, 0, capacity).is_some_and(|(gone, _)| gone != 1_000));
        assert!(is_there(&store, 1_000));
    }
}

#[test]
fn a_scan_drives_nobody_out_who_is_used() {
    let mut store = Store::<u32, u32, Inline<100>>::new();
    for key in 0..100 {
        put(&mut store, key, u64::MAX, 0, 100);
    }
    for round in 0..50 {
        for key in 0..50 {
            assert!(hit(&mut store, key), "{key} in round {round}");
        }
        for once in 0..200 {
            put(&mut store, 1_000 + round * 200 + once, u64::MAX, 0, 100);
        }
    }
}

#[test]
fn in_little_room_too_who_is_used_stays() {
    for capacity in 2..=8 {
        let mut store = Store::<u32, u32, Inline<8>>::new();
        for once in 1_000..2_000 {
            for _ in 0..5 {
                if !hit(&mut store, 7) {
                    assert!(once < 1_010, "{capacity}: gone by {once}");
                    put(&mut store, 7, u64::MAX, 0, capacity);
                }
            }
            put(&mut store, once, u64::MAX, 0, capacity);
        }
    }
}

/// Keeps it, of that weight; whatever has to make room for it.
#[cfg(feature = "alloc")]
fn keep(store: &mut Store<u32, u32, crate::storage::Heap>, key: u32, weight: u32, max_weight: u64) -> std::vec::Vec<u32> {
    let limits = Limits { capacity: 1_000_000, max_weight };
    let mut gone = std::vec::Vec::new();
    let replaced = store.find(hash(key), |known| *known == key);
    let more = weight - replaced.map_or(0, |link| store.weight_of(link));
    let mut displaced = None;
    loop {
        store.make_room(more, replaced, Instant::ORIGIN, limits, &NOTHING, &mut displaced);
        let Some(displaced) = displaced.take() else { break };
        gone.push(displaced.entry.0);
    }
    let end = Instant::MAX;
    if let Some(link) = replaced {
        assert_eq!(store.replace(link, key, times(u64::MAX), weight, end), Some(key));
    } else {
        let new = New { key, value: key, times: times(u64::MAX), weight, end };
        store.make_place(Instant::ORIGIN, limits, &NOTHING, &mut displaced);
        assert!(displaced.is_none());
        assert!(store.insert(hash(key), new, limits, &NOTHING).is_ok());
    }
    gone
}

/// What it goes over to make room are entries, and not gaps; and all is found where it lies now.
#[test]
#[cfg(feature = "alloc")]
fn few_heavy_ones_after_many_light_ones_are_as_any_few() {
    for light in [500, 5_000] {
        let mut store = Store::<u32, u32, crate::storage::Heap>::new();
        let mut there = BTreeSet::new();
        for (key, weight) in (0..light).map(|key| (key, 1)).chain((light..light + 300).map(|key| (key, light / 10))) {
            there.insert(key);
            for gone in keep(&mut store, key, weight, light.into()) {
                assert!(gone != key && there.remove(&gone), "{gone}");
            }
            if weight > 1 {
                let (slots, len) = (store.slots.slots(), store.len());
                assert!(slots / 4 <= len.max(BLOCK), "{len} in {slots} slots");
                assert!(there.iter().all(|key| is_there(&store, *key)), "{key} of {light}");
                let weight: u32 = there.iter().map(|key| if *key < light { 1 } else { light / 10 }).sum();
                assert_eq!((store.len(), store.weight()), (there.len(), weight.into()));
            }
        }
    }
}

#[test]
#[cfg(feature = "alloc")]
fn who_is_heavy_and_used_stays_after_many_light_ones_and_in_a_scan() {
    let light = 5_000;
    let mut store = Store::<u32, u32, crate::storage::Heap>::new();
    for key in 0..light {
        keep(&mut store, key, 1, light.into());
    }
    let mut missed = 0;
    for round in 0..200 {
        for key in 10_000..10_005 {
            if !hit(&mut store, key) {
                missed += 1;
                keep(&mut store, key, light / 10, light.into());
            }
            hit(&mut store, key);
        }
        // It comes once.
        keep(&mut store, 20_000 + round, light / 10, light.into());
    }
    assert!(missed <= 15, "{missed} of 1000 missed");
}

/// Of Zipf's law, with a scan mixed in, keys weighing from 1 to 64.
#[test]
#[cfg(feature = "alloc")]
fn with_mixed_weights_a_scan_costs_few_hits() {
    let hits = |scans: bool| {
        let (mut random, mut store) = (fastrand::Rng::with_seed(5), Store::<u32, u32, crate::storage::Heap>::new());
        let mut hits = 0;
        for turn in 0..40_000_u32 {
            // Of a rank as likely as its inverse says, nearly.
            let key = (1_u32 << random.u32(0..14)) + random.u32(0..16_384) % (1 << random.u32(0..14));
            if hit(&mut store, key) {
                hits += 1;
            } else {
                keep(&mut store, key, 1 << (key % 7), 20_000);
            }
            if scans {
                keep(&mut store, 100_000 + turn, 1 << (turn % 7), 20_000);
            }
        }
        hits
    };
    let (without, with) = (hits(false), hits(true));
    assert!(without > 20_000 && with * 100 > without * 85, "{with} instead of {without} of 40000");
}

#[test]
#[cfg(feature = "alloc")]
fn a_heavier_value_makes_way_by_others() {
    let mut store = Store::<u32, u32, crate::storage::Heap>::new();
    for key in 0..20 {
        keep(&mut store, key, 1, 20);
    }
    for weight in 2..=20 {
        let gone = keep(&mut store, 7, weight, 20);
        assert!(!gone.contains(&7) && is_there(&store, 7), "of {weight}");
    }
    assert_eq!((store.len(), store.weight()), (1, 20));
}

/// All have moved their ends, and each block has a bound that says they have not.
#[test]
fn it_looks_through_few_blocks_for_one_that_has_ended() {
    let mut store = Store::<u32, u32, Inline<640>>::new();
    for key in 0..640 {
        put(&mut store, key, 10, 0, 640);
    }
    for key in 0..640 {
        let link = store.find(hash(key), |known| *known == key).unwrap();
        store.get_mut(link).unwrap().times = times(if key == 639 { 20 } else { 1_000 });
    }
    let looks = (1..100).find(|_| matches!(store.take_ended(Instant::from_nanos(20), &NOTHING), Sought::Found(_)));
    // Of twenty blocks.
    assert!(looks.is_some_and(|looks| (2..=5).contains(&looks)), "{looks:?}");
    assert!(!is_there(&store, 639));
    let nothing = [(); 5].map(|()| store.take_ended(Instant::from_nanos(20), &NOTHING));
    assert!(matches!(nothing, [.., Sought::Nothing]));
}

#[test]
#[cfg(feature = "alloc")]
fn nobody_stays_for_good_who_was_on_probation_when_the_table_grew() {
    let mut store = Store::<u32, u32, crate::storage::Heap>::new();
    for key in 0..16 {
        put(&mut store, key, u64::MAX, 0, 16);
    }
    put(&mut store, 16, u64::MAX, 0, 16);
    for key in 17..5_000 {
        if !is_there(&store, key) {
            put(&mut store, key, u64::MAX, 0, 64);
        }
        for _ in 0..3 {
            hit(&mut store, key);
        }
    }
    assert!((0..17).all(|key| !is_there(&store, key)));
}

#[test]
fn another_set_of_keys_gets_in() {
    let mut store = Store::<u32, u32, Inline<100>>::new();
    for set in 0..5 {
        let mut hits = 0;
        for _ in 0..64 {
            for key in set * 1_000..set * 1_000 + 45 {
                if hit(&mut store, key) {
                    hits += 1;
                } else {
                    put(&mut store, key, u64::MAX, 0, 100);
                }
            }
        }
        assert!(hits > 64 * 45 * 8 / 10, "{hits} of {} in set {set}", 64 * 45);
    }
}

#[test]
fn who_comes_back_soon_stays() {
    let mut store = Store::<u32, u32, Inline<100>>::new();
    for key in 0..101 {
        put(&mut store, key, u64::MAX, 0, 100);
    }
    // On probation, and out by the next but one.
    put(&mut store, 500, u64::MAX, 0, 100);
    put(&mut store, 501, u64::MAX, 0, 100);
    assert!(!is_there(&store, 500));
    put(&mut store, 500, u64::MAX, 0, 100);
    for once in 0..20 {
        put(&mut store, 1_000 + once, u64::MAX, 0, 100);
    }
    assert!(is_there(&store, 500));
}

#[test]
fn to_choose_who_goes_few_are_looked_at() {
    const ENTRIES: u32 = 20_000;
    let uses = |store: &mut Store<u32, u32, Inline<20_000>>| {
        let links = (0..20_000).filter_map(Link::new);
        let marks: std::vec::Vec<u8> = links.filter_map(|link| store.get_mut(link).map(|entry| entry.times.marks())).collect();
        marks
    };
    let mut store = std::boxed::Box::new(Store::<u32, u32, Inline<20_000>>::new());
    for key in 0..ENTRIES + 1_000 {
        put(&mut store, key, u64::MAX, 0, 20_000);
    }
    for key in 0..ENTRIES + 1_000 {
        for _ in 0..3 {
            hit(&mut store, key);
        }
    }
    let before = uses(&mut store);
    assert!(before.iter().all(|marks| marks & USES == USES));
    put(&mut store, 1_000_000, u64::MAX, 0, 20_000);
    let changed = before.iter().zip(uses(&mut store)).filter(|(before, after)| **before != *after).count();
    assert!((1..=2 * LOOKS).contains(&changed), "{changed}");
}

/// First, as popularity that shifts: each key comes twice, with a tenth of the room between. Then some stay popular, and all others come once.
#[test]
fn who_comes_is_kept_for_as_long_as_that_pays() {
    const ROOM: u32 = 1_000;
    let mut store = std::boxed::Box::new(Store::<u32, u32, Inline<1_000>>::new());
    let mut hits = 0;
    for turn in 0..20 * ROOM {
        put(&mut store, turn + ROOM / 10, u64::MAX, 0, 1_000);
        if hit(&mut store, turn) {
            hits += u32::from(turn >= 10 * ROOM);
        } else if turn >= ROOM / 10 {
            put(&mut store, turn, u64::MAX, 0, 1_000);
        }
    }
    assert!(hits > 10 * ROOM / 100 * 95, "{hits} of {}", 10 * ROOM);
    let (mut hits, mut once) = (0, 1_000_000);
    for round in 0..30 {
        for key in 500_000..500_000 + ROOM / 2 {
            if hit(&mut store, key) {
                hits += u32::from(round >= 20);
            } else {
                put(&mut store, key, u64::MAX, 0, 1_000);
            }
            once += 2;
            put(&mut store, once, u64::MAX, 0, 1_000);
            put(&mut store, once + 1, u64::MAX, 0, 1_000);
        }
    }
    assert!(hits > 5 * ROOM / 100 * 95, "{hits} of {}", 5 * ROOM);
}

#[test]
fn an_entry_takes_no_more_than_it_says() {
    const ENTRIES: usize = 1_000;
    let pairs = ENTRIES * size_of::<(u64, u64)>();
    let store = size_of::<Store<u64, u64, Inline<ENTRIES>>>();
    // But for what there is once.
    assert!(store - pairs - 24 * ENTRIES <= 192, "{} bytes", store - pairs);
    #[cfg(all(feature = "alloc", target_pointer_width = "64"))]
    assert_eq!(size_of::<slots::Slot<u64, u64, core::num::NonZeroU32>>(), 16 + 16);
}
