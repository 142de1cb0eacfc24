//! Whatever of its user's a cache calls may call it: nothing but `Eq`, and the `Clone` of what is served, is called under the lock, which notices who comes back into it.

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use aplomb::Cache;
use aplomb::time::secs;
use aplomb_sim::World;

use crate::hand::{Hand, never, now, pass, poll};

type Looked = Cache<Hand, Nosy, Nosy, &'static str>;

thread_local! {
    static LOOKED: Cell<Option<&'static Looked>> = const { Cell::new(None) };
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// Looks into the cache, if there is one; what that makes and drops does not look itself.
fn look() {
    let Some(cache) = LOOKED.take() else { return };
    LOOKS.set(LOOKS.get() + 1);
    let (number, other) = (cache.snapshot().len, Nosy(u32::MAX));
    assert!(cache.peek(&other).is_none() && cache.iter().count() <= number && cache.invalidate(&other).is_none());
    drop(other);
    LOOKED.set(Some(cache));
}

/// Looks wherever it can.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Nosy(u32);

impl Drop for Nosy {
    fn drop(&mut self) {
        look();
    }
}

impl Hash for Nosy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        look();
        self.0.hash(state);
    }
}

impl Future for Nosy {
    type Output = Result<Self, &'static str>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        look();
        Poll::Ready(Ok(Self(self.0)))
    }
}

struct NosyWaker;

impl Wake for NosyWaker {
    fn wake(self: Arc<Self>) {
        look();
    }
}

impl Drop for NosyWaker {
    fn drop(&mut self) {
        look();
    }
}

fn poll_nosily<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(NosyWaker));
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

/// Does something, of which so many looks come at the least; in a world, where a lock that is taken twice says so.
fn looks(cache: Looked, at_least: u32, act: impl FnOnce(&'static Looked)) {
    World::new().enter(|| {
        let cache: &'static Looked = Box::leak(Box::new(cache));
        LOOKED.set(Some(cache));
        let before = LOOKS.get();
        act(cache);
        LOOKED.set(None);
        assert!(LOOKS.get() >= before + at_least, "only {} looks", LOOKS.get() - before);
    });
}

fn fill(cache: &Looked) {
    for number in 1..=3 {
        cache.insert(Nosy(number), Nosy(number));
    }
}

#[test]
fn what_is_replaced() {
    looks(Cache::new(), 4, |cache| {
        cache.insert(Nosy(1), Nosy(10));
        cache.insert(Nosy(1), Nosy(11));
        cache.insert_with_ttl(Nosy(1), Nosy(12), secs(0));
        assert!(cache.is_empty());
    });
}

#[test]
fn what_is_taken_out() {
    looks(Cache::new(), 10, |cache| {
        fill(cache);
        assert_eq!(cache.invalidate(&Nosy(1)), Some(Nosy(1)));
        assert_eq!(cache.invalidate_if(|key, _| key.0 == 2), 1);
        cache.clear();
        assert!(cache.is_empty());
    });
}

#[test]
fn what_makes_room() {
    looks(Cache::new().capacity(2), 5, |cache| {
        fill(cache);
        assert_eq!(cache.len(), 2);
    });
    looks(Cache::new().max_weight(4).weigh_by(|_, value| value.0.clamp(1, 9)), 12, |cache| {
        fill(cache);
        cache.insert(Nosy(4), Nosy(4));
        cache.insert(Nosy(4), Nosy(9));
        assert!(cache.is_empty());
    });
}

#[test]
fn what_has_ended_and_is_fetched_anew() {
    looks(Cache::new().ttl(secs(1)), 8, |cache| {
        cache.insert(Nosy(1), Nosy(10));
        pass(secs(1));
        assert_eq!(now(cache.get(&Nosy(1), || Nosy(11))), Ok(Nosy(11)));
        assert_eq!(now(cache.get(&Nosy(1), never)), Ok(Nosy(11)));
    });
}

#[test]
fn what_was_fetched_and_is_not_kept() {
    looks(Cache::new(), 8, |cache| {
        let (one, gate) = (Nosy(1), Cell::new(false));
        let mut fetch = Nosy(10);
        let fetched = std::future::poll_fn(|cx| if gate.get() { Pin::new(&mut fetch).poll(cx) } else { Poll::Pending });
        let mut leads = Box::pin(cache.get(&one, || fetched));
        let mut follows = Box::pin(cache.get(&one, pending));
        assert!(poll_nosily(&mut leads).is_pending() && poll_nosily(&mut follows).is_pending());
        cache.clear();
        gate.set(true);
        assert_eq!(poll_nosily(&mut leads), Poll::Ready(Ok(Nosy(10))));
        assert_eq!(poll_nosily(&mut follows), Poll::Ready(Ok(Nosy(10))));
        assert!(cache.is_empty());
    });
}

#[test]
fn operations_predicates_and_what_is_asked_of_values() {
    let settings = || {
        Cache::new()
            .ttl_by(|_, _| {
                look();
                secs(1)
            })
            .weigh_by(|_, _| {
                look();
                1
            })
    };
    looks(settings(), 10, |cache| {
        let inner = || {
            look();
            ready(
                now(cache.get(&Nosy(2), || {
                    look();
                    Nosy(20)
                }))
                .map_err(|_| "down"),
            )
        };
        assert_eq!(now(cache.get(&Nosy(1), inner)), Ok(Nosy(20)), "one key is fetched by another's");
        assert_eq!(cache.len(), 2);
        let taken = cache.invalidate_if(|key, _| {
            look();
            cache.insert(Nosy(key.0 + 100), Nosy(0));
            cache.invalidate(&Nosy(key.0 + 100));
            key.0 == 1
        });
        assert_eq!((taken, cache.len()), (1, 1));
    });
}

#[test]
fn wakers_and_operations_that_are_dropped() {
    looks(Cache::new(), 8, |cache| {
        let (one, held) = (Nosy(1), Nosy(5));
        let fetch = || async move {
            let _held = held;
            pending::<Result<Nosy, &'static str>>().await
        };
        let mut leads = Box::pin(cache.get(&one, fetch));
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(cache.get(&one, || Nosy(2)))).collect();
        assert!(poll_nosily(&mut leads).is_pending());
        for _ in 0..2 {
            assert!(waits.iter_mut().all(|call| poll_nosily(call).is_pending()), "another waker each time");
        }
        drop(waits.remove(1));
        drop(leads);
        drop(waits.remove(0));
        assert_eq!(poll_nosily(&mut waits[0]), Poll::Ready(Ok(Nosy(2))));
    });
}

#[test]
fn refreshers() {
    looks(Cache::new().ttl(secs(9)).refresh_ahead(secs(8)), 10, |cache| {
        let mut runs: Vec<_> = (0..2)
            .map(|_| {
                Box::pin(cache.run(|key| {
                    look();
                    Nosy(key.0 + 1)
                }))
            })
            .collect();
        assert!(runs.iter_mut().all(|run| poll_nosily(run).is_pending() && poll_nosily(run).is_pending()));
        cache.insert(Nosy(1), Nosy(1));
        pass(secs(1));
        assert_eq!(now(cache.get(&Nosy(1), never)), Ok(Nosy(1)));
        drop(runs.remove(0));
        assert!(poll_nosily(&mut runs[0]).is_pending());
        assert_eq!(cache.peek(&Nosy(1)), Some(Nosy(2)));
        pass(secs(1));
        let one = Nosy(1);
        let mut read = Box::pin(cache.get_with_refresh(&one, || Nosy(3)));
        let Poll::Ready(Ok(read)) = poll(&mut read) else { panic!("it is there") };
        assert_eq!(poll_nosily(&mut Box::pin(read.refresh.unwrap())), Poll::Ready(Ok(Nosy(3))));
    });
}

type Failing = Cache<Hand, u32, u32, Fault>;

thread_local! {
    static FAILING: Cell<Option<&'static Failing>> = const { Cell::new(None) };
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// An error that looks into the cache as it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Fault(u32);

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(cache) = FAILING.get() {
            DROPPED.set(DROPPED.get() + 1);
            assert!(cache.peek(&u32::MAX).is_none() && cache.iter().count() <= cache.len());
        }
    }
}

#[test]
fn errors_that_are_kept() {
    let fails = |key| now(FAILING.get().unwrap().get(&key, || ready(Err(Fault(key))))).is_err();
    World::new().enter(|| {
        let cache: &'static Failing = Box::leak(Box::new(Cache::new().capacity(4).error_ttl(secs(1))));
        FAILING.set(Some(cache));
        assert!((0..6).all(fails), "two have made room");
        assert!((0..6).all(fails), "some are served");
        cache.insert(4, 40);
        assert_eq!(cache.invalidate(&5), None);
        assert!(cache.invalidate_errors_if(|key, error| *error == Fault(*key) && key % 2 == 0) > 0);
        pass(secs(1));
        assert!(cache.purge_expired() > 0 && fails(7));
        let mut follows = Box::pin(cache.get(&8, || ready(Err(Fault(8)))));
        let mut leads = Box::pin(cache.get(&8, pending));
        assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
        drop(leads);
        assert!(poll(&mut follows).is_ready());
        cache.clear();
        FAILING.set(None);
        assert!(DROPPED.get() >= 20, "{}", DROPPED.get());
    });
}
