//! How a cache is called: by what its keys can be borrowed as, with what cannot be cloned, in tasks.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use aplomb::key::FoldHash;
use aplomb::single_flight::Shared;
use aplomb::time::secs;
use aplomb::{Cache, ConfigError, FlightError, Heap, Inline};
use aplomb_tokio::Tokio;
use aplomb_tokio::prelude::{Cache as OnTokio, checked};

use crate::hand::{Hand, Plain, never, now, pass, poll, with};

#[test]
fn keys_are_asked_for_by_what_they_can_be_borrowed_as() {
    let names = Plain::<String, u32>::new();
    names.insert("ann".into(), 1);
    assert_eq!(now(names.get("ann", never)), Ok(1));
    assert_eq!(now(names.get("bob", with(2))), Ok(2));
    assert_eq!(now(names.get_with_refresh("bob", never)).unwrap().value, 2);
    assert_eq!((names.peek("bob"), names.peek(&String::from("bob")), names.invalidate("bob")), (Some(2), Some(2), Some(2)));
    let paths = Plain::<Vec<u8>, u32>::new();
    assert_eq!(now(paths.get(&[1, 2][..], with(3))), Ok(3));
    assert_eq!(paths.peek(&vec![1, 2]), Some(3));
    let shared = Plain::<Arc<str>, u32>::new();
    assert_eq!(now(shared.get("ann", with(4))), Ok(4));
    assert_eq!(shared.peek("ann"), Some(4));
}

#[derive(Debug, PartialEq, Eq)]
struct Costly(u32, Rc<Cell<u32>>);

impl std::hash::Hash for Costly {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Clone for Costly {
    fn clone(&self) -> Self {
        self.1.set(self.1.get() + 1);
        Self(self.0, Rc::clone(&self.1))
    }
}

#[test]
fn a_key_is_made_only_where_one_is_kept() {
    let clones = Rc::new(Cell::new(0));
    let key = |number| Costly(number, Rc::clone(&clones));
    let cache = Plain::<Costly, u32>::new().ttl(secs(1)).stale_while_revalidate(secs(1));
    let one = key(1);
    cache.insert(key(1), 10);
    assert_eq!(now(cache.get(&one, never)), Ok(10));
    assert_eq!((cache.peek(&one), clones.get()), (Some(10), 0));
    let two = key(2);
    let mut leads = Box::pin(cache.get(&two, pending));
    assert!(poll(&mut leads).is_pending());
    assert_eq!(clones.get(), 1, "of one who fetches");
    let mut follows = Box::pin(cache.get(&two, pending));
    assert!(poll(&mut follows).is_pending() && poll(&mut follows).is_pending());
    assert_eq!(clones.get(), 1, "of one who waits");
    pass(secs(1));
    for _ in 0..3 {
        assert_eq!(now(cache.get(&one, never)), Ok(10));
    }
    assert_eq!(clones.get(), 2, "of one who asks for a refresh");
}

#[test]
fn what_cannot_be_cloned_is_put_into_an_arc() {
    struct Page(u32);
    let pages: Cache<Hand, u32, Arc<Page>, Arc<io::Error>> = Cache::new().error_ttl(secs(1));
    let page = now(pages.get_into(&1, || async { Ok::<_, io::Error>(Page(7)) })).unwrap();
    let again = now(pages.get_into(&1, pending::<Result<Page, io::Error>>)).unwrap();
    assert!(page.0 == 7 && Arc::ptr_eq(&page, &again));
    let fails = || async { Err::<Page, _>(io::Error::other("no route")) };
    let Err(FlightError::Failed(error)) = now(pages.get_into(&2, fails)) else { panic!("it fails") };
    let Err(FlightError::Failed(kept)) = now(pages.get_into(&2, fails)) else { panic!("it is kept") };
    assert!(Arc::ptr_eq(&error, &kept));
}

#[test]
fn a_caller_learns_whether_its_fetch_was_shared() {
    let cache = Plain::<u32, u32>::new();
    assert_eq!(now(cache.get(&1, with(10)).with_shared()), Shared { result: Ok(10), is_shared: false });
    assert_eq!(now(cache.get(&1, never).with_shared()), Shared { result: Ok(10), is_shared: false }, "it was there");
    let ready = Cell::new(false);
    let fetch = || std::future::poll_fn(|_| if ready.get() { std::task::Poll::Ready(Ok(20)) } else { std::task::Poll::Pending });
    let mut leads = Box::pin(cache.get(&2, fetch).with_shared());
    let mut follows = Box::pin(cache.get(&2, with(0)).with_shared());
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    ready.set(true);
    assert_eq!(now(leads), Shared { result: Ok(20), is_shared: true });
    assert_eq!(now(follows), Shared { result: Ok(20), is_shared: true });
}

#[test]
fn a_call_that_has_ended_or_was_not_polled_leaves_nothing() {
    let cache = Plain::<u32, u32>::new();
    drop(cache.get(&1, with(10)));
    assert_eq!((cache.snapshot().fetches, cache.snapshot().misses), (0, 0));
    let mut call = Box::pin(cache.get(&1, with(10)));
    assert!(format!("{call:?}").contains("outside"));
    assert!(poll(&mut call).is_ready());
    assert!(poll(&mut call).is_pending() && poll(&mut call).is_pending(), "it has ended");
    assert_eq!((cache.snapshot().fetches, cache.snapshot().hits), (1, 0));
}

static USERS: OnTokio<String, Arc<str>, u32> =
    checked!(OnTokio::new().capacity(1_000).ttl(secs(3_600)).stale_while_revalidate(secs(60)));

/// A call holds references, and goes into a task of a runtime with several threads all the same.
#[tokio::test(flavor = "multi_thread")]
async fn calls_and_refreshes_are_spawned() {
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        calls.spawn(async move {
            let name = format!("user {}", n % 10);
            let fetch = async || {
                tokio::task::yield_now().await;
                Ok::<_, u32>(Arc::from(name.to_uppercase()))
            };
            USERS.get(&*name, fetch).await.unwrap()
        });
    }
    while let Some(user) = calls.join_next().await {
        assert!(user.unwrap().starts_with("USER "));
    }
    assert_eq!((USERS.len(), USERS.snapshot().fetches), (10, 10));
    let refresher = tokio::spawn(USERS.run(async |name: String| Ok::<_, u32>(Arc::from(name))));
    let read = tokio::spawn(async { USERS.get_with_refresh("user 1", || async { Err(1) }).await.unwrap().value });
    assert_eq!(&*read.await.unwrap(), "USER 1");
    refresher.abort();
}

/// By its type there is room for one more than links of 16 bits count.
#[test]
fn whoever_comes_when_all_that_can_be_counted_are_there_is_kept() {
    type InPlace = OnTokio<u32, u8, Infallible, Inline<65_536>, FoldHash, Inline<2>>;
    static IN_PLACE: InPlace = checked!(OnTokio::new().storage().flight_storage());
    const REFUSED: Option<ConfigError> = InPlace::with_clock(aplomb_tokio::TokioClock).capacity(65_536).config_error();
    for key in 0..70_000 {
        IN_PLACE.insert(key, 1);
    }
    assert_eq!((IN_PLACE.len(), IN_PLACE.snapshot().evicted), (65_535, 70_000 - 65_535));
    assert_eq!(IN_PLACE.peek(&69_999), Some(1));
    assert_eq!(REFUSED, Some(ConfigError::Capacity { value: 65_536, most: 65_535 }));
}

/// Threads read, fetch, put in, invalidate and clear: whoever has a value has one of its key, and there are never more than there is room for.
#[test]
fn threads_share_a_cache() {
    type Sharded = Cache<Tokio, u32, (u32, u32), u32, Heap, FoldHash, Heap, 4>;
    let cache: Sharded = Cache::new().shards().capacity(100).ttl(secs(60)).stale_while_revalidate(secs(60)).check().unwrap();
    std::thread::scope(|threads| {
        for seed in 0..4 {
            let cache = &cache;
            threads.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for n in 0..2_000 {
                    let key = rng.u32(0..200);
                    match rng.u8(0..20) {
                        0 => cache.insert(key, (key, n)),
                        1 => assert!(cache.invalidate(&key).is_none_or(|(of, _)| of == key)),
                        2 => assert!(cache.peek(&key).is_none_or(|(of, _)| of == key)),
                        3 if n % 50 == 0 => cache.clear(),
                        4 if n % 50 == 0 => _ = cache.invalidate_if(|key, (of, _)| key == of && key % 3 == 0),
                        _ => {
                            let fetch = async || {
                                futures_lite::future::yield_now().await;
                                if n % 7 == 0 { Err(n) } else { Ok((key, n)) }
                            };
                            match futures_lite::future::block_on(cache.get(&key, fetch)) {
                                Ok((of, _)) => assert_eq!(of, key),
                                Err(error) => assert!(error.inner().is_some_and(|n| n % 7 == 0)),
                            }
                        }
                    }
                    assert!(cache.len() <= 100);
                }
            });
        }
    });
    let left = cache.snapshot();
    assert_eq!((left.fetching, left.waiting), (0, 0));
    assert!(cache.iter().all(|(key, (of, _))| key == of));
}

/// Whoever leads and whoever follows, by whatever call.
#[test]
fn a_value_that_is_stored_while_a_fetch_fails_comes_before_its_error() {
    let cache = Plain::<u32, u32>::new().ttl(secs(10)).stale_if_error(secs(100));
    cache.insert(1, 10);
    pass(secs(20));
    let fails = Cell::new(false);
    let fetch = || poll_fn(|_| if fails.get() { Poll::Ready(Err("down")) } else { Poll::Pending });
    let (mut leads, mut follows) = (Box::pin(cache.get(&1, fetch)), Box::pin(cache.get(&1, fetch)));
    let mut with_refresh = Box::pin(cache.get_with_refresh(&1, fetch));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending() && poll(&mut with_refresh).is_pending());
    cache.insert(1, 11);
    fails.set(true);
    assert_eq!((poll(&mut leads), poll(&mut follows)), (Poll::Ready(Ok(11)), Poll::Ready(Ok(11))));
    assert!(matches!(poll(&mut with_refresh), Poll::Ready(Ok(read)) if read.value == 11));
    fails.set(false);
    pass(secs(20));
    let mut leads = Box::pin(cache.get(&1, fetch));
    assert!(poll(&mut leads).is_pending());
    cache.invalidate(&1);
    fails.set(true);
    assert_eq!(poll(&mut leads), Poll::Ready(Err(FlightError::Failed("down"))), "there is none");
}
