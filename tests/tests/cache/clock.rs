//! How often the clock is read, and what becomes of entries when it is set.

use std::future::pending;

use aplomb::time::{ms, secs};

use crate::hand::{Plain, never, now, pass, poll, readings, set_clock, with};

#[test]
fn where_nothing_gets_old_no_clock_is_read() {
    let cache = Plain::<u32, u32>::new().capacity(4);
    let read = readings(|| {
        cache.insert(1, 10);
        assert_eq!(now(cache.get(&1, never)), Ok(10));
        assert_eq!(now(cache.get(&2, with(20))), Ok(20));
        let mut fetching = Box::pin(cache.get(&3, pending));
        assert!(poll(&mut fetching).is_pending());
        assert_eq!(cache.peek(&2), Some(20));
        assert_eq!(cache.iter().count(), 2);
        assert_eq!(cache.invalidate(&2), Some(20));
        assert_eq!(cache.invalidate_if(|_, _| true), 1);
        cache.clear();
    });
    assert_eq!(read, 0);
}

#[test]
fn each_poll_reads_the_clock_once() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60)).time_to_idle(secs(50)).refresh_ahead(secs(20)).stale_if_error(secs(9));
    assert_eq!(readings(|| cache.insert(1, 10)), 1);
    assert_eq!(readings(|| assert_eq!(now(cache.get(&1, never)), Ok(10))), 1, "a hit");
    assert_eq!(readings(|| assert_eq!(cache.peek(&1), Some(10))), 1, "a look");
    let mut leads = Box::pin(cache.get(&2, pending));
    assert_eq!(readings(|| assert!(poll(&mut leads).is_pending())), 1, "one who comes to fetch");
    let mut follows = Box::pin(cache.get(&2, pending));
    assert_eq!(readings(|| assert!(poll(&mut follows).is_pending())), 1, "one who comes to wait");
    assert_eq!(readings(|| assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending())), 0, "who has come");
    assert_eq!(readings(|| assert_eq!(cache.invalidate(&1), Some(10))), 0);
}

/// It began and ended in one poll; between the two, time may have passed.
#[test]
fn a_fetch_that_ends_reads_the_clock_for_its_end() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60));
    assert_eq!(readings(|| assert_eq!(now(cache.get(&1, with(10))), Ok(10))), 2);
}

/// Though nothing gets old by the settings.
#[test]
fn a_ttl_of_its_own_holds_in_a_cache_without_one() {
    set_clock(5_000);
    let cache = Plain::<u32, u32>::new();
    cache.insert(1, 10);
    cache.insert_with_ttl(2, 20, secs(60));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), Some(20)));
    pass(ms(59_999));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), Some(20)));
    pass(ms(1));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), None));
    assert_eq!(now(cache.get(&2, with(21))), Ok(21), "for ever again");
    pass(secs(1_000_000_000));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), Some(21)));
}

#[test]
fn a_ttl_of_its_own_comes_before_that_of_all_and_that_of_the_value() {
    let cache = Plain::<u32, u32>::new().ttl(secs(1)).ttl_by(|_, value| secs((*value).into()));
    cache.insert_with_ttl(1, 50, secs(10));
    cache.insert(2, 20);
    pass(secs(10));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (None, Some(20)));
    pass(secs(10));
    assert_eq!(cache.peek(&2), None);
}

/// A clock that is set back is no time: from when it is noticed an entry has what it had left, and no more.
#[test]
fn a_clock_that_is_set_back_keeps_nothing_longer_than_its_ttl() {
    set_clock(3_600_000);
    let cache = Plain::<u32, u32>::new().ttl(ms(100));
    cache.insert(1, 10);
    pass(ms(60));
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    set_clock(0);
    assert_eq!(now(cache.get(&1, never)), Ok(10), "no time has passed");
    set_clock(39);
    assert_eq!(cache.peek(&1), Some(10));
    set_clock(40);
    assert_eq!(cache.peek(&1), None);
    set_clock(1_800_000);
    assert_eq!(now(cache.get(&1, with(11))), Ok(11), "half an hour later");
}

#[test]
fn entries_outlive_no_end_of_time() {
    set_clock(u64::MAX / 1_000_000 - 10);
    let cache = Plain::<u32, u32>::new().ttl(secs(60)).stale_if_error(secs(60));
    cache.insert(1, 10);
    assert_eq!(cache.peek(&1), Some(10));
    pass(secs(60));
    assert_eq!(cache.peek(&1), None, "it is never, and all is over");
}
