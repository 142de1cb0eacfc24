//! Whatever of its user's panics, the next caller goes on, also while the future that panicked is kept.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use aplomb::key::FoldHash;
use aplomb::time::{ms, secs};
use aplomb::{Cache, FlightError, Heap, Inline};
use aplomb_sim::prelude::deadline;
use aplomb_sim::{Sim, block_on, sleep};

use crate::hand::{Plain, fails, never, now, panics, pass, poll, with};

thread_local! {
    /// The how many-th chance from now on is taken to panic; 0: none.
    static FUSE: Cell<u32> = const { Cell::new(0) };
}

fn fuse() {
    let left = FUSE.get();
    FUSE.set(left.saturating_sub(1));
    assert!(left != 1, "as it was told");
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fragile(u32);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        fuse();
        Self(self.0)
    }
}

/// Polls one that panics.
fn panics_at<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    let panicked = panics(|| _ = poll(future));
    assert_eq!(FUSE.replace(0), 0, "there was no such chance");
    panicked
}

/// One who fetches panics, and is kept; the one who waits fetches, and what it brings is kept.
fn the_next_one_fetches<V, Fut>(
    cache: &Plain<u32, V>,
    chance: u32,
    value: fn(u32) -> V,
    fetch: impl FnOnce(Rc<Cell<bool>>) -> Fut,
) where
    V: Clone + PartialEq + std::fmt::Debug,
    Fut: Future<Output = Result<V, &'static str>>,
{
    let ready = Rc::new(Cell::new(false));
    let mut leads = Box::pin(cache.get(&1, || fetch(Rc::clone(&ready))));
    let mut follows = Box::pin(cache.get(&1, with(value(2))));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    ready.set(true);
    FUSE.set(chance);
    assert!(panics_at(&mut leads), "chance {chance}");
    assert_eq!(poll(&mut follows), Poll::Ready(Ok(value(2))), "chance {chance}");
    assert!(poll(&mut leads).is_pending(), "it has ended");
    let found = now(cache.get(&1, never));
    assert!(found == Ok(value(2)) || found == Ok(value(1)), "chance {chance}");
    drop(leads);
    assert_eq!((cache.snapshot().fetching, cache.snapshot().waiting), (0, 0));
    assert_eq!(now(cache.get(&3, with(value(3)))), Ok(value(3)));
}

/// A fetch that ends when it is told to.
fn told<V>(ready: Rc<Cell<bool>>, value: V) -> impl Future<Output = Result<V, &'static str>> {
    let mut value = Some(value);
    poll_fn(move |_| if ready.get() { value.take().map_or(Poll::Pending, |value| Poll::Ready(Ok(value))) } else { Poll::Pending })
}

#[test]
fn a_fetch_that_panics() {
    let cache = Plain::<u32, u32>::new();
    let mut making = Box::pin(cache.get(&1, || -> std::future::Ready<Result<u32, &'static str>> { panic!("as it was told") }));
    assert!(panics_at(&mut making) && poll(&mut making).is_pending());
    assert_eq!(now(cache.get(&1, with(10))), Ok(10));
    cache.clear();
    the_next_one_fetches(
        &cache,
        1,
        |n| n,
        |ready| {
            poll_fn(move |_| {
                if ready.get() {
                    fuse();
                }
                Poll::Pending
            })
        },
    );
}

/// It panics as it is dropped, if it is the one that was told to.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "as it was told");
    }
}

/// It has been in the line, and leaves it though the future is kept.
#[test]
fn an_operation_that_panics_as_it_is_dropped_at_a_deadline() {
    async fn the_last_one_leads<C, D>(cache: &Cache<Sim, u32, u32>, late: impl FnOnce(Bomb) -> D)
    where
        D: Future<Output = C>,
    {
        let mut leads = Box::pin(cache.get(&1, pending));
        let mut late = Box::pin(late(Bomb(true)));
        let mut last = Box::pin(cache.get(&1, || ready(Ok(3))));
        assert!(poll(&mut leads).is_pending() && poll(&mut late).is_pending() && poll(&mut last).is_pending());
        sleep(ms(50)).await;
        assert!(panics(|| _ = poll(&mut late)));
        drop(leads);
        assert_eq!(poll(&mut last), Poll::Ready(Ok(3)));
        assert_eq!((cache.snapshot().fetching, cache.snapshot().waiting), (0, 0));
        assert!(poll(&mut late).is_ready(), "it is late all the same");
    }
    let fetch = |bomb: Bomb| {
        move || {
            let _bomb = bomb;
            ready(Ok(2))
        }
    };
    block_on(async {
        let cache = Cache::<Sim, u32, u32>::new();
        the_last_one_leads(&cache, |bomb| cache.get(&1, fetch(bomb)).deadline_at(deadline(ms(50)))).await;
        cache.clear();
        the_last_one_leads(&cache, |bomb| cache.get_with_refresh(&1, fetch(bomb)).deadline_at(deadline(ms(50)))).await;
    });
}

#[test]
fn what_is_asked_of_a_value_panics() {
    let by_ttl = || {
        Plain::<u32, u32>::new().ttl_by(|_, _| {
            fuse();
            secs(1)
        })
    };
    the_next_one_fetches(&by_ttl(), 1, |n| n, |ready| told(ready, 1));
    let by_weight = || {
        Plain::<u32, u32>::new().weigh_by(|_, _| {
            fuse();
            1
        })
    };
    the_next_one_fetches(&by_weight(), 1, |n| n, |ready| told(ready, 1));
    let cache = by_weight();
    cache.insert(1, 10);
    FUSE.set(1);
    assert!(panics(|| cache.insert(1, 11)));
    assert_eq!((cache.peek(&1), cache.len()), (Some(10), 1), "what was there stays");
}

#[test]
fn a_value_cannot_be_cloned_to_be_kept_or_to_be_given_out() {
    for chance in [1, 2] {
        the_next_one_fetches(&Plain::new(), chance, Fragile, |ready| told(ready, Fragile(1)));
    }
}

#[test]
fn a_value_cannot_be_cloned_to_be_served() {
    let cache = Plain::<u32, Fragile>::new();
    cache.insert(1, Fragile(10));
    for act in [
        |cache: &Plain<u32, Fragile>| _ = now(cache.get(&1, never)),
        |cache: &Plain<u32, Fragile>| _ = cache.peek(&1),
        |cache: &Plain<u32, Fragile>| _ = cache.iter().next(),
        |cache: &Plain<u32, Fragile>| _ = cache.invalidate_if(|_, _| true),
    ] {
        FUSE.set(1);
        assert!(panics(|| act(&cache)));
        assert_eq!(now(cache.get(&1, never)), Ok(Fragile(10)));
    }
}

#[test]
fn a_predicate_panics() {
    let cache = Plain::<u32, u32>::new();
    for key in 0..9 {
        cache.insert(key, key);
    }
    assert!(panics(|| _ = cache.invalidate_if(|key, _| {
        assert!(*key < 5);
        true
    })));
    assert!((5..9).all(|key| cache.peek(&key) == Some(key)));
}

#[test]
fn a_key_cannot_be_made_for_a_fetch() {
    let cache = Plain::<Fragile, u32>::new().ttl_by(|_, _| secs(1));
    let key = Fragile(1);
    for chance in [1, 2] {
        FUSE.set(chance);
        let mut call = Box::pin(cache.get(&key, with(10)));
        assert!(panics_at(&mut call), "chance {chance}");
        assert_eq!(now(cache.get(&key, with(10))), Ok(10), "chance {chance}");
        cache.clear();
    }
}

/// By the reader: the next one who reads has a refresh.
#[test]
fn a_key_cannot_be_made_for_a_refresh() {
    let cache = Plain::<Fragile, u32>::new().ttl_by(|_, _| secs(9)).refresh_ahead(secs(8));
    let key = Fragile(1);
    cache.insert(Fragile(1), 10);
    pass(secs(1));
    for chance in [1, 2] {
        FUSE.set(chance);
        let mut read = Box::pin(cache.get_with_refresh(&key, with(11)));
        assert!(panics_at(&mut read), "chance {chance}");
        assert!(now(cache.get_with_refresh(&key, with(11))).unwrap().refresh.is_some(), "chance {chance}");
    }
}

/// By a refresher: the next one who reads asks again.
#[test]
fn a_key_cannot_be_made_for_a_refresher() {
    let cache = Plain::<Fragile, u32>::new().ttl_by(|_, _| secs(9)).refresh_ahead(secs(8));
    let key = Fragile(1);
    let mut refresher = Box::pin(cache.run(|_| ready(Ok(11))));
    assert!(poll(&mut refresher).is_pending());
    cache.insert(Fragile(1), 10);
    pass(secs(1));
    FUSE.set(1);
    let mut read = Box::pin(cache.get(&key, never));
    assert!(panics_at(&mut read), "it was to be queued");
    for chance in [1, 2] {
        assert_eq!(now(cache.get(&key, never)), Ok(10));
        FUSE.set(chance);
        assert!(panics_at(&mut refresher), "chance {chance}");
    }
    assert_eq!(now(cache.get(&key, never)), Ok(10));
    assert!(poll(&mut refresher).is_pending());
    assert_eq!(cache.peek(&key), Some(11));
}

/// It goes on with the next key when it is polled again.
#[test]
fn a_refresher_whose_fetch_panics_is_kept() {
    let cache = Plain::<u32, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    let mut refresher = Box::pin(cache.run(|key| {
        assert!(key != 1, "as it was told");
        poll_fn(move |_| {
            assert!(key != 2, "as it was told");
            Poll::Ready(Ok(key + 10))
        })
    }));
    for key in 1..=3 {
        cache.insert(key, key);
    }
    pass(secs(1));
    for key in 1..=3 {
        assert_eq!(now(cache.get(&key, never)), Ok(key));
    }
    assert!(panics_at(&mut refresher) && panics_at(&mut refresher));
    assert!(poll(&mut refresher).is_pending());
    assert_eq!((cache.peek(&1), cache.peek(&2), cache.peek(&3)), (Some(1), Some(2), Some(13)));
    assert_eq!(cache.snapshot().fetching, 0);
    assert!(now(cache.get_with_refresh(&1, with(0))).unwrap().refresh.is_some(), "it is still due");
}

/// Of a key that waits for nobody, nothing is left.
#[test]
fn an_error_cannot_be_cloned() {
    let cache = aplomb::Cache::<crate::hand::Hand, u32, u32, Fragile>::new().error_ttl(ms(100));
    FUSE.set(1);
    let mut call = Box::pin(cache.get(&1, || ready(Err(Fragile(1)))));
    assert!(panics_at(&mut call));
    assert_eq!(now(cache.get(&1, || ready(Ok(10)))), Ok(10));
    let plain = Plain::<u32, u32>::new();
    let mut leads = Box::pin(plain.get(&1, pending));
    assert!(poll(&mut leads).is_pending());
    drop(leads);
    assert!(now(plain.get(&1, fails)).is_err() && plain.is_empty());
}

thread_local! {
    /// What somebody does as an error is dropped, or a key is hashed.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(act) = MEANWHILE.take() {
            act();
        }
    }
}

/// The flight of key 1 is over when a value cannot be cloned that is to answer for its error. Before who led it gives up, another key's fetch begins where it was; and a third key's where that would be, if it were given up instead.
#[test]
fn who_gives_up_late_gives_up_nobody_else() {
    type Fallible = aplomb::Cache<crate::hand::Hand, u32, Fragile, Dropped>;
    type Called = Pin<Box<dyn Future<Output = Result<Fragile, FlightError<Dropped>>>>>;
    let cache = Rc::new(Fallible::new().ttl(secs(10)).stale_if_error(secs(100)));
    // Within a task, which outlives no cache.
    let call = |key: u32, ready: &Rc<Cell<bool>>| -> Called {
        let (cache, ready) = (Rc::clone(&cache), Rc::clone(ready));
        Box::pin(async move {
            let value = || poll_fn(|_| if ready.get() { Poll::Ready(Ok(Fragile(key))) } else { Poll::Pending });
            cache.get(&key, value).await
        })
    };
    cache.insert(1, Fragile(1));
    pass(secs(20));
    let ready = Rc::<Cell<bool>>::default();
    let five = Rc::new(RefCell::new(call(5, &ready)));
    let begins = Rc::clone(&five);
    MEANWHILE.set(Some(Box::new(move || assert!(poll(&mut begins.borrow_mut()).is_pending()))));
    let mut one = Box::pin(cache.get(&1, || {
        FUSE.set(1);
        ready_err()
    }));
    assert!(panics_at(&mut one));
    assert_eq!(cache.snapshot().fetching, 1, "that of key 5");
    let never_ready = Rc::default();
    let (mut nine, mut waits) = (call(9, &never_ready), call(9, &never_ready));
    assert!(poll(&mut nine).is_pending() && poll(&mut waits).is_pending());
    ready.set(true);
    assert_eq!(poll(&mut five.borrow_mut()), Poll::Ready(Ok(Fragile(5))));
    assert!(poll(&mut waits).is_pending(), "it waits for key 9");
    drop((nine, waits));
    assert_eq!((cache.snapshot().fetching, cache.snapshot().waiting), (0, 0));
}

fn ready_err() -> std::future::Ready<Result<Fragile, Dropped>> {
    ready(Err(Dropped))
}

/// A key whose `Hash` panics when it is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unsteady(u32);

impl Hash for Unsteady {
    fn hash<H: Hasher>(&self, state: &mut H) {
        fuse();
        self.0.hash(state);
    }
}

/// The refresher comes to it again, after the others.
#[test]
fn a_key_that_cannot_be_hashed_stays_in_the_queue() {
    let cache = Plain::<Unsteady, u32>::new().ttl(secs(9)).refresh_ahead(secs(8));
    let mut refresher = Box::pin(cache.run(|key: Unsteady| ready(Ok(key.0 + 10))));
    for key in [1, 2] {
        cache.insert(Unsteady(key), key);
    }
    pass(secs(1));
    for key in [1, 2] {
        assert_eq!(now(cache.get(&Unsteady(key), never)), Ok(key));
    }
    FUSE.set(1);
    assert!(panics_at(&mut refresher));
    assert!(poll(&mut refresher).is_pending());
    assert_eq!((cache.peek(&Unsteady(1)), cache.peek(&Unsteady(2))), (Some(11), Some(12)));
}

/// A key whose `Hash` panics after something was done meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Disturbed(u32);

impl Hash for Disturbed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(act) = MEANWHILE.take() {
            act();
            panic!("as it was told");
        }
        self.0.hash(state);
    }
}

/// Its slot is kept for it, as long as it is looked at.
#[test]
fn nobody_takes_the_slot_of_a_key_that_cannot_be_hashed() {
    type Narrow = Cache<crate::hand::Hand, Disturbed, u32, &'static str, Heap, FoldHash, Inline<1>>;
    let cache: Rc<Narrow> = Rc::new(Cache::new().flight_storage().ttl(secs(9)).refresh_ahead(secs(8)));
    for key in [1, 2] {
        cache.insert(Disturbed(key), key);
    }
    pass(secs(1));
    assert_eq!(now(cache.get(&Disturbed(1), never)), Ok(1));
    let reads = Rc::clone(&cache);
    MEANWHILE.set(Some(Box::new(move || assert_eq!(now(reads.get(&Disturbed(2), never)), Ok(2)))));
    let mut refresher = Box::pin(cache.run(|key: Disturbed| ready(Ok(key.0 + 10))));
    assert!(panics(|| _ = poll(&mut refresher)));
    for key in [1, 2] {
        assert!(now(cache.get(&Disturbed(key), never)).is_ok());
        assert!(poll(&mut refresher).is_pending());
    }
    assert_eq!((cache.peek(&Disturbed(1)), cache.peek(&Disturbed(2))), (Some(11), Some(12)));
    assert_eq!(cache.snapshot().queued, 0);
}
