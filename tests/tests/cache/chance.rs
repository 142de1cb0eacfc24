//! What is drawn: who refreshes early, and by how much a time is shortened.

use aplomb::key::FoldHash;
use aplomb::ratio::{Ratio, percent};
use aplomb::time::{ms, secs};
use aplomb::{Cache, ConfigError, Heap, Inline};

use crate::hand::{Hand, Plain, after, fails, never, now, pass, with};

/// How many of so many reads, so long before the end, would fetch anew.
fn early(cache: &Plain<u32, u32>, reads: u32) -> f64 {
    let asks = |_: &u32| now(cache.get_with_refresh(&1, never)).unwrap().refresh.is_some();
    f64::from(u32::try_from((0..reads).filter(asks).count()).unwrap()) / f64::from(reads)
}

#[test]
fn who_is_early_is_as_likely_as_xfetch_says() {
    for (beta, as_number) in [(Ratio::ONE, 1.0), (Ratio::new(2, 1), 2.0), (percent(50), 0.5)] {
        let cache = Plain::<u32, u32>::new().ttl(secs(100)).early_refresh(beta);
        assert_eq!(now(cache.get(&1, || after(secs(1), 10))), Ok(10), "it costs a second");
        assert!(early(&cache, 1_000) == 0.0, "long before the end");
        let mut left = 100.0;
        for until in [4.0, 2.0, 1.0, 0.5, 0.1] {
            pass(std::time::Duration::from_secs_f64(left - until));
            left = until;
            let (share, expected) = (early(&cache, 20_000), (-until / as_number).exp());
            assert!((share - expected).abs() < 0.012, "{until} s before the end {share} are early, not {expected}");
        }
        pass(secs(1));
        assert_eq!(cache.peek(&1), None);
    }
}

/// The machine may be suspended meanwhile: it counts as an eighth of the TTL.
#[test]
fn a_fetch_that_takes_hours_has_nobody_fetch_what_is_fresh() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60)).early_refresh(Ratio::ONE);
    assert_eq!(now(cache.get(&2, || after(secs(36_000), 2))), Ok(2));
    cache.insert(1, 10);
    assert!(early(&cache, 100) == 0.0, "it is fresh for a minute");
    pass(ms(52_500));
    let (share, expected) = (early(&cache, 20_000), (-1.0_f64).exp());
    assert!((share - expected).abs() < 0.012, "{share} are early, not {expected}");
    // Nor does one that fails, or brings what lives longer, count for more.
    for _ in 0..50 {
        assert!(
            now(cache.get(&3, || async {
                pass(secs(36_000));
                Err("down")
            }))
            .is_err()
        );
    }
    cache.insert(1, 10);
    assert!(early(&cache, 100) == 0.0);
}

/// What it would have brought, and how long that would have lived, nobody knows.
#[test]
fn a_fetch_that_fails_has_nobody_early() {
    let cache = Plain::<u32, u32>::new().ttl_by(|_, _| secs(60)).early_refresh(Ratio::ONE);
    let fail_after = |time| {
        let failed = now(cache.get(&3, || async move {
            pass(time);
            Err("down")
        }));
        assert!(failed.is_err());
    };
    fail_after(secs(36_000));
    cache.insert(1, 10);
    assert!(early(&cache, 100) == 0.0, "it is fresh for a minute");
    // Nor does one that fails at once have who fetches for a second come too late.
    assert_eq!(now(cache.get(&2, || after(secs(1), 20))), Ok(20));
    (0..50).for_each(|_| fail_after(secs(0)));
    cache.insert(1, 10);
    pass(secs(59));
    let (share, expected) = (early(&cache, 20_000), (-1.0_f64).exp());
    assert!((share - expected).abs() < 0.012, "{share} are early, not {expected}");
}

#[test]
fn a_fetch_that_costs_nothing_has_nobody_early() {
    let cache = Plain::<u32, u32>::new().ttl(secs(100)).early_refresh(Ratio::ONE);
    cache.insert(1, 10);
    pass(ms(99_999));
    assert!(early(&cache, 1_000) == 0.0, "what was put in has cost nothing");
    assert_eq!(now(cache.get(&2, with(20))), Ok(20));
    pass(ms(99_999));
    assert!(now(cache.get_with_refresh(&2, never)).unwrap().refresh.is_none());
}

#[test]
fn times_are_shortened_by_a_share_at_most_and_evenly() {
    let cache = Plain::<u32, u32>::new().ttl(secs(1)).ttl_jitter(percent(40)).capacity(4_000);
    for key in 0..4_000 {
        cache.insert(key, key);
    }
    for (at, expected) in [(600, 4_000), (700, 3_000), (800, 2_000), (900, 1_000), (1_000, 0)] {
        pass(ms(if at == 600 { 600 } else { 100 }));
        let (left, near) = (cache.iter().count(), if at == 600 || at == 1_000 { 0 } else { 150 });
        assert!(left.abs_diff(expected) <= near, "after {at} ms {left} are left");
    }
}

#[test]
fn errors_and_what_lives_for_ever_are_kept_as_long_as_it_says() {
    let cache = Plain::<u32, u32>::new().error_ttl(secs(1)).ttl_jitter(Ratio::ONE);
    for key in 0..200 {
        assert!(now(cache.get(&key, fails)).is_err());
    }
    pass(ms(999));
    assert!((0..200).all(|key| now(cache.get(&key, never)).is_err()));
    pass(ms(1));
    assert!((0..200).all(|key| now(cache.get(&key, with(key))) == Ok(key)));
}

#[test]
fn shares_that_are_none_are_refused() {
    let refused = |cache: Plain<u32, u32>| cache.check().unwrap_err();
    let cache = || Plain::<u32, u32>::new().ttl(secs(1));
    assert!(matches!(refused(cache().ttl_jitter(percent(101))), ConfigError::TtlJitter { .. }));
    assert!(matches!(refused(cache().ttl_jitter(Ratio::new(0, 0))), ConfigError::TtlJitter { .. }));
    assert!(matches!(refused(cache().early_refresh(Ratio::new(1, 0))), ConfigError::EarlyRefresh { .. }));
    assert!(matches!(refused(cache().max_weight(0)), ConfigError::MaxWeight { .. }));
    assert!(matches!(refused(cache().max_fetches(0)), ConfigError::MaxFetches { .. }));
    let ahead = refused(cache().refresh_ahead(ms(1_000)));
    assert_eq!(ahead.to_string(), "refresh_ahead is 1s, must be less than 1s, the shortest ttl");
    let jittered = refused(cache().ttl(secs(60)).refresh_ahead(secs(30)).ttl_jitter(percent(50)));
    assert_eq!(jittered, ConfigError::RefreshAhead { value: secs(30), ttl: secs(30) });
    assert!(cache().ttl(secs(60)).refresh_ahead(secs(29)).ttl_jitter(percent(50)).check().is_ok());
    assert!(cache().refresh_ahead(ms(999)).check().is_ok());
    assert!(cache().refresh_ahead(secs(9)).ttl_by(|_, _| secs(10)).check().is_ok(), "who knows how long they live");
    assert!(cache().max_waiting(0).ttl_jitter(Ratio::ONE).early_refresh(Ratio::new(9, 1)).check().is_ok());
    assert!(cache().max_fetches(usize::MAX).max_waiting(u32::MAX).check().is_ok(), "on the heap there is room");
    assert!(now(cache().max_weight(0).get(&1, never)).is_err_and(|error| error.inner().is_none()));
}

/// Each shard has room for so many.
#[test]
fn more_fetches_and_callers_than_there_is_room_for_are_refused() {
    type Placed<const SHARDS: usize> = Cache<Hand, u32, u32, &'static str, Heap, FoldHash, Inline<2>, SHARDS>;
    let cache = || -> Placed<4> { Cache::new().flight_storage().shards() };
    assert!(cache().max_fetches(8).max_waiting(8).check().is_ok());
    let refused = |cache: Placed<4>| cache.check().unwrap_err().to_string();
    assert_eq!(refused(cache().max_fetches(9)), "max_fetches is 9, must be at most 8, the number of places");
    assert_eq!(refused(cache().max_waiting(9)), "max_waiting is 9, must be at most 8, the number of places");
    let one: Placed<1> = cache().max_waiting(8).shards();
    assert_eq!(one.check().unwrap_err(), ConfigError::WaitingPlaces { value: 8, most: 2 });
}
