//! The cache under every interleaving of a few threads (loom), and many of more (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use aplomb::{Cache, FlightError};
use checkers::{Loom, Shuttle};

type OnLoom = Cache<Loom, u32, u32, ()>;
type Get = Pin<Box<dyn Future<Output = Result<u32, FlightError<()>>> + Send>>;

const KEY: &u32 = &1;

fn poll(call: &mut Get) -> Poll<Result<u32, FlightError<()>>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A caller that has been polled once: it fetches, or waits.
fn pending_get(cache: &'static OnLoom, fetch: impl Future<Output = Result<u32, ()>> + Send + 'static) -> Get {
    let mut call: Get = Box::pin(cache.get(KEY, || fetch));
    assert!(poll(&mut call).is_pending());
    call
}

/// A fetch that has begun, and ends when it is polled next.
fn begun(cache: &'static OnLoom) -> Get {
    let mut polled = false;
    let ends_then = poll_fn(move |_| if std::mem::replace(&mut polled, true) { Poll::Ready(Ok(7)) } else { Poll::Pending });
    pending_get(cache, ends_then)
}

/// Something is done to the cache while a fetch ends that began before: it is answered with, and what is found then is what was made sure of.
#[test]
fn what_was_invalidated_is_not_there_whenever_its_fetch_ends() {
    fn check(act: fn(&OnLoom), found: Option<u32>) {
        loom::model(move || {
            let cache: &'static OnLoom = Box::leak(Box::new(Cache::new()));
            let mut fetches = begun(cache);
            let acts = loom::thread::spawn(move || act(cache));
            assert_eq!(poll(&mut fetches), Poll::Ready(Ok(7)));
            acts.join().unwrap();
            assert_eq!(cache.peek(KEY), found);
            assert_eq!((cache.snapshot().fetching, cache.snapshot().waiting), (0, 0));
        });
    }
    check(|cache| _ = cache.invalidate(KEY), None);
    check(|cache| _ = cache.invalidate_if(|_, _| true), None);
    check(Cache::clear, None);
    check(|cache| cache.insert(1, 8), Some(8));
}

/// Two ask at the same time: one fetches, and both have it.
#[test]
fn two_callers_fetch_once() {
    loom::model(|| {
        let cache: &'static OnLoom = Box::leak(Box::new(Cache::new()));
        let fetches = Arc::new(AtomicU32::new(0));
        let counts = Arc::clone(&fetches);
        let get = move || {
            let fetch = || ready(Ok(counts.fetch_add(1, Ordering::Relaxed)));
            assert_eq!(loom::future::block_on(cache.get(KEY, fetch)), Ok(0));
        };
        let other = loom::thread::spawn(get.clone());
        get();
        other.join().unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    });
}

/// One who fetches is dropped while another one comes, or waits already: that one fetches.
#[test]
fn a_fetch_that_is_given_up_is_handed_over() {
    loom::model(|| {
        let cache: &'static OnLoom = Box::leak(Box::new(Cache::new()));
        let fetches = pending_get(cache, pending());
        let leaves = loom::thread::spawn(move || drop(fetches));
        assert_eq!(loom::future::block_on(cache.get(KEY, || ready(Ok(8)))), Ok(8));
        leaves.join().unwrap();
        assert_eq!((cache.peek(KEY), cache.snapshot().fetching), (Some(8), 0));
    });
    loom::model(|| {
        let cache: &'static OnLoom = Box::leak(Box::new(Cache::new()));
        let (fetches, first) = (pending_get(cache, pending()), pending_get(cache, ready(Ok(8))));
        let second = pending_get(cache, ready(Ok(9)));
        let leaves = loom::thread::spawn(move || drop(first));
        drop(fetches);
        assert_eq!(loom::future::block_on(second), Ok(9));
        leaves.join().unwrap();
        assert_eq!(cache.snapshot().fetching, 0);
    });
}

/// Who waits is dropped while the fetch ends: whoever else waits has it.
#[test]
fn one_who_leaves_while_a_fetch_ends_takes_nothing_along() {
    loom::model(|| {
        let cache: &'static OnLoom = Box::leak(Box::new(Cache::new()));
        let (mut fetches, first) = (begun(cache), pending_get(cache, ready(Ok(8))));
        let mut second = pending_get(cache, ready(Ok(9)));
        let leaves = loom::thread::spawn(move || drop(first));
        assert_eq!(poll(&mut fetches), Poll::Ready(Ok(7)));
        assert_eq!(poll(&mut second), Poll::Ready(Ok(7)));
        leaves.join().unwrap();
        assert_eq!((cache.peek(KEY), cache.snapshot().waiting), (Some(7), 0));
    });
}

/// What changes is invalidated, again and again: whoever asks after that has nothing older, whoever else fetches, waits, and gives up.
#[test]
fn nobody_reads_what_was_invalidated_before_it_asked() {
    let world = || {
        let cache = shuttle::sync::Arc::new(Cache::<Shuttle, u32, u32, ()>::new());
        let (truth, published) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut threads: Vec<_> = (0..3)
            .map(|reader| {
                let (cache, truth, published) = (cache.clone(), Arc::clone(&truth), Arc::clone(&published));
                shuttle::thread::spawn(move || {
                    for _ in 0..4 {
                        let floor = published.load(Ordering::SeqCst);
                        let fetch = async || {
                            let read = truth.load(Ordering::SeqCst);
                            shuttle::future::yield_now().await;
                            Ok(read)
                        };
                        let mut call = pin!(cache.get(KEY, fetch));
                        if reader == 0 {
                            // It gives up.
                            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                        } else {
                            let read = shuttle::future::block_on(call).unwrap();
                            assert!(read >= floor, "{read} was invalidated before: {floor}");
                        }
                    }
                })
            })
            .collect();
        let writes = cache.clone();
        threads.push(shuttle::thread::spawn(move || {
            for n in 1..=4 {
                truth.store(n, Ordering::SeqCst);
                if n % 2 == 0 {
                    writes.invalidate(KEY);
                } else {
                    writes.clear();
                }
                published.store(n, Ordering::SeqCst);
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        let left = cache.snapshot();
        assert_eq!((left.fetching, left.waiting), (0, 0));
        assert!(cache.peek(KEY).is_none_or(|read| read == 4));
    };
    shuttle::check_random(world, 500);
}
