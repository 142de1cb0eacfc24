//! How often the clock is read, and what becomes of entries when it is set.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use aplomb::time::{ms, secs};
use aplomb::{FlightError, Ratio};

use crate::hand::{Plain, after, fails, never, now, pass, poll, readings, set_clock, with};

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
    let narrow = Plain::<u32, u32>::new().ttl(secs(60)).stale_if_error(secs(9)).max_fetches(1).max_waiting(0);
    narrow.insert(1, 10);
    let mut leads = Box::pin(narrow.get(&2, pending));
    assert!(poll(&mut leads).is_pending());
    assert_eq!(readings(|| assert!(now(narrow.get(&2, never)).is_err())), 1, "one for whom there is no room to wait");
    pass(secs(60));
    assert_eq!(readings(|| assert_eq!(now(narrow.get(&1, never)), Ok(10))), 1, "one for whom there is no room to fetch");
}

/// Nothing has been stored that could answer instead.
#[test]
fn who_is_told_of_a_failure_reads_no_clock() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60));
    assert_eq!(readings(|| assert!(now(cache.get(&1, fails)).is_err())), 1, "as of a fetch that ends well");
    let fails = Rc::new(Cell::new(false));
    let told = Rc::clone(&fails);
    let mut leads =
        Box::pin(cache.get(&1, || poll_fn(move |_| if told.get() { Poll::Ready(Err("down")) } else { Poll::Pending })));
    assert!(poll(&mut leads).is_pending());
    let mut follow: Vec<_> = (0..100).map(|_| Box::pin(cache.get(&1, never))).collect();
    assert!(follow.iter_mut().all(|follows| poll(follows).is_pending()));
    fails.set(true);
    assert_eq!(readings(|| assert!(poll(&mut leads).is_ready())), 1);
    assert_eq!(readings(|| assert!(follow.iter_mut().all(|follows| poll(follows).is_ready()))), 0);
}

#[test]
fn a_value_with_a_ttl_of_its_own_reads_the_clock_once() {
    let cache = Plain::<u32, u32>::new();
    assert_eq!(readings(|| cache.insert_with_ttl(1, 10, secs(1))), 1);
    assert_eq!(readings(|| cache.insert_with_ttl(1, 11, secs(1))), 1);
}

/// It comes back to its lock, and to the clock, after no more than 128 that are over.
#[test]
fn going_through_what_is_over_lets_others_in() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60));
    (0..1_000).for_each(|key| cache.insert(key, key));
    pass(secs(60));
    let times = readings(|| assert_eq!(cache.iter().count(), 0));
    assert!((8..=10).contains(&times), "{times}");
    cache.clear();
    let times = readings(|| assert_eq!(cache.iter().count(), 0));
    assert!((8..=10).contains(&times), "{times} through what is vacant");
}

/// It has not waited for anything: what is kept counts from when it was looked for, and ends no later than it may.
#[test]
fn a_fetch_that_is_ready_at_once_reads_the_clock_once() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60));
    assert_eq!(readings(|| assert_eq!(now(cache.get(&1, with(10))), Ok(10))), 1);
    assert_eq!(readings(|| assert_eq!(now(cache.get(&2, || after(secs(20), 20))), Ok(20))), 1, "it computes for long");
    assert_eq!(readings(|| assert_eq!(now(cache.get_with_refresh(&3, with(30))).unwrap().value, 30)), 1);
    pass(ms(39_999));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), Some(20)));
    pass(ms(1));
    assert_eq!((cache.peek(&1), cache.peek(&2), cache.peek(&3)), (None, None, Some(30)));
    assert_eq!(readings(|| assert_eq!(now(cache.get(&1, with(11))), Ok(11))), 1, "what has ended is fetched anew");
}

/// How long it took is wanted.
#[test]
fn where_fetches_are_timed_the_clock_is_read_for_their_ends() {
    let early = Plain::<u32, u32>::new().ttl(secs(60)).early_refresh(Ratio::ONE);
    assert_eq!(readings(|| assert_eq!(now(early.get(&1, || after(secs(20), 10))), Ok(10))), 3);
    pass(ms(59_999));
    assert_eq!(early.peek(&1), Some(10));
    pass(ms(1));
    assert_eq!(early.peek(&1), None);
}

#[test]
fn a_fetch_that_has_waited_reads_the_clock_for_its_end() {
    let cache = Plain::<u32, u32>::new().ttl(secs(60));
    let is_there = Rc::new(Cell::new(false));
    let told = Rc::clone(&is_there);
    let fetch = || poll_fn(move |_| if told.get() { Poll::Ready(Ok(10)) } else { Poll::Pending });
    let (mut leads, mut follows) = (Box::pin(cache.get(&1, fetch)), Box::pin(cache.get(&2, with(20))));
    let mut gone = Box::pin(cache.get(&2, pending));
    assert!(poll(&mut leads).is_pending() && poll(&mut gone).is_pending() && poll(&mut follows).is_pending());
    drop(gone);
    pass(secs(20));
    is_there.set(true);
    assert_eq!(readings(|| assert_eq!(poll(&mut leads), Poll::Ready(Ok(10)))), 1);
    assert_eq!(readings(|| assert_eq!(poll(&mut follows), Poll::Ready(Ok(20)))), 1, "ready at once, and long after it looked");
    pass(ms(59_999));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(10), Some(20)));
    pass(ms(1));
    assert_eq!((cache.peek(&1), cache.peek(&2)), (None, None));
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

/// Nobody knows how much time has passed: what has an end has ended.
#[test]
fn a_clock_that_is_set_back_keeps_nothing_longer_than_its_ttl() {
    for (later, seen) in [(secs(1_800), false), (secs(1_800), true), (ms(0), false), (ms(40), true)] {
        set_clock(3_600_000);
        let cache = Plain::<u32, u32>::new().ttl(ms(100));
        cache.insert(1, 10);
        pass(ms(50));
        assert_eq!(now(cache.get(&1, never)), Ok(10));
        set_clock(50);
        if seen {
            assert_eq!(cache.peek(&2), None);
        }
        pass(later);
        assert_eq!(now(cache.get(&1, with(11))), Ok(11), "{later:?} later");
        pass(ms(99));
        assert_eq!(now(cache.get(&1, never)), Ok(11), "it goes on from there");
        pass(ms(1));
        assert_eq!(cache.peek(&1), None);
    }
}

#[test]
fn whatever_its_end_is_by_it_has_ended_when_the_clock_was_set_back() {
    let day = secs(86_400);
    let set_back = |cache: Plain<u32, u32>| {
        set_clock(1_000_000);
        cache.insert_with_ttl(1, 10, secs(1));
        assert_eq!(now(cache.get(&1, never)), Ok(10));
        set_clock(999_999);
        cache
    };
    assert_eq!(now(set_back(Plain::new()).get(&1, with(11))), Ok(11), "a TTL of its own");
    assert_eq!(now(set_back(Plain::new().time_to_idle(secs(2))).get(&1, with(11))), Ok(11));
    assert_eq!(now(set_back(Plain::new().stale_while_revalidate(day)).get(&1, with(11))), Ok(11), "a window too");
    assert_eq!(now(set_back(Plain::new().stale_if_error(day)).get(&1, fails)), Err(FlightError::Failed("down")));
    let endless = set_back(Plain::new().stale_if_error(Duration::MAX));
    assert_eq!(endless.peek(&1), None);
    assert_eq!(now(endless.get(&1, fails)), Ok(10), "unless it has no end");
    let cache = set_back(Plain::new().error_ttl(day));
    cache.insert(2, 20);
    assert_eq!((cache.peek(&1), cache.peek(&2)), (None, Some(20)), "nor does what was kept for ever");
    assert_eq!((cache.purge_expired(), cache.len()), (1, 1), "and goes");
}

#[test]
fn what_may_idle_has_idled_too_long_when_the_clock_was_set_back() {
    set_clock(1_000_000);
    let cache = Plain::<u32, u32>::new().time_to_idle(secs(10));
    cache.insert(1, 10);
    pass(secs(9));
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    set_clock(1_000_000);
    assert_eq!(cache.peek(&1), None);
}

/// Time is not used up by it, however long what is kept may live.
#[test]
fn however_often_the_clock_is_set_back_all_that_has_an_end_has_ended() {
    let year = secs(365 * 86_400);
    let kept = [
        Plain::<u32, u32>::new().ttl(ms(100)),
        Plain::new().ttl(ms(100)).stale_while_revalidate(year * 100),
        Plain::new().ttl(ms(100)).stale_if_error(year * 500),
        Plain::new().ttl(year * 31),
        Plain::new().ttl(year * 31).ttl_jitter(Ratio::new(1, 2)),
        Plain::new().time_to_idle(year * 100),
        Plain::new().ttl(year * 31).time_to_idle(year * 500).stale_while_revalidate(year * 500),
    ];
    for (n, cache) in kept.into_iter().enumerate() {
        for times in 0..1_000 {
            set_clock(10_000_000 - u64::from(times) * 2);
            assert_eq!(now(cache.get(&1, with(times))), Ok(times), "{n}");
            assert_eq!(now(cache.get(&1, never)), Ok(times), "{n}: time goes on from there");
        }
    }
}

/// It is purged, and makes way; but for what is good for something without an end.
#[test]
fn what_has_ended_so_is_found_and_goes_first() {
    let year = secs(365 * 86_400);
    let by_ttl = Plain::<u32, u32>::new().ttl(year);
    for cache in [by_ttl, Plain::new().time_to_idle(year), Plain::new().ttl(year).stale_if_error(year)] {
        let cache = cache.capacity(100);
        set_clock(1_000_000);
        (0..100).for_each(|key| cache.insert(key, key));
        set_clock(0);
        (100..150).for_each(|key| cache.insert(key, key));
        let snapshot = cache.snapshot();
        assert_eq!((snapshot.len, snapshot.evicted, snapshot.expired), (100, 0, 50));
        assert_eq!((cache.purge_expired(), cache.len()), (50, 50));
        assert!((100..150).all(|key| cache.peek(&key) == Some(key)));
    }
    let endless = Plain::<u32, u32>::new().ttl(secs(1)).stale_while_revalidate(year).stale_if_error(Duration::MAX);
    set_clock(1_000_000);
    endless.insert(1, 10);
    set_clock(0);
    assert_eq!((endless.peek(&1), endless.purge_expired()), (None, 0), "what is endless does not end");
    assert_eq!(now(endless.get(&1, fails)), Ok(10));
}

/// A reading that was taken before another's may come after it.
#[test]
fn a_reading_that_comes_late_is_no_clock_that_was_set_back() {
    thread_local!(static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) });

    /// Its hash is asked for between the reading and the lock.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Slow(u32);

    impl Hash for Slow {
        fn hash<H: Hasher>(&self, state: &mut H) {
            if let Some(act) = MEANWHILE.take() {
                act();
            }
            self.0.hash(state);
        }
    }

    let cache = Rc::new(Plain::<Slow, u32>::new().ttl(secs(60)));
    cache.insert(Slow(1), 10);
    let other = Rc::clone(&cache);
    MEANWHILE.set(Some(Box::new(move || {
        pass(secs(30));
        assert_eq!(other.peek(&Slow(1)), Some(10));
    })));
    assert_eq!(now(cache.get(&Slow(1), never)), Ok(10));
    // Nor is less than that, which may be one.
    let nearly = crate::hand::present() - Duration::from_micros(999);
    crate::hand::set_to(nearly);
    assert_eq!(cache.peek(&Slow(1)), Some(10));
    crate::hand::set_to(nearly - Duration::from_micros(1));
    assert_eq!(cache.peek(&Slow(1)), None);
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
