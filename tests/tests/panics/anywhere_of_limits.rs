//! Whatever of its user's panics, and wherever it does: nobody waits for ever to be let in, and no place is lost.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aplomb::edge::Stream;
use aplomb::key::FoldHash;
use aplomb::pool::{self, JobSet};
use aplomb::rate_limiter::{self, Algorithm, FixedWindow, Rate, RateLimitStreamExt, TokenBucket};
use aplomb::sync::Semaphore;
use aplomb::time::ms;
use aplomb::{AdaptiveLimit, Bulkhead, Deadline, Heap, KeyedRateLimiter, Pool, RateLimiter, bulkhead};
use aplomb_sim::{Sim, SimClock};
use futures_lite::StreamExt;

use super::chance::{Callers, Fragile, ODDS, Operation, Wakes, attempt, begin, chance, draw, operation, set_out};

/// From one to so many.
fn some(most: u64) -> u32 {
    1 + u32::try_from(draw(most)).unwrap()
}

fn half() -> bool {
    draw(2) == 0
}

fn any<T>(of: &[T]) -> &T {
    &of[usize::try_from(draw(of.len() as u64)).unwrap()]
}

async fn nap() {
    let odds = ODDS.replace(0);
    aplomb_sim::sleep(ms(draw(20))).await;
    ODDS.set(odds);
}

/// Nothing panics any more, and those who wait are let in.
async fn all_end(mut callers: Callers<'_>, seed: u64) -> Callers<'_> {
    ODDS.set(0);
    for _ in 0..400 {
        aplomb_sim::sleep(ms(100)).await;
        callers.poll_woken();
    }
    assert!(callers.calls.is_empty(), "seed {seed}: {} wait for ever", callers.calls.len());
    callers
}

/// Items that come and panic as they like, and lie about how many they are.
struct Items(u64);

impl Stream for Items {
    type Item = Fragile;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fragile>> {
        chance();
        if self.0 > 0 && draw(3) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        Poll::Ready(left.map(Fragile))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        chance();
        let number = || usize::try_from(draw(9)).unwrap();
        (number(), half().then(number))
    }
}

/// Takes all of a stream, and is no `async` block.
struct Taken<S>(Pin<Box<S>>);

impl<S: Stream> Future for Taken<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(item) = ready!(self.0.as_mut().poll_next(cx)) {
            drop(item);
        }
        Poll::Ready(())
    }
}

type Observes = fn(&rate_limiter::Event);
type Keyed<A> = KeyedRateLimiter<Sim, Fragile, A, Heap, FoldHash, 1, Observes>;
type Held<'l, A> = (&'l Fragile, rate_limiter::Permit<&'l Keyed<A>>);

async fn limiters<A: Algorithm + Copy + 'static>(seed: u64, rule: fn(u32) -> A) {
    set_out(seed);
    let mut limiter = RateLimiter::<Sim, A>::with_clock(SimClock, rule(3)).observed_by((|_| chance()) as Observes);
    let mut keyed: Keyed<A> = KeyedRateLimiter::with_clock(SimClock, rule(3)).capacity(3).observed_by(|_| chance());
    if half() {
        (limiter, keyed) = (limiter.max_concurrent(some(3)), keyed.max_concurrent(some(3)));
    }
    if half() {
        (limiter, keyed) = (limiter.max_waiting(3), keyed.max_waiting(3));
    }
    let (limiter, keyed, keys) = (&limiter, &keyed, &(0..5).map(Fragile).collect::<Vec<_>>());
    let by = || Deadline::after(aplomb_sim::now(), ms(draw(100)));
    let mut callers = Callers::default();
    let (mut permits, mut reserved, mut reserved_too) = (Vec::new(), Vec::new(), Vec::new());
    let mut permits_too: Vec<Held<'_, A>> = Vec::new();
    begin(seed);
    for _ in 0..150 {
        let key = any(keys);
        attempt(|| match draw(22) {
            0..=2 => callers.come(limiter.run_n(some(3), || operation(1))),
            3 => callers.ask(limiter.acquire(some(4))),
            4 => callers.ask(limiter.acquire_by(some(3), by())),
            5 => permits.extend(limiter.try_acquire(some(3))),
            6 => reserved.extend(limiter.reserve(some(3))),
            7 => permits.pop().into_iter().for_each(|permit| {
                if half() {
                    permit.give_back();
                }
            }),
            8 => reserved.pop().into_iter().for_each(|one| {
                if half() {
                    callers.ask(one.into_future());
                }
            }),
            9 => drop(limiter.set_rate(rule(some(4)))),
            10 => callers.ask(Taken(Box::pin(Items(draw(4)).rate_limited(limiter)))),
            11..=13 => callers.come(keyed.run_n(key, some(3), || operation(1))),
            14 => callers.ask(keyed.acquire(key, some(4))),
            15 => callers.ask(keyed.acquire_by(key, some(3), by())),
            16 => permits_too.extend(keyed.try_acquire(key, some(3)).map(|permit| (key, permit))),
            17 => reserved_too.extend(keyed.reserve(key, some(3))),
            18 => permits_too.pop().into_iter().for_each(|(key, permit)| {
                if half() {
                    Keyed::give_back(permit, key);
                }
            }),
            19 => reserved_too.pop().into_iter().for_each(|one| {
                if half() {
                    callers.ask(one.into_future());
                }
            }),
            20 => drop(keyed.set_rate(rule(some(4)))),
            _ => drop(keyed.forget(key)),
        });
        for _ in 0..2 {
            callers.poll_one();
        }
        if draw(4) == 0 {
            nap().await;
        }
    }
    ODDS.set(0);
    drop((permits, reserved, permits_too, reserved_too));
    let _kept = all_end(callers, seed).await;
    for now in keys.iter().map(|key| keyed.snapshot(key)).chain([limiter.snapshot()]) {
        assert_eq!((now.running.unwrap_or(0), now.waiting), (0, 0), "seed {seed}");
    }
    assert!((7..10).all(|key| keyed.try_acquire(&Fragile(key), 1).is_ok()), "seed {seed}: each key can be forgotten");
}

async fn places(seed: u64) {
    set_out(seed);
    let mut bulkhead = Bulkhead::<Sim>::new(some(2)).observed_by((|_| chance()) as fn(&bulkhead::Event));
    let mut limit = AdaptiveLimit::<Sim>::new().initial_limit(some(2));
    if half() {
        (bulkhead, limit) = (bulkhead.max_wait(ms(20)), limit.max_wait(ms(20)));
    }
    if half() {
        (bulkhead, limit) = (bulkhead.max_waiting(3), limit.max_waiting(3));
    }
    let pool = &Pool::<Sim>::new(some(2)).observed_by((|_| chance()) as fn(&pool::Event));
    let (bulkhead, limit, semaphore) = (&bulkhead, &limit, &Semaphore::<Sim>::new(4));
    let (mut callers, mut held) = (Callers::default(), Vec::new());
    begin(seed);
    for _ in 0..150 {
        attempt(|| match draw(18) {
            0..=2 => callers.come(bulkhead.run(|| operation(1))),
            3 => callers.ask(bulkhead.acquire()),
            4 => held.extend(bulkhead.try_acquire()),
            5 => drop(held.pop()),
            6 => drop(bulkhead.set_max_concurrent(some(3))),
            7 | 8 => callers.come(limit.run(|| operation(1))),
            9 => callers.ask(limit.acquire()),
            10 => callers.ask(semaphore.acquire(some(4))),
            11..=13 => callers.come(pool.run(|| operation(1)).priority(some(3).cast_signed())),
            14 => callers.ask(pool.drained()),
            15 if half() => pool.pause(),
            15 => pool.resume(),
            16 => drop(pool.set_concurrency(some(3))),
            _ => drop(half().then(|| pool.cancel_waiting())),
        });
        for _ in 0..2 {
            callers.poll_one();
        }
        if draw(4) == 0 {
            nap().await;
        }
    }
    ODDS.set(0);
    drop(held);
    pool.resume();
    let _kept = all_end(callers, seed).await;
    assert_eq!((bulkhead.snapshot().running, bulkhead.snapshot().waiting), (0, 0), "seed {seed}");
    assert_eq!((limit.snapshot().in_flight, limit.snapshot().waiting), (0, 0), "seed {seed}");
    assert_eq!((semaphore.available(), semaphore.waiting()), (4, 0), "seed {seed}");
    assert!(pool.snapshot().is_idle(), "seed {seed}");
}

async fn items(seed: u64) {
    set_out(seed);
    let set: &JobSet<Sim, Operation, Heap, fn(&pool::Event)> = &JobSet::new(some(3)).observed_by(|_| chance());
    let parallel = || aplomb::parallel::Parallel::<Sim, _, _, _>::of_stream(Items(draw(8)), 3, |item: Fragile| operation(item.0));
    let (mut callers, mut results) = (Callers::default(), None);
    begin(seed);
    for _ in 0..150 {
        attempt(|| match draw(8) {
            0 => callers.come(parallel().on_progress(|_| chance()).into_future()),
            1 => callers.come(parallel().keep_going().completion_order().into_future()),
            2 => callers.come(Taken(Box::pin(parallel().on_progress(|_| chance())))),
            3 => callers.come(Taken(Box::pin(parallel().keep_going()))),
            4 | 5 => drop(set.add(operation(1))),
            6 => drop(half().then(|| set.cancel_waiting())),
            _ => drop(set.set_concurrency(some(3))),
        });
        if results.is_none() {
            results = set.results().ok().map(Box::pin);
        }
        if let Some(results) = &mut results {
            let waker = Waker::from(Arc::new(Wakes::default()));
            attempt(|| results.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
            attempt(|| drop(waker));
        }
        if draw(12) == 0 {
            attempt(|| results = None);
        }
        callers.poll_one();
    }
    let _kept = all_end(callers, seed).await;
    set.close();
    let mut results = results.unwrap_or_else(|| Box::pin(set.results().unwrap()));
    while results.next().await.is_some() {}
    assert!(set.snapshot().is_idle(), "seed {seed}");
}

#[test]
fn nobody_waits_for_ever_and_no_place_is_lost() {
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..300, |seed: u64| seed..seed + 1) {
        aplomb_sim::block_on(limiters(seed, |burst| TokenBucket::new(Rate::per_second(30)).burst(burst)));
        aplomb_sim::block_on(limiters(seed, |permits| FixedWindow::new(Rate::new(permits, ms(50)))));
        aplomb_sim::block_on(places(seed));
        aplomb_sim::block_on(items(seed));
    }
}
