//! How much of what is asked for is there: beside `quick_cache` and moka, on traces of which nobody knows what comes. Prints hundredths; the same in each run, but for the seeds by which moka, and our cache on a server, hash.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;

use aplomb_tokio::prelude::*;

const RANKS: u32 = 100_000;
const KEYS: u64 = RANKS as u64;
const REQUESTS: usize = 1_000_000;
const CAPACITIES: [usize; 3] = [1_000, 5_000, 20_000];

fn main() {
    let traces: [(&str, Vec<u64>); 15] = [
        ("zipf 0.7", trace(0.7, Mix::Alone)),
        ("zipf 0.9", trace(0.9, Mix::Alone)),
        ("zipf 1.1", trace(1.1, Mix::Alone)),
        ("zipf 0.7, 25 % once", trace(0.7, Mix::Scanned)),
        ("zipf 0.9, 25 % once", trace(0.9, Mix::Scanned)),
        ("zipf 1.1, 25 % once", trace(1.1, Mix::Scanned)),
        ("zipf 0.9, shifting", trace(0.9, Mix::Shifting)),
        ("renewed each 10,000", trace(0.9, Mix::Renewed(10_000))),
        ("renewed each 50,000", trace(0.9, Mix::Renewed(50_000))),
        ("renewed each 200,000", trace(0.9, Mix::Renewed(200_000))),
        ("drifting", trace(0.9, Mix::Drifting)),
        ("twice, 200 apart", twice(200)),
        ("twice, 2,000 apart", twice(2_000)),
        ("another set at a time", another_set()),
        ("in turns", (0..REQUESTS as u64 * 2).map(|at| at % 30_000).collect()),
    ];
    println!(
        "{:<22} {:>8} {:>9} {:>12} {:>8} {:>8} {:>12}",
        "100,000 keys", "capacity", "aplomb", "quick_cache", "moka", "LRU", "beside best"
    );
    for (name, trace) in &traces {
        for capacity in CAPACITIES {
            let ratios = [ours(trace, capacity), quick_cache(trace, capacity), moka(trace, capacity), lru(trace, capacity)];
            let [a, b, c, d] = ratios;
            println!("{name:<22} {capacity:>8} {a:>9.1} {b:>12.1} {c:>8.1} {d:>8.1} {:>+12.1}", a - b.max(c));
        }
    }
}

fn ours(trace: &[u64], capacity: usize) -> f64 {
    let cache: Cache<u64, u64> = Cache::new().capacity(capacity);
    ratio(trace, |key| {
        let misses = cache.snapshot().misses;
        benches::poll_to_end(cache.get(&key, || ready(Ok(key)))).is_ok_and(|_| cache.snapshot().misses == misses)
    })
}

fn quick_cache(trace: &[u64], capacity: usize) -> f64 {
    // One shard, as ours: several are each the worse for it.
    let mut cache = quick_cache::unsync::Cache::<u64, u64>::new(capacity);
    ratio(trace, |key| {
        let is_there = cache.get(&key).is_some();
        if !is_there {
            cache.insert(key, key);
        }
        is_there
    })
}

fn moka(trace: &[u64], capacity: usize) -> f64 {
    let cache = moka::sync::Cache::<u64, u64>::new(capacity as u64);
    let mut requests = 0_u32;
    ratio(trace, |key| {
        requests += 1;
        if requests.is_multiple_of(64) {
            // Kinder than life, where that lags behind.
            cache.run_pending_tasks();
        }
        let is_there = cache.get(&key).is_some();
        if !is_there {
            cache.insert(key, key);
        }
        is_there
    })
}

/// What was used longest ago goes: hard to beat where popularity shifts, and poor where it does not.
fn lru(trace: &[u64], capacity: usize) -> f64 {
    let (mut used_at, mut by_use) = (HashMap::new(), BTreeMap::new());
    let mut now = 0_u64;
    ratio(trace, |key| {
        now += 1;
        by_use.insert(now, key);
        let before = used_at.insert(key, now);
        if let Some(before) = before {
            by_use.remove(&before);
        } else if used_at.len() > capacity
            && let Some((_, oldest)) = by_use.pop_first()
        {
            used_at.remove(&oldest);
        }
        before.is_some()
    })
}

/// Of the second half.
fn ratio(trace: &[u64], mut is_hit: impl FnMut(u64) -> bool) -> f64 {
    let (warming, counted) = trace.split_at(trace.len() / 2);
    for key in warming {
        is_hit(*key);
    }
    let hits = counted.iter().filter(|key| is_hit(**key)).count();
    let [hits, all] = [hits, counted.len()].map(|count| f64::from(u32::try_from(count).expect("not so many")));
    100.0 * hits / all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mix {
    Alone,
    /// Of four, one comes once only.
    Scanned,
    /// Who is popular changes, by a twentieth of the keys, every 100,000 requests.
    Shifting,
    /// Others are popular, every so many requests.
    Renewed(usize),
    /// Who is popular makes way for the next one, every 50 requests.
    Drifting,
}

fn trace(exponent: f64, mix: Mix) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(42);
    let mut sum = 0.0;
    let weights = (1..=RANKS).map(|rank| {
        sum += f64::from(rank).powf(-exponent);
        sum
    });
    let cumulated: Vec<f64> = weights.collect();
    let mut keys: Vec<u64> = (0..KEYS).collect();
    random.shuffle(&mut keys);
    let (mut once, mut shift) = (KEYS, 0);
    (0..REQUESTS * 2)
        .map(|at| {
            if mix == Mix::Scanned && random.u8(..4) == 0 {
                once += 1;
                return once;
            }
            if mix == Mix::Shifting && at % 100_000 == 0 {
                shift += keys.len() / 20;
            }
            let drawn = random.f64() * sum;
            let rank = cumulated.partition_point(|sum| *sum < drawn);
            match mix {
                Mix::Alone | Mix::Scanned | Mix::Shifting => keys[(rank + shift) % keys.len()],
                Mix::Renewed(period) => (rank * 7_919 + at / period * 31_337) as u64 % 100_003,
                Mix::Drifting => (rank + at / 50) as u64,
            }
        })
        .collect()
}

/// Each key comes twice, with others between.
fn twice(apart: u64) -> Vec<u64> {
    (0..REQUESTS as u64).flat_map(|at| [at + apart, at]).collect()
}

/// 400 keys in turns, 64 times; then as many others.
fn another_set() -> Vec<u64> {
    (0..REQUESTS as u64 * 2).map(|at| at / (400 * 64) * 400 + at % 400).collect()
}
