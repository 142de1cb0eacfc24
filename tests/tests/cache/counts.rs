//! What is counted, and who is there.

use std::collections::BTreeMap;
use std::future::pending;
use std::task::Poll;

use aplomb::cache::{Cache, Snapshot};
use aplomb::key::FoldHash;
use aplomb::time::{ms, secs};
use aplomb::{FlightError, Heap, Inline, Storage};

use crate::hand::{Hand, Plain, fails, never, now, pass, poll, with};

/// However often its tables have grown while it was filled.
#[test]
fn what_has_ended_goes_before_what_has_not() {
    fn check<S: Storage>(entries: u32, ended: u32) {
        let cache: Cache<Hand, u32, u32, &str, S, FoldHash, Heap> = Cache::new().storage();
        let cache = cache.capacity(entries as usize).ttl(secs(1_000));
        for key in 0..entries {
            cache.insert_with_ttl(key, key, if key < entries - ended { secs(1_000) } else { secs(1) });
        }
        pass(secs(2));
        for key in 0..ended / 2 {
            cache.insert(1_000_000 + key, key);
        }
        let told = cache.snapshot();
        assert_eq!((told.evicted, told.expired), (0, u64::from(ended / 2)), "of {entries}");
    }
    for entries in [17, 33, 100, 1_000, 5_000] {
        check::<Heap>(entries, entries / 5);
        check::<Heap>(entries, entries - 1);
    }
    check::<Inline<1_000>>(1_000, 200);
}

/// Of those who are read, by whatever way, and of those who come once.
#[test]
fn what_is_read_stays_though_many_come_once() {
    let caches = [
        Plain::<u32, u32>::new(),
        Plain::new().time_to_idle(secs(1_000)),
        Plain::new().ttl(secs(1_000)).refresh_ahead(secs(999)),
        Plain::new().ttl(secs(1)).stale_while_revalidate(secs(1_000)),
        Plain::new().ttl(secs(1)).stale_if_error(secs(1_000)),
    ];
    for (n, cache) in caches.into_iter().enumerate() {
        let cache = cache.capacity(100);
        (0..100).for_each(|key| cache.insert(key, key));
        pass(secs(10));
        for round in 0..50 {
            for key in 0..50 {
                assert_eq!(now(cache.get(&key, fails)), Ok(key), "{n}, in round {round}");
            }
            for once in 0..200 {
                cache.insert(1_000 + round * 200 + once, 0);
            }
        }
    }
}

/// Though it is not found as one, since reads have moved the ends of all that are looked at for that.
#[test]
fn what_makes_room_after_its_end_has_expired() {
    let cache = Plain::<u32, u32>::new().capacity(4_000).time_to_idle(ms(10));
    (0..4_100).for_each(|key| cache.insert(key, key));
    pass(ms(9));
    let there: Vec<u32> = cache.iter().map(|(key, _)| key).filter(|key| *key >= 90).collect();
    assert!(there.iter().all(|key| now(cache.get(key, never)) == Ok(*key)));
    pass(ms(6));
    let before = cache.snapshot();
    cache.insert(5_000, 5_000);
    let after = cache.snapshot();
    assert!(there.iter().all(|key| cache.peek(key).is_some()), "one that has ended went");
    assert_eq!((before.expired, before.evicted, after.expired, after.evicted), (0, 100, 1, 100));
}

#[test]
fn limits_are_shared_out_among_shards() {
    let cache: Plain<u32, u32, 4> = Cache::new().shards().max_fetches(8).max_waiting(4);
    let keys: Vec<u32> = (0..200).collect();
    let mut lead: Vec<_> = keys.iter().map(|key| Box::pin(cache.get(key, pending))).collect();
    let (fetching, refused): (Vec<_>, Vec<_>) = lead.iter_mut().map(poll).partition(Poll::is_pending);
    assert_eq!((fetching.len(), refused.len()), (8, 192));
    assert!(refused.iter().all(|refused| *refused == Poll::Ready(Err(FlightError::Full { capacity: 8 }))));
    let mut follow: Vec<_> = keys.iter().chain(&keys).map(|key| Box::pin(cache.get(key, never))).collect();
    let waiting = follow.iter_mut().map(poll).filter(Poll::is_pending).count();
    assert_eq!((waiting, cache.snapshot().fetching, cache.snapshot().waiting), (4, 8, 4));
}

/// It is not kept, and so needs no room.
#[test]
fn what_was_invalidated_while_it_was_fetched_drives_nobody_out() {
    let cache = Plain::<u32, u32>::new().max_weight(10).weigh_by(|_, value| *value);
    cache.insert(2, 8);
    let fetched = std::cell::Cell::new(false);
    let fetch = || std::future::poll_fn(|_| if fetched.get() { Poll::Ready(Ok(5)) } else { Poll::Pending });
    let mut leads = Box::pin(cache.get(&1, fetch));
    assert!(poll(&mut leads).is_pending());
    cache.invalidate(&1);
    fetched.set(true);
    assert_eq!(poll(&mut leads), Poll::Ready(Ok(5)));
    assert_eq!((cache.peek(&1), cache.peek(&2), cache.snapshot().evicted), (None, Some(8), 0));
}

/// Though it weighs more than the value that stays.
#[test]
fn an_error_in_whose_place_a_value_answers_drives_nobody_out() {
    let cache = Plain::<u32, u32>::new().max_weight(10).weigh_by(|_, value| *value).error_ttl(secs(1)).stale_if_error(secs(9));
    cache.insert_with_ttl(1, 0, secs(1));
    pass(secs(1));
    cache.insert(2, 10);
    assert_eq!(now(cache.get(&1, fails)), Ok(0));
    assert_eq!((cache.peek(&2), cache.snapshot().evicted), (Some(10), 0));
}

#[test]
fn everything_is_counted_once() {
    let cache = Plain::<u32, u32>::new().ttl(secs(1)).stale_while_revalidate(secs(1)).error_ttl(secs(1)).capacity(2);
    assert_eq!(cache.snapshot(), Snapshot::default());
    // A miss that fetches, and one that shares it.
    let mut leads = Box::pin(cache.get(&1, pending));
    let mut follows = Box::pin(cache.get(&1, with(10)));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    let told = cache.snapshot();
    assert_eq!((told.len, told.fetching, told.waiting, told.misses, told.fetches), (0, 1, 1, 2, 1));
    drop(leads);
    assert_eq!(cache.snapshot().waiting, 0, "it has been told to fetch");
    assert_eq!(now(follows), Ok(10));
    let told = cache.snapshot();
    assert_eq!((told.len, told.weight, told.fetching, told.misses, told.fetches, told.errors), (1, 1, 0, 2, 1, 0));
    // Hits; a look is none.
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert_eq!(cache.peek(&1), Some(10));
    assert!(now(cache.get(&2, fails)).is_err());
    assert!(now(cache.get(&2, never)).is_err());
    let told = cache.snapshot();
    assert_eq!((told.len, told.hits, told.misses, told.fetches, told.errors), (2, 2, 3, 2, 1));
    // Past its end.
    pass(secs(1));
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    let told = cache.snapshot();
    assert_eq!((told.hits, told.stale, told.expired, told.evicted), (2, 1, 0, 0));
    assert_eq!(told.hit_ratio(), 500_000, "three of six");
    // What has ended makes room first, or is replaced.
    cache.insert(3, 30);
    let told = cache.snapshot();
    assert_eq!((told.len, told.expired, told.evicted), (2, 1, 0));
    cache.insert(1, 11);
    assert_eq!(cache.snapshot().expired, 2);
    cache.insert(1, 12);
    cache.insert(4, 40);
    let told = cache.snapshot();
    assert_eq!((told.len, told.expired, told.evicted), (2, 2, 1));
    cache.clear();
    let told = cache.snapshot();
    assert_eq!((told.len, told.weight, told.evicted), (0, 0, 1));
}

#[test]
fn what_is_refreshed_counts_as_a_fetch_and_no_miss() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    cache.insert(1, 10);
    pass(secs(1));
    let read = now(cache.get_with_refresh(&1, with(11))).unwrap();
    assert_eq!(cache.snapshot().fetching, 1);
    assert_eq!(now(read.refresh.unwrap()), Ok(11));
    let told = cache.snapshot();
    assert_eq!((told.hits, told.misses, told.fetches, told.fetching, told.expired), (1, 0, 1, 0, 0));
}

#[test]
fn those_that_have_ended_are_purged_and_no_others() {
    let cache: Plain<u32, u32, 4> = Cache::new().shards().ttl(secs(10)).stale_while_revalidate(secs(5));
    for key in 0..1_000 {
        cache.insert(key, key);
    }
    pass(secs(10));
    for key in 1_000..1_100 {
        cache.insert(key, key);
    }
    cache.insert_with_ttl(0, 7, secs(20));
    assert_eq!(cache.purge_expired(), 0, "they are served yet");
    pass(secs(5));
    assert_eq!((cache.purge_expired(), cache.len(), cache.snapshot().expired), (999, 101, 1_000));
    assert_eq!((cache.purge_expired(), cache.peek(&0), cache.peek(&1_000)), (0, Some(7), Some(1_000)));
    assert_eq!(Plain::<u32, u32>::new().purge_expired(), 0);
}

#[test]
fn what_waits_for_a_refresher_is_counted() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    for key in 0..3 {
        cache.insert(key, key);
    }
    pass(secs(2));
    for key in [0, 1, 2, 1] {
        assert_eq!(now(cache.get(&key, never)), Ok(key));
    }
    assert_eq!(cache.snapshot().queued, 3);
    assert!(poll(&mut Box::pin(cache.run(|key| async move { Ok(key + 10) }))).is_pending());
    assert_eq!((cache.snapshot().queued, cache.peek(&2)), (0, Some(12)));
}

#[test]
fn weights_are_those_of_what_is_there() {
    let cache = Plain::<u32, u32>::new().max_weight(100).weigh_by(|key, value| key + value);
    cache.insert(1, 9);
    assert_eq!(cache.snapshot().weight, 10);
    cache.insert(1, 29);
    assert_eq!(cache.snapshot().weight, 30);
    cache.insert(2, 68);
    assert_eq!((cache.snapshot().weight, cache.len()), (100, 2));
    cache.insert(3, 7);
    let told = cache.snapshot();
    assert!(told.weight <= 100 && told.evicted == 1 && cache.peek(&3) == Some(7));
    assert_eq!(cache.invalidate(&3), Some(7));
    assert_eq!(cache.snapshot().weight, told.weight - 10);
    assert!(now(cache.get(&0, fails)).is_err());
    cache.insert(5, 1_000);
    assert_eq!(cache.snapshot().weight, told.weight - 10, "too heavy for all together, it drives nobody out");
}

#[test]
fn those_are_gone_through_that_would_be_served() {
    let cache: Plain<u32, u32, 4> = Cache::new().shards().ttl(secs(1)).error_ttl(secs(9)).stale_while_revalidate(secs(1));
    for key in 0..50 {
        cache.insert(key, key * key);
    }
    assert!(now(cache.get(&100, fails)).is_err());
    cache.insert_with_ttl(101, 1, secs(9));
    let found: BTreeMap<u32, u32> = cache.iter().collect();
    assert_eq!((found.len(), found[&7], found[&101]), (51, 49, 1));
    assert_eq!((&cache).into_iter().count(), 51);
    pass(secs(1));
    assert_eq!(cache.iter().count(), 51, "stale");
    pass(secs(1));
    assert_eq!(cache.iter().collect::<Vec<_>>(), [(101, 1)]);
    assert_eq!(cache.len(), 52, "the others are not taken out yet");
    assert!(format!("{:?} {:?}", cache, cache.iter()).contains("len: 52"));
}

#[test]
fn what_is_there_all_the_time_comes_once() {
    let cache: Plain<u32, u32, 4> = Cache::new().shards();
    for key in 0..40 {
        cache.insert(key, 0);
    }
    let mut seen = BTreeMap::new();
    for (nth, (key, _)) in (0..).zip(cache.iter()) {
        *seen.entry(key).or_insert(0) += 1;
        cache.insert(1_000 + nth, 1);
        cache.invalidate(&(1_000 + nth));
        cache.insert(key, 2);
        assert!(nth < 200, "it comes to an end");
    }
    assert!((0..40).all(|key| seen[&key] == 1), "{seen:?}");
}

#[test]
fn what_is_taken_out_comes_back() {
    let cache = Plain::<u32, u32>::new().ttl(secs(1)).error_ttl(secs(1));
    cache.insert(1, 10);
    pass(ms(1_500));
    assert_eq!(cache.invalidate(&1), Some(10), "though it had ended");
    assert_eq!(cache.invalidate(&1), None);
    assert!(now(cache.get(&2, fails)).is_err());
    assert_eq!((cache.len(), cache.invalidate(&2), cache.len()), (1, None, 0));
}

#[test]
fn those_are_taken_out_of_which_it_is_true() {
    let cache: Plain<u32, u32, 4> = Cache::new().shards();
    for key in 0..100 {
        cache.insert(key, key + 1);
    }
    assert_eq!(
        cache.invalidate_if(|key, value| {
            assert_eq!(key + 1, *value);
            key % 3 == 0
        }),
        34
    );
    assert_eq!((cache.len(), cache.peek(&3), cache.peek(&4)), (66, None, Some(5)));
    let mut fetching = Box::pin(cache.get(&3, pending));
    assert!(poll(&mut fetching).is_pending());
    assert_eq!(cache.invalidate_if(|_, _| false), 0);
    assert!(!cache.is_empty());
    let mut alone = Box::pin(cache.get(&3, with(4)));
    assert_eq!(poll(&mut alone), std::task::Poll::Ready(Ok(4)), "it does not wait for a fetch from before");
}

#[test]
fn errors_that_are_kept_are_taken_out_by_what_they_are() {
    let cache = Plain::<u32, u32>::new().error_ttl(secs(60));
    cache.insert(1, 10);
    for key in 2..=4 {
        assert!(now(cache.get(&key, fails)).is_err());
    }
    assert_eq!((cache.invalidate_if(|_, _| true), cache.len()), (1, 3), "an error is no value");
    cache.insert(1, 10);
    assert_eq!(cache.invalidate_errors_if(|key, error| *key != 3 && *error == "down"), 2);
    assert_eq!((cache.peek(&1), cache.len()), (Some(10), 2), "a value is no error");
    assert!(now(cache.get(&3, never)).is_err());
    let mut fetching = Box::pin(cache.get(&5, pending));
    assert!(poll(&mut fetching).is_pending());
    assert_eq!(cache.invalidate_errors_if(|_, _| false), 0);
    let mut anew = Box::pin(cache.get(&5, with(50)));
    assert_eq!(poll(&mut anew), std::task::Poll::Ready(Ok(50)), "what is under way is not joined any more");
}
