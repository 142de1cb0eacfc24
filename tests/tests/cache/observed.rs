//! What a cache tells its observer, and when.

use std::cell::RefCell;
use std::fmt::Write;
use std::future::{Future, pending};
use std::rc::Rc;
use std::task::Poll;

use aplomb::cache::Event;
use aplomb::key::FoldHash;
use aplomb::time::{ms, secs};
use aplomb::{Cache, Heap};

use crate::hand::{Hand, Plain, fails, never, now, panics, pass, poll, with};

type Told = RefCell<String>;

/// In words, as they come.
fn note(told: &Told, event: &Event<'_, u32, u32>) {
    let told = &mut *told.borrow_mut();
    match event {
        Event::Removed { key, value, cause } => write!(told, "{key}: {value:?} {cause:?}, "),
        event => write!(told, "{event:?}, "),
    }
    .unwrap();
}

fn take(told: &Told) -> String {
    told.take().trim_end_matches(", ").replace("0ns", "0")
}

fn observed<F: Fn(&Event<'_, u32, u32>)>(
    cache: Plain,
    tell: F,
) -> Cache<Hand, u32, u32, &'static str, Heap, FoldHash, Heap, 1, F> {
    cache.observed_by(tell)
}

/// It is stored while a caller makes a key to fetch it by.
#[test]
fn a_read_that_finds_what_has_come_meanwhile_is_told_of_as_shared() {
    thread_local!(static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) });

    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Slow(String);

    impl Clone for Slow {
        fn clone(&self) -> Self {
            if let Some(act) = MEANWHILE.take() {
                act();
            }
            Self(self.0.clone())
        }
    }

    let told = Rc::new(RefCell::new(Vec::new()));
    let tell = Rc::clone(&told);
    let cache = Plain::<Slow, u32>::new().observed_by(move |event: &Event<'_, Slow, u32>| {
        tell.borrow_mut().push(format!("{event:?}"));
    });
    let (cache, key) = (Rc::new(cache), Slow("ann".into()));
    let other = Rc::clone(&cache);
    MEANWHILE.set(Some(Box::new(move || other.insert(Slow("ann".into()), 10))));
    assert_eq!(now(cache.get(&key, never)), Ok(10));
    assert_eq!(told.take(), ["Shared"]);
}

#[test]
fn of_each_read_it_tells_how_it_was_served() {
    let told = Told::default();
    let cache = Plain::new().ttl(secs(1)).stale_while_revalidate(secs(1)).stale_if_error(secs(3)).error_ttl(ms(1)).max_waiting(1);
    let cache = observed(cache, |event: &Event<'_, u32, u32>| note(&told, event));
    let (mut leads, mut follows) = (Box::pin(cache.get(&1, pending)), Box::pin(cache.get(&1, with(10))));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending() && now(cache.get(&1, never)).is_err());
    assert_eq!(take(&told), "Missed, Shared, Rejected { reason: QueueFull { waiting: 1 } }");
    pass(ms(5));
    drop(leads);
    assert_eq!(take(&told), "HandedOver");
    assert_eq!(now(follows), Ok(10));
    assert_eq!(take(&told), "Fetched { took: 0 }");
    let alone = Box::pin(cache.get(&2, pending));
    drop(alone);
    assert_eq!(take(&told), "", "it has never been polled");
    let mut alone = Box::pin(cache.get(&2, pending));
    assert!(poll(&mut alone).is_pending());
    drop(alone);
    assert_eq!(take(&told), "Missed, Abandoned");
    assert_eq!((now(cache.get(&1, never)), cache.peek(&1)), (Ok(10), Some(10)));
    assert!(now(cache.get(&2, fails)).is_err() && now(cache.get(&2, never)).is_err());
    assert_eq!(take(&told), "Hit, Missed, Failed { took: 0 }, Hit");
    pass(ms(1_500));
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert_eq!(take(&told), "Stale");
    pass(ms(1_000));
    assert_eq!(now(cache.get(&1, fails)), Ok(10));
    assert_eq!(take(&told), "Missed, Failed { took: 0 }, StaleIfError");
    let told_of = cache.snapshot();
    assert_eq!((told_of.hits, told_of.stale, told_of.misses, told_of.stale_if_error), (2, 1, 6, 1));
}

/// It leaves before it has begun, to the next one or to nobody.
#[test]
fn of_who_leaves_when_its_turn_to_fetch_has_come_it_tells_as_of_one_who_fetches() {
    let told = Told::default();
    let cache = observed(Plain::new(), |event: &Event<'_, u32, u32>| note(&told, event));
    let mut callers = [(); 3].map(|()| Box::pin(cache.get(&1, pending)));
    assert!(callers.iter_mut().all(|caller| poll(caller).is_pending()));
    assert_eq!(take(&told), "Missed, Shared, Shared");
    callers.into_iter().for_each(drop);
    assert_eq!(take(&told), "HandedOver, HandedOver, Abandoned");
}

/// In whose place there is something to be served.
#[test]
fn of_reads_that_find_no_room_it_tells_how_they_were_served() {
    let told = Told::default();
    let cache = Plain::new().ttl(secs(1)).stale_if_error(secs(9)).max_fetches(1).max_waiting(0);
    let cache = observed(cache, |event: &Event<'_, u32, u32>| note(&told, event));
    cache.insert(1, 10);
    pass(secs(2));
    let mut fetches = Box::pin(cache.get(&2, pending));
    assert!(poll(&mut fetches).is_pending());
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert_eq!(take(&told), "Missed, StaleIfError");
    drop(fetches);
    let mut fetches = Box::pin(cache.get(&1, pending));
    assert!(poll(&mut fetches).is_pending());
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    assert_eq!(take(&told), "Abandoned, Missed, StaleIfError");
    assert!(now(cache.get(&2, never)).is_err());
    let told_of = cache.snapshot();
    assert_eq!((told_of.misses, told_of.fetches, told_of.stale_if_error), (5, 2, 2));
}

/// It leaves what is there, which nobody has asked for.
#[test]
fn of_a_refresh_that_fails_too_late_it_tells_of_nobody_who_is_answered() {
    let told = Told::default();
    let cache = Plain::new().ttl(secs(1)).stale_while_revalidate(secs(1)).stale_if_error(secs(9));
    let cache = observed(cache, |event: &Event<'_, u32, u32>| note(&told, event));
    cache.insert(1, 10);
    pass(ms(1_500));
    let refresh = now(cache.get_with_refresh(&1, fails)).unwrap().refresh.unwrap();
    assert_eq!(now(cache.get(&1, never)), Ok(10));
    pass(secs(1));
    assert_eq!(now(refresh), Err("down"));
    assert_eq!((take(&told), cache.snapshot().stale_if_error), ("Stale, Stale, Failed { took: 0 }".into(), 0));
    // Unless somebody waits for it.
    let ready = std::cell::Cell::new(false);
    let fetch = |_| std::future::poll_fn(|_| if ready.get() { Poll::Ready(Err("down")) } else { Poll::Pending });
    let mut refresher = Box::pin(cache.run(fetch));
    cache.insert(1, 11);
    pass(ms(1_500));
    assert_eq!(now(cache.get(&1, never)), Ok(11));
    assert!(poll(&mut refresher).is_pending());
    pass(secs(1));
    let mut waits = Box::pin(cache.get(&1, never));
    assert!(poll(&mut waits).is_pending());
    _ = take(&told);
    ready.set(true);
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(11)));
    assert_eq!((take(&told), cache.snapshot().stale_if_error), ("Failed { took: 1s }, StaleIfError".into(), 1));
}

#[test]
fn of_a_fetch_it_tells_how_long_it_took() {
    let told = Told::default();
    // Nothing gets old.
    let cache = observed(Plain::new(), |event: &Event<'_, u32, u32>| note(&told, event));
    let ready = Rc::new(std::cell::Cell::new(false));
    let is_ready = Rc::clone(&ready);
    let fetch = || std::future::poll_fn(move |_| if is_ready.get() { Poll::Ready(Ok(10)) } else { Poll::Pending });
    pass(ms(7));
    let mut fetches = Box::pin(cache.get(&1, fetch));
    assert!(poll(&mut fetches).is_pending());
    pass(ms(30));
    ready.set(true);
    assert_eq!(poll(&mut fetches), Poll::Ready(Ok(10)));
    assert_eq!(take(&told), "Missed, Fetched { took: 30ms }");
}

#[test]
fn of_what_goes_it_tells_why() {
    let told = Told::default();
    let cache =
        observed(Plain::new().capacity(2).ttl(secs(1)).error_ttl(secs(5)), |event: &Event<'_, u32, u32>| note(&told, event));
    cache.insert(1, 10);
    cache.insert(2, 20);
    assert_eq!(take(&told), "");
    cache.insert(1, 11);
    cache.insert(3, 30);
    let evicted = take(&told);
    assert!(["1: Some(10) Replaced, 1: Some(11) Evicted", "1: Some(10) Replaced, 2: Some(20) Evicted"].contains(&&*evicted));
    assert_eq!(cache.invalidate(&3), Some(30));
    assert_eq!(take(&told), "3: Some(30) Invalidated");
    cache.clear();
    take(&told);
    cache.insert(4, 40);
    pass(secs(1));
    assert_eq!(now(cache.get(&4, with(41))), Ok(41));
    assert_eq!(take(&told), "Missed, 4: Some(40) Expired, Fetched { took: 0 }");
    pass(secs(1));
    assert!(now(cache.get(&5, fails)).is_err());
    take(&told);
    cache.insert(6, 60);
    assert_eq!(take(&told), "4: Some(41) Expired", "what has ended goes first");
    assert_eq!((cache.purge_expired(), take(&told)), (0, String::new()));
    pass(secs(1));
    assert_eq!((cache.purge_expired(), take(&told)), (1, "6: Some(60) Expired".into()));
    assert_eq!(cache.invalidate_if(|_, _| true), 0, "an error is no value");
    pass(secs(4));
    assert_eq!((cache.purge_expired(), take(&told)), (1, "5: None Expired".into()));
    cache.insert_with_ttl(7, 70, ms(0));
    assert_eq!((take(&told), cache.len()), (String::new(), 0));
}

/// However many others do, and wherever it lies: what is left of them is moved together meanwhile.
#[test]
fn what_becomes_heavier_does_not_make_way_for_itself() {
    let places = |others: u32| (0..others).rev().step_by(13).map(move |place| (others, place));
    for (others, place) in (130..400).step_by(30).flat_map(places) {
        let told = Told::default();
        let cache = observed(Plain::new().max_weight(1_000).weigh_by(|_, value| *value), |event: &Event<'_, u32, u32>| {
            if let Event::Removed { key: 1_000, .. } = event {
                note(&told, event);
            }
        });
        for key in 0..others {
            cache.insert(if key == place { 1_000 } else { key }, 1);
        }
        for key in (0..others).filter(|key| *key != place) {
            assert_eq!(now(cache.get(&key, never)), Ok(1));
        }
        cache.insert(1_000, 990);
        assert_eq!((take(&told), cache.len()), ("1000: Some(1) Replaced".into(), 11), "at {place} of {others}");
    }
}

#[test]
fn of_weights_it_tells_who_made_room() {
    let told = Told::default();
    let cache = Plain::new().max_weight(10).weigh_by(|_, value| *value);
    let cache = observed(cache, |event: &Event<'_, u32, u32>| note(&told, event));
    cache.insert(1, 4);
    cache.insert(2, 4);
    assert_eq!(now(cache.get(&3, with(10))), Ok(10));
    let told_of = take(&told);
    assert!(told_of.contains("1: Some(4) Evicted") && told_of.contains("2: Some(4) Evicted"), "{told_of}");
    cache.insert(3, 11);
    assert_eq!(take(&told), "3: Some(10) Replaced", "too heavy, and what was there is gone");
}

#[test]
fn it_may_call_the_cache() {
    type Shared = Cache<Hand, u32, u32, &'static str, Heap, FoldHash, Heap, 1, fn(&Event<'_, u32, u32>)>;
    thread_local! {
        static CACHE: Shared = Cache::new().capacity(1).observed_by(look as fn(&Event<'_, u32, u32>));
        static SEEN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }
    fn look(_: &Event<'_, u32, u32>) {
        let len = CACHE.with(|cache| {
            assert_eq!(cache.peek(&9), None);
            cache.len()
        });
        SEEN.with_borrow_mut(|seen| seen.push(len));
    }
    CACHE.with(|cache| {
        assert_eq!((now(cache.get(&1, with(1))), now(cache.get(&2, with(2))), now(cache.get(&2, never))), (Ok(1), Ok(2), Ok(2)));
        cache.clear();
    });
    // Missed, fetched; missed, evicted, fetched; hit; taken out.
    assert_eq!(SEEN.take(), [0, 1, 1, 1, 1, 1, 0]);
}

#[test]
fn if_it_panics_the_next_one_fetches() {
    fn check(at: fn(&Event<'_, u32, u32>) -> bool, ends: u32) {
        let armed = std::cell::Cell::new(false);
        let tell = |event: &Event<'_, u32, u32>| assert!(!(armed.get() && at(event)), "on purpose");
        let cache = observed(Plain::new(), tell);
        let ready = Rc::new(std::cell::Cell::new(false));
        let is_ready = Rc::clone(&ready);
        let fetch = || std::future::poll_fn(move |_| if is_ready.get() { Poll::Ready(Ok(1)) } else { Poll::Pending });
        let mut leads = Box::pin(cache.get(&1, fetch));
        if ends == 1 {
            assert!(poll(&mut leads).is_pending());
            ready.set(true);
        }
        let mut follows: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(cache.get(&1, with(2)));
        if ends == 1 {
            assert!(poll(&mut follows).is_pending());
        }
        armed.set(true);
        assert!(panics(|| _ = poll(&mut leads)));
        armed.set(false);
        assert_eq!(poll(&mut follows), Poll::Ready(Ok(if ends == 1 { 1 } else { 2 })), "the one that panicked is kept");
        drop(leads);
        assert_eq!((cache.snapshot().fetching, cache.snapshot().waiting), (0, 0));
    }
    check(|event| matches!(event, Event::Missed), 0);
    check(|event| matches!(event, Event::Fetched { .. }), 1);
}
