//! A cache with TTL: beside `quick_cache`, which has none, with and without an instant kept by hand, and moka.

use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aplomb_tokio::key::FoldHash;
use aplomb_tokio::prelude::*;
use benches::{Group, in_two_threads, poll_to_end};

const TTL: Duration = Duration::from_hours(1);

type Quick = quick_cache::sync::Cache<u64, u64>;
type QuickByHand = quick_cache::sync::Cache<u64, (Instant, u64)>;
type Moka = moka::sync::Cache<u64, u64>;
type Ours = Cache<u64, u64>;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    for (name, entries) in [
        ("cache, hit, 1,000 entries", 1_000),
        ("cache, hit, 100,000 entries", 100_000),
        ("cache, hit, 1,000,000 entries", 1_000_000),
    ] {
        hits(name, entries);
    }
    misses();
    expired();
    memoized();
    two_threads();
}

/// Keys from the whole table, in an order that no prefetcher sees through.
fn keys(entries: u64) -> impl FnMut() -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    move || random.u64(..entries)
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn hits(name: &'static str, entries: u64) {
    if !Group::is_wanted(name) {
        return;
    }
    let capacity = usize::try_from(entries).expect("a number");
    let ours: &Ours = leak(Cache::new().capacity(capacity).ttl(TTL));
    let timeless: &Ours = leak(Cache::new().capacity(capacity));
    let quick: &Quick = leak(Quick::new(capacity));
    let by_hand: &QuickByHand = leak(QuickByHand::new(capacity));
    let moka: &Moka = leak(Moka::builder().max_capacity(entries).time_to_live(TTL).build());
    for key in 0..entries {
        ours.insert(key, key);
        timeless.insert(key, key);
        quick.insert(key, key);
        by_hand.insert(key, (Instant::now() + TTL, key));
        moka.insert(key, key);
    }
    moka.run_pending_tasks();
    let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| keys(entries));
    let [mut of_moka, mut of_both] = [(); 2].map(|()| keys(entries));
    Group::new(name)
        .member("aplomb, with TTL", move || {
            let key = a();
            async move { ours.get(&key, || ready(Ok(key))).await }
        })
        .member("aplomb, without", move || {
            let key = b();
            async move { timeless.get(&key, || ready(Ok(key))).await }
        })
        .member("quick_cache, no TTL", move || ready(quick.get(&c())))
        .member("quick_cache, an instant by hand", move || ready(by_hand.get(&d()).filter(|(until, _)| Instant::now() < *until)))
        .member("moka", move || ready(moka.get(&of_moka())))
        .member("quick_cache, no TTL, and a reading of the clock", move || {
            let now = Instant::now();
            ready((quick.get(&of_both()), now))
        })
        .member("a reading of the clock", || ready(Instant::now()))
        .run();
}

fn misses() {
    let ours: &Ours = leak(Cache::new().capacity(1_000).ttl(TTL));
    let by_hand: &QuickByHand = leak(QuickByHand::new(1_000));
    let moka: &Moka = leak(Moka::builder().max_capacity(1_000).time_to_live(TTL).build());
    let new = || {
        let mut key = 0_u64;
        move || {
            key += 1;
            black_box(key)
        }
    };
    let (mut a, mut b, mut c) = (new(), new(), new());
    Group::new("cache, miss, fetch and insert, 1,000 entries")
        .member("aplomb", move || {
            let key = a();
            async move { ours.get(&key, || ready(Ok(key))).await }
        })
        .member("quick_cache, an instant by hand", move || {
            let key = b();
            if by_hand.get(&key).is_none() {
                by_hand.insert(key, (Instant::now() + TTL, key));
            }
            ready(key)
        })
        .member("moka", move || {
            let key = c();
            ready(moka.get_with(key, || key))
        })
        .run();
}

fn expired() {
    let ours: &Ours = leak(Cache::new().capacity(1_000).ttl(Duration::from_nanos(1)));
    let by_hand: &QuickByHand = leak(QuickByHand::new(1_000));
    let (mut a, mut b) = (keys(1_000), keys(1_000));
    Group::new("cache, expired, fetched anew, 1,000 entries")
        .member("aplomb", move || {
            let key = a();
            async move { ours.get(&key, || ready(Ok(key))).await }
        })
        .member("quick_cache, an instant by hand", move || {
            let key = b();
            let now = Instant::now();
            if by_hand.get(&key).is_none_or(|(until, _)| now >= until) {
                by_hand.insert(key, (now, key));
            }
            ready(key)
        })
        .run();
}

fn memoized() {
    let ours = leak(memoize(|n: u64| ready(Ok::<_, ()>(n))).capacity(1_000));
    let quick: &Quick = leak(Quick::new(1_000));
    for key in 0..1_000 {
        quick.insert(key, key);
        poll_to_end(ours.call(&key)).expect("a value");
    }
    let (mut a, mut b) = (keys(1_000), keys(1_000));
    Group::new("memoize, hit")
        .member("aplomb", move || {
            let key = a();
            async move { ours.call(&key).await }
        })
        .member("quick_cache", move || ready(quick.get(&b())))
        .run();
}

fn two_threads() {
    const ENTRIES: u64 = 100_000;
    let ours: Cache<u64, u64, Infallible, Heap, FoldHash, Heap, 8> = Cache::new().shards().capacity(100_000).ttl(TTL);
    let by_hand = QuickByHand::new(100_000);
    let moka = Moka::builder().max_capacity(ENTRIES).time_to_live(TTL).build();
    for key in 0..ENTRIES {
        ours.insert(key, key);
        by_hand.insert(key, (Instant::now() + TTL, key));
        moka.insert(key, key);
    }
    let key = || fastrand::u64(..ENTRIES);
    in_two_threads(
        "cache, hit, 100,000 entries, two threads",
        &[
            ("aplomb, 8 shards", &|| {
                let key = key();
                _ = black_box(poll_to_end(ours.get(&key, || ready(Ok(key)))));
            }),
            ("quick_cache, an instant by hand", &|| {
                _ = black_box(by_hand.get(&key()).filter(|(until, _)| Instant::now() < *until));
            }),
            ("moka", &|| _ = black_box(moka.get(&key()))),
        ],
    );
}
