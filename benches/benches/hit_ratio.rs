//! How much of what is asked for is there: beside `quick_cache` and moka, on traces of which nobody knows what comes. Prints hundredths; the same in each run, but for moka's seed.

use std::future::ready;

use aplomb_tokio::prelude::*;

const RANKS: u32 = 100_000;
const KEYS: u64 = RANKS as u64;
const REQUESTS: usize = 1_000_000;
const CAPACITIES: [usize; 3] = [1_000, 5_000, 20_000];

fn main() {
    let traces: [(&str, Vec<u64>); 7] = [
        ("zipf 0.7", trace(0.7, Mix::Alone)),
        ("zipf 0.9", trace(0.9, Mix::Alone)),
        ("zipf 1.1", trace(1.1, Mix::Alone)),
        ("zipf 0.9, 25 % once", trace(0.9, Mix::Scanned)),
        ("zipf 0.9, shifting", trace(0.9, Mix::Shifting)),
        ("another set at a time", another_set()),
        ("in turns", (0..REQUESTS as u64 * 2).map(|at| at % 30_000).collect()),
    ];
    println!(
        "{:<22} {:>8} {:>9} {:>12} {:>8} {:>10}",
        "100,000 keys", "capacity", "aplomb", "quick_cache", "moka", "beside best"
    );
    for (name, trace) in &traces {
        for capacity in CAPACITIES {
            let ratios = [ours(trace, capacity), quick_cache(trace, capacity), moka(trace, capacity)];
            let [a, b, c] = ratios;
            println!("{name:<22} {capacity:>8} {a:>9.1} {b:>12.1} {c:>8.1} {:>+11.1}", a - b.max(c));
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
            keys[(rank + shift) % keys.len()]
        })
        .collect()
}

/// 400 keys in turns, 64 times; then as many others.
fn another_set() -> Vec<u64> {
    (0..REQUESTS as u64 * 2).map(|at| at / (400 * 64) * 400 + at % 400).collect()
}
