//! Wakers that panic when they are dropped: what was taken goes back, and the next one has its turn.
#![allow(unsafe_code, reason = "a waker whose clones can be told from it is made by hand")]

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::panicking;

use aplomb::rate_limiter::{Rate, TokenBucket};
use aplomb::sync::Semaphore;
use aplomb::time::ms;
use aplomb::{AdaptiveLimit, Bulkhead, Cache, Deadline, KeyedRateLimiter, RateLimiter, SingleFlight};
use aplomb_sim::Sim;

thread_local! {
    /// What cloning a waker does.
    static AT_CLONE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |_| {
        if let Some(act) = AT_CLONE.take() {
            act();
        }
        RawWaker::new(ptr::dangling(), &TABLE)
    },
    |_| {},
    |_| {},
    |data| assert!(data.is_null() || panicking(), "on purpose, in the drop of a clone"),
);

/// One whose clones panic when they are dropped.
fn with_clones_that_panic() -> Waker {
    // SAFETY: its functions look at no more than whether the pointer is null.
    unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &TABLE)) }
}

/// Panics when the last waker of it is dropped.
struct Last;

impl Wake for Last {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Last {
    fn drop(&mut self) {
        assert!(panicking(), "on purpose, in the last drop");
    }
}

type Call<F> = Pin<Box<F>>;

fn poll_with<F: Future>(call: &mut Call<F>, waker: &Waker) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(waker))
}

fn poll<F: Future>(call: &mut Call<F>) -> Poll<F::Output> {
    poll_with(call, Waker::noop())
}

/// It waits, and panics if it is ready when it is polled by another task; or else at once, with a waker whose clones panic.
fn waits<F: Future>(call: F, by: By) -> Call<F> {
    let mut call = Box::pin(call);
    let waker = if by == By::Last { Waker::from(Arc::new(Last)) } else { Waker::noop().clone() };
    assert!(poll_with(&mut call, &waker).is_pending());
    call
}

fn panics<F: Future>(call: &mut Call<F>, by: By) {
    let waker = if by == By::Clone { with_clones_that_panic() } else { Waker::noop().clone() };
    assert!(catch_unwind(AssertUnwindSafe(|| poll_with(call, &waker).is_pending())).is_err(), "it panics");
}

/// Which waker panics: the one that was left behind, or the one that is not needed after all.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Last,
    Clone,
}

const BOTH: [By; 2] = [By::Last, By::Clone];

/// One that waits behind it, and how often it was woken.
struct Next<F> {
    call: Call<F>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<F: Future> Next<F> {
    fn waits(call: F) -> Self {
        let (mut call, wakes) = (Box::pin(call), Arc::<Wakes>::default());
        assert!(poll_with(&mut call, &Waker::from(Arc::clone(&wakes))).is_pending());
        Self { call, wakes }
    }

    fn is_woken(&self) -> bool {
        self.wakes.0.load(Ordering::Relaxed) > 0
    }
}

#[test]
fn a_semaphore_has_the_permits_back_and_grants_them_to_the_next() {
    let semaphore = Semaphore::<Sim>::new(2);
    let held = semaphore.try_acquire(2).unwrap();
    // Whoever is granted has been woken by then, so that it is the new waker that isn't needed.
    let mut granted = waits(semaphore.acquire(2), By::Clone);
    let mut next = Next::waits(semaphore.acquire(1));
    drop(held);
    panics(&mut granted, By::Clone);
    assert!(next.is_woken());
    assert!(poll(&mut next.call).is_ready());
    assert_eq!((semaphore.available(), semaphore.waiting()), (2, 0));
    assert!(poll(&mut granted).is_pending(), "it never ends");
    drop(granted);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_semaphore_has_back_what_became_free_meanwhile() {
    let semaphore: &'static Semaphore<Sim> = Box::leak(Box::new(Semaphore::new(1)));
    let held = semaphore.try_acquire(1).unwrap();
    AT_CLONE.set(Some(Box::new(|| drop(held))));
    panics(&mut Box::pin(semaphore.acquire(1)), By::Clone);
    assert_eq!((semaphore.available(), semaphore.waiting()), (1, 0));
}

#[test]
fn a_waker_that_is_replaced_loses_nobody_its_place() {
    let semaphore = Semaphore::<Sim>::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let mut call = waits(semaphore.acquire(1), By::Last);
    panics(&mut call, By::Last);
    drop(held);
    assert!(poll(&mut call).is_ready());
}

#[test]
fn a_bulkhead_has_its_place_back() {
    let bulkhead = Bulkhead::<Sim>::new(1);
    let held = bulkhead.try_acquire().unwrap();
    let mut granted = waits(bulkhead.run(async || Ok::<_, ()>(())), By::Clone);
    let mut next = Next::waits(bulkhead.acquire());
    drop(held);
    panics(&mut granted, By::Clone);
    assert!(next.is_woken());
    assert!(poll(&mut next.call).is_ready());
    assert_eq!(bulkhead.snapshot().running, 0);
}

/// Its timer has a waker too.
#[test]
fn whoever_would_have_waited_no_longer_gives_its_place_back() {
    aplomb_sim::block_on(async {
        let bulkhead = Bulkhead::<Sim>::new(1).max_wait(ms(10));
        let held = bulkhead.try_acquire().unwrap();
        let mut granted = waits(bulkhead.acquire(), By::Last);
        let mut next = Next::waits(bulkhead.acquire());
        drop(held);
        panics(&mut granted, By::Last);
        assert!(next.is_woken());
        assert!(poll(&mut next.call).is_ready());
        assert_eq!(bulkhead.snapshot().running, 0);

        let limit = AdaptiveLimit::<Sim>::new().initial_limit(1).max_wait(ms(10));
        let held = limit.try_acquire().unwrap();
        let mut granted = waits(limit.acquire(), By::Last);
        drop(held);
        panics(&mut granted, By::Last);
        assert_eq!(limit.snapshot().in_flight, 0);
    });
}

#[test]
fn a_limiter_has_the_place_back_and_wakes_the_next() {
    aplomb_sim::block_on(async {
        for by in BOTH {
            let limiter = RateLimiter::<Sim>::with_burst(Rate::per_second(10), 1).max_concurrent(9);
            drop(limiter.try_acquire(1).unwrap());
            let (mut first, next) = (waits(limiter.acquire(1), by), Next::waits(limiter.acquire(1)));
            aplomb_sim::sleep(ms(100)).await;
            panics(&mut first, by);
            assert!(next.is_woken(), "{by:?}");
            assert_eq!((limiter.snapshot().running, limiter.snapshot().waiting), (Some(0), 1), "{by:?}");
            assert!(poll(&mut first).is_pending(), "it never ends");
            drop(first);
            next.call.await.unwrap();
        }
    });
}

#[test]
fn so_it_is_with_a_key() {
    aplomb_sim::block_on(async {
        for by in BOTH {
            let limiter = KeyedRateLimiter::<Sim, u32>::with_burst(Rate::per_second(10), 1).max_concurrent(9);
            drop(limiter.try_acquire(&7, 1).unwrap());
            let (mut first, next) = (waits(limiter.acquire(&7, 1), by), Next::waits(limiter.acquire(&7, 1)));
            aplomb_sim::sleep(ms(100)).await;
            panics(&mut first, by);
            assert!(next.is_woken(), "{by:?}");
            assert_eq!(limiter.snapshot(&7).running, Some(0), "{by:?}");
            next.call.await.unwrap();
        }
    });
}

#[test]
fn whoever_runs_out_of_time_or_is_turned_away_wakes_the_next() {
    aplomb_sim::block_on(async {
        for by in BOTH {
            let limiter = RateLimiter::<Sim>::with_burst(Rate::per_second(10), 2).max_concurrent(1);
            let held = limiter.try_acquire(2).unwrap();
            let in_time = Deadline::after(aplomb_sim::now(), ms(300));
            let (mut late, next) = (waits(limiter.acquire_by(1, in_time), by), Next::waits(limiter.acquire(1)));
            aplomb_sim::sleep(ms(300)).await;
            panics(&mut late, by);
            assert!(next.is_woken(), "{by:?}: its time was up");
            drop((held, next, late));

            drop(limiter.try_acquire(2).unwrap());
            let (mut large, next) = (waits(limiter.acquire(2), by), Next::waits(limiter.acquire(1)));
            limiter.set_rate(TokenBucket::new(Rate::per_second(10)).burst(1)).unwrap();
            // Its waker has been woken.
            panics(&mut large, By::Clone);
            assert!(next.is_woken(), "{by:?}: there can't be so many");
            drop(large);
            next.call.await.unwrap();
        }
    });
}

/// It comes to lead while it leaves another waker behind.
#[test]
fn another_leads_a_flight_and_a_fetch() {
    fn check<A: Future + 'static, B: Future, C: Future<Output = Result<u32, E>>, E: PartialEq + std::fmt::Debug>(
        (leads, follows, next): (A, B, C),
    ) {
        let leads = waits(leads, By::Clone);
        let (mut follows, mut next) = (waits(follows, By::Clone), Next::waits(next));
        AT_CLONE.set(Some(Box::new(|| drop(leads))));
        panics(&mut follows, By::Clone);
        assert!(next.is_woken());
        assert_eq!(poll(&mut next.call), Poll::Ready(Ok(2)));
    }
    let flights: &'static SingleFlight<Sim, u32, u32> = Box::leak(Box::new(SingleFlight::new()));
    let cache: &'static Cache<Sim, u32, u32> = Box::leak(Box::new(Cache::new()));
    check((flights.run(&7, pending), flights.run(&7, || ready(Ok(1))), flights.run(&7, || ready(Ok(2)))));
    check((cache.get(&7, pending), cache.get(&7, || ready(Ok(1))), cache.get(&7, || ready(Ok(2)))));
    assert_eq!((flights.snapshot().flights, cache.snapshot().fetching), (0, 0));
}

/// The waker is not needed, since there is one already.
#[test]
fn another_refresher_has_the_key() {
    let cache: Cache<Sim, u32, u32> = Cache::new().ttl(ms(10)).stale_while_revalidate(ms(100));
    aplomb_sim::block_on(async {
        cache.insert(7, 1);
        aplomb_sim::sleep(ms(10)).await;
        assert_eq!(cache.get(&7, pending).await, Ok(1));
        let refresher = || Box::pin(cache.run(|_| ready(Ok(2))));
        let mut first = refresher();
        panics(&mut first, By::Clone);
        assert!(poll(&mut refresher()).is_pending());
        assert_eq!((cache.peek(&7), cache.snapshot().queued), (Some(2), 0));
    });
}
