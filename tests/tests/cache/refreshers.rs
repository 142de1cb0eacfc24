//! Those who refresh: readers that are handed a refresh, and refreshers that come and go.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aplomb::key::FoldHash;
use aplomb::time::secs;
use aplomb::{Cache, ConfigError, FlightError, Heap, Inline};

use crate::hand::{Hand, Plain, Wakes, fails, never, now, pass, poll, with};

/// Key 1 with value 10, due since just now.
fn due() -> Plain {
    let cache = Plain::new().ttl(secs(9)).refresh_ahead(secs(8));
    cache.insert(1, 10);
    pass(secs(1));
    cache
}

fn poll_by<F: Future>(future: &mut Pin<Box<F>>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

#[test]
fn a_refresh_is_handed_to_one_reader() {
    let cache = due();
    let read = now(cache.get_with_refresh(&1, with(11))).unwrap();
    assert_eq!(read.value, 10);
    let other = now(cache.get_with_refresh(&1, with(12))).unwrap();
    assert!(other.value == 10 && other.refresh.is_none(), "it is fetched already");
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert!(format!("{read:?}").contains("has_started: false"));
    assert_eq!(now(read.refresh.unwrap()), Ok(11));
    assert_eq!(cache.peek(&1), Some(11));
    assert!(now(cache.get_with_refresh(&1, never)).unwrap().refresh.is_none(), "it is not due");
}

/// It has a place for a fetch only until somebody needs the value.
#[test]
fn a_refresh_that_is_kept_and_not_polled_leaves_its_place_to_who_needs_the_value() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8)).max_fetches(1);
    let refresh = |value| {
        pass(secs(1));
        now(cache.get_with_refresh(&1, with(value))).unwrap().refresh.unwrap()
    };
    cache.insert(1, 10);
    let held = refresh(11);
    pass(secs(60));
    let may_end = Cell::new(false);
    let fetch = || poll_fn(|_| if may_end.get() { Poll::Ready(Ok(12)) } else { Poll::Pending });
    let mut leads = Box::pin(cache.get(&1, fetch));
    let mut follows = Box::pin(cache.get(&1, never));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    assert_eq!(now(held), Ok(11), "its caller has what it brings, and nobody else");
    assert!(poll(&mut follows).is_pending() && cache.peek(&1).is_none());
    may_end.set(true);
    assert_eq!((poll(&mut leads), poll(&mut follows)), (Poll::Ready(Ok(12)), Poll::Ready(Ok(12))));
    assert_eq!((cache.peek(&1), cache.snapshot().fetching), (Some(12), 0));
    // Nor does one that is dropped late give up who has its place.
    let held = refresh(13);
    pass(secs(60));
    let mut leads = Box::pin(cache.get(&1, pending));
    let mut follows = Box::pin(cache.get(&1, with(14)));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    drop(held);
    assert!(poll(&mut follows).is_pending());
    drop(leads);
    assert_eq!(poll(&mut follows), Poll::Ready(Ok(14)));
}

/// Nobody can need its value any more, and so take its place over.
#[test]
fn a_refresh_that_is_kept_and_not_polled_loses_its_place_with_its_key() {
    type Act = fn(&Plain);
    let takes_key: [(&str, Act); 5] = [
        ("invalidate", |cache| _ = cache.invalidate(&1)),
        ("invalidate_if", |cache| _ = cache.invalidate_if(|_, _| true)),
        ("insert", |cache| cache.insert(1, 12)),
        ("insert of what is over", |cache| cache.insert_with_ttl(1, 12, secs(0))),
        ("clear", Plain::clear),
    ];
    for (how, take_key) in takes_key {
        let cache = due().max_fetches(1);
        let mut held = Box::pin(now(cache.get_with_refresh(&1, with(11))).unwrap().refresh.unwrap());
        assert_eq!(cache.snapshot().fetching, 1, "{how}");
        take_key(&cache);
        assert_eq!(cache.snapshot().fetching, 0, "{how}");
        pass(secs(60));
        let mut leads = Box::pin(cache.get(&1, pending));
        assert!(poll(&mut leads).is_pending(), "{how}");
        assert_eq!(poll(&mut held), Poll::Ready(Ok(11)), "{how}: its caller has what it brings");
        assert_eq!((cache.peek(&1), cache.snapshot().fetching), (None, 1), "{how}: and nobody else");
    }
    // One that has begun is waited for, and has its place as long as it is under way.
    let cache = due().max_fetches(1);
    let mut held = Box::pin(now(cache.get_with_refresh(&1, pending)).unwrap().refresh.unwrap());
    assert!(poll(&mut held).is_pending());
    cache.clear();
    assert_eq!(now(cache.get(&1, never)), Err(FlightError::Full { capacity: 1 }));
}

#[test]
fn a_refresh_that_is_dropped_is_handed_to_the_next_reader() {
    let cache = due();
    assert!(now(cache.get_with_refresh(&1, with(11))).unwrap().refresh.is_some(), "and dropped before it started");
    let read = now(cache.get_with_refresh(&1, pending)).unwrap();
    let mut refresh = Box::pin(read.refresh.unwrap());
    assert!(poll(&mut refresh).is_pending());
    drop(refresh);
    assert_eq!(cache.snapshot().fetching, 0);
    let read = now(cache.get_with_refresh(&1, with(12))).unwrap();
    assert_eq!(now(read.refresh.unwrap()), Ok(12));
    assert_eq!(cache.peek(&1), Some(12));
}

#[test]
fn a_refresh_that_fails_leaves_what_is_there() {
    let cache = due();
    let read = now(cache.get_with_refresh(&1, fails)).unwrap();
    assert_eq!(now(read.refresh.unwrap()), Err("down"));
    assert_eq!((cache.peek(&1), cache.snapshot().errors), (Some(10), 1));
    assert!(now(cache.get_with_refresh(&1, fails)).unwrap().refresh.is_some());
}

#[test]
fn whoever_waits_for_a_refresh_that_is_dropped_fetches() {
    let cache = due();
    let read = now(cache.get_with_refresh(&1, pending)).unwrap();
    let mut refresh = Box::pin(read.refresh.unwrap());
    assert!(poll(&mut refresh).is_pending());
    pass(secs(8));
    let mut waits = Box::pin(cache.get(&1, with(12)));
    assert!(poll(&mut waits).is_pending(), "what there was has ended");
    drop(refresh);
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(12)));
    assert_eq!(cache.peek(&1), Some(12));
}

/// Who has it may keep it for ever.
#[test]
fn nobody_waits_for_a_refresh_that_is_not_polled() {
    let cache = due();
    let mut read = now(cache.get_with_refresh(&1, with(11))).unwrap();
    pass(secs(8));
    let mut fetches = Box::pin(cache.get(&1, pending));
    let mut follows = Box::pin(cache.get(&1, with(12)));
    assert!(poll(&mut fetches).is_pending() && poll(&mut follows).is_pending(), "one of them fetches");
    assert_eq!(now(read.refresh.take().unwrap()), Ok(11), "for itself");
    assert_eq!(cache.peek(&1), None);
    drop(fetches);
    assert_eq!(poll(&mut follows), Poll::Ready(Ok(12)));
    assert_eq!((cache.peek(&1), cache.snapshot().fetching), (Some(12), 0));
}

/// Whoever asked a refresher first: if none comes, a reader who can refreshes.
#[test]
fn a_refresh_is_handed_out_though_a_refresher_was_asked() {
    let cache = due();
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    let read = now(cache.get_with_refresh(&1, with(11))).unwrap();
    assert_eq!(now(read.refresh.unwrap()), Ok(11));
    let mut refresher = Box::pin(cache.run(|_| never::<u32>()));
    assert!(poll(&mut refresher).is_pending(), "it is not due any more");
}

#[test]
fn a_refresher_that_comes_later_finds_what_is_due() {
    let cache = due();
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    let mut refresher = Box::pin(cache.run(|key| with(key + 10)()));
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(cache.peek(&1), Some(11));
}

#[test]
fn another_one_takes_over_whatever_a_refresher_was_at_when_it_was_dropped() {
    for stage in ["waiting", "told", "fetching"] {
        let cache = due();
        let fetched = RefCell::new(Vec::new());
        let [first, second] = [(); 2].map(|()| Arc::<Wakes>::default());
        let mut one = Box::pin(cache.run(|_| pending()));
        let mut two = Box::pin(cache.run(|key| {
            fetched.borrow_mut().push(key);
            with(key + 20)()
        }));
        assert!(poll_by(&mut one, &first).is_pending() && poll_by(&mut two, &second).is_pending());
        assert!(format!("{one:?}").contains("waiting"));
        if stage == "waiting" {
            drop(one);
            assert_eq!(now(cache.get(&1, never)), Ok(10));
        } else {
            assert_eq!(now(cache.get(&1, never)), Ok(10));
            assert_eq!((first.count(), second.count()), (1, 0), "who came first is told");
            if stage == "fetching" {
                assert!(poll_by(&mut one, &first).is_pending());
                assert!(cache.snapshot().fetching == 1 && format!("{one:?}").contains("leading"));
            }
            drop(one);
            if stage == "fetching" {
                assert_eq!((second.count(), cache.snapshot().fetching), (0, 0), "it is due, and nobody has asked yet");
                assert_eq!(now(cache.get(&1, never)), Ok(10));
            }
        }
        assert_eq!(second.count(), 1, "{stage}");
        assert!(poll_by(&mut two, &second).is_pending());
        assert_eq!((fetched.take(), cache.peek(&1)), (vec![1], Some(21)), "{stage}");
    }
}

#[test]
fn several_refreshers_fetch_several_keys_at_once_and_each_once() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    let (ready, fetched) = (Cell::new(false), RefCell::new(Vec::new()));
    let fetch = |key: u32| {
        fetched.borrow_mut().push(key);
        poll_fn(|_| if ready.get() { Poll::Ready(Ok(0)) } else { Poll::Pending })
    };
    let mut refreshers: Vec<_> = (0..3).map(|_| Box::pin(cache.run(fetch))).collect();
    for key in 0..5 {
        cache.insert(key, 1);
    }
    pass(secs(1));
    for _ in 0..2 {
        for key in 0..5 {
            assert_eq!(now(cache.get(&key, never)), Ok(1));
        }
        assert!(refreshers.iter_mut().all(|refresher| poll(refresher).is_pending()));
    }
    assert_eq!((&*fetched.borrow(), cache.snapshot().fetching), (&vec![0, 1, 2], 3));
    ready.set(true);
    assert!(refreshers.iter_mut().all(|refresher| poll(refresher).is_pending()));
    assert_eq!(*fetched.borrow(), [0, 1, 2, 3, 4]);
    assert!((0..5).all(|key| cache.peek(&key) == Some(0)));
}

#[test]
fn a_refresher_finds_no_free_fetch_and_the_next_reader_asks_again() {
    let cache = due().max_fetches(1);
    let mut refresher = Box::pin(cache.run(|key| with(key + 10)()));
    assert!(poll(&mut refresher).is_pending());
    let mut fetching = Box::pin(cache.get(&2, pending));
    assert!(poll(&mut fetching).is_pending());
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert!(poll(&mut refresher).is_pending());
    drop(fetching);
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(cache.peek(&1), Some(11));
}

/// So many in one poll, and then it lets others run.
#[test]
fn all_that_is_due_is_fetched_whenever_others_let_it_run() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    let fetched = Cell::new(0);
    let mut refresher = Box::pin(cache.run(|_| {
        fetched.set(fetched.get() + 1);
        with(0)()
    }));
    (0..100).for_each(|key| cache.insert(key, 1));
    pass(secs(1));
    (0..100).for_each(|key| assert_eq!(now(cache.get(&key, never)), Ok(1)));
    let wakes = Arc::<Wakes>::default();
    let mut polls = 0;
    loop {
        assert!(poll_by(&mut refresher, &wakes).is_pending());
        polls += 1;
        if wakes.count() < polls {
            break;
        }
    }
    assert_eq!((fetched.get(), polls), (100, 4));
}

/// Keys that find no room in the queue are asked for again when they are read.
#[test]
fn as_many_are_queued_as_there_is_room_for() {
    let cache: Cache<Hand, u32, u32, &str, Heap, FoldHash, Inline<2>> =
        Cache::new().flight_storage().ttl(secs(9)).refresh_ahead(secs(8));
    let fetched = RefCell::new(Vec::new());
    let mut refresher = Box::pin(cache.run(|key| {
        fetched.borrow_mut().push(key);
        with(0)()
    }));
    for key in 0..5 {
        cache.insert(key, 1);
    }
    pass(secs(1));
    for expected in [vec![0, 1], vec![2, 3], vec![4]] {
        for key in 0..5 {
            assert!(now(cache.get(&key, never)).is_ok());
        }
        assert!(poll(&mut refresher).is_pending());
        assert_eq!(fetched.take(), expected);
    }
}

/// A key that counts how often it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hashed(u32);

thread_local! {
    static HASHES: Cell<usize> = const { Cell::new(0) };
}

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        HASHES.set(HASHES.get() + 1);
        self.0.hash(state);
    }
}

/// Without a refresher keys come into the queue again and again, as entries end and are fetched anew. Of each that comes out the hash is needed.
#[test]
fn the_queue_is_no_longer_than_the_cache_may_be() {
    let cache = Plain::<Hashed, u32>::new().capacity(3).ttl(secs(2)).refresh_ahead(secs(1));
    let read = || (0..3).for_each(|key| assert_eq!(now(cache.get(&Hashed(key), with(1))), Ok(1)));
    for _ in 0..100 {
        read();
        pass(secs(1));
        read();
        pass(secs(1));
    }
    let fetched = RefCell::new(Vec::new());
    let mut refresher = Box::pin(cache.run(|key: Hashed| {
        fetched.borrow_mut().push(key.0);
        with(1)()
    }));
    let before = HASHES.get();
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(HASHES.get() - before, 3);
    read();
    pass(secs(1));
    read();
    fetched.borrow_mut().clear();
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(*fetched.borrow(), [0, 1, 2], "what was left in it keeps nobody out");
}

#[test]
fn one_refresher_more_than_can_wait_ends() {
    let cache: Cache<Hand, u32, u32, &str, Heap, FoldHash, Inline<1>> = Cache::new().flight_storage();
    let mut waits = Box::pin(cache.run(|_| never()));
    assert!(poll(&mut waits).is_pending());
    let mut more = Box::pin(cache.run(|_| never()));
    assert_eq!(poll(&mut more), Poll::Ready(FlightError::QueueFull { waiting: 1 }));
    assert!(poll(&mut more).is_pending(), "it has ended");
    drop(waits);
    assert!(poll(&mut more).is_pending(), "it has ended");
    assert!(poll(&mut Box::pin(cache.run(|_| never()))).is_pending());
    let config = ConfigError::MaxFetches { value: 0, most: usize::MAX };
    assert_eq!(now(Plain::<u32, u32>::new().max_fetches(0).run(|_| never())), FlightError::Config(config));
}

#[test]
fn one_that_has_fetched_ends_if_another_one_has_taken_the_only_place_to_wait() {
    let cache: Cache<Hand, u32, u32, &str, Heap, FoldHash, Inline<1>> = Cache::new().flight_storage();
    let cache = cache.ttl(secs(1)).stale_while_revalidate(secs(9));
    cache.insert(1, 10);
    pass(secs(2));
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    let is_ready = &Cell::new(false);
    let fetch = |_| poll_fn(move |_| if is_ready.get() { Poll::Ready(Ok(11)) } else { Poll::Pending });
    let (mut fetches, mut waits) = (Box::pin(cache.run(fetch)), Box::pin(cache.run(fetch)));
    assert!(poll(&mut fetches).is_pending() && poll(&mut waits).is_pending());
    is_ready.set(true);
    assert_eq!(poll(&mut fetches), Poll::Ready(FlightError::QueueFull { waiting: 1 }));
    assert_eq!(cache.peek(&1), Some(11));
}
