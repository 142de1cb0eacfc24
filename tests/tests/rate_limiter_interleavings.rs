//! The rate limiter on several threads: few of them in every interleaving, or every one with three preemptions (loom), and more of them in many (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::key::FoldHash;
use aplomb::rate_limiter::{Acquire, KeyedRateLimiter, Rate, RateLimiter, TokenBucket};
use aplomb::time::{ms, secs};
use aplomb::{Clock, Heap, Instant, Platform, Sleep};
use checkers::{Loom, Shuttle, forgets, is_found_by};

/// Time that goes on with whoever waits for it: a sleep is over when it is polled for the second time, and then its instant has come.
#[derive(Clone, Default)]
struct Hasty(Arc<AtomicU64>);

impl Clock for Hasty {
    type Sleep = HastySleep;

    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Instant) -> HastySleep {
        HastySleep { clock: self.clone(), at, polled: false }
    }
}

struct HastySleep {
    clock: Hasty,
    at: Instant,
    polled: bool,
}

impl Future for HastySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polled {
            self.clock.0.fetch_max(self.at.as_nanos(), Ordering::SeqCst);
        }
        if self.clock.now() >= self.at {
            return Poll::Ready(());
        }
        self.polled = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Sleep for HastySleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        (self.at, self.polled) = (at, false);
    }
}

type Limiter<P> = RateLimiter<P, TokenBucket>;

fn limiter<P: Platform<Clock = Hasty>>(burst: u32, max_concurrent: u32) -> &'static Limiter<P> {
    limiter_of(Rate::per_second(1), burst, max_concurrent)
}

fn limiter_of<P: Platform<Clock = Hasty>>(rate: Rate, burst: u32, max_concurrent: u32) -> &'static Limiter<P> {
    let bucket = TokenBucket::new(rate).burst(burst);
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(RateLimiter::with_clock(Hasty::default(), bucket).max_concurrent(max_concurrent)))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits in line for a moment and leaves; or, as the bug that all this is about, does not give its place up.
fn look_in<P: Platform<Clock = Hasty>>(limiter: &'static Limiter<P>) {
    let mut waits = Box::pin(limiter.acquire(1));
    let _ = poll_once(waits.as_mut());
    if forgets() {
        std::mem::forget(waits);
    }
}

/// Two wait for the one place; one of them leaves at any point, and the other has its turn. Every interleaving with three preemptions.
#[test]
fn no_turn_is_lost_when_a_waiter_leaves() {
    let mut few = loom::model::Builder::new();
    few.preemption_bound = Some(3);
    few.check(|| {
        let limiter = limiter::<Loom<Hasty>>(9, 1);
        let runs = limiter.try_acquire(1).unwrap();
        let waits = loom::thread::spawn(|| drop(loom::future::block_on(limiter.acquire(1)).unwrap()));
        look_in(limiter);
        drop(runs);
        waits.join().unwrap();
        assert_eq!((limiter.snapshot().waiting, limiter.snapshot().running), (0, Some(0)));
    });
}

#[test]
fn loom_finds_a_waiter_that_was_forgotten() {
    is_found_by("no_turn_is_lost_when_a_waiter_leaves");
}

type Waiting = Acquire<&'static Limiter<Loom<Hasty>>, ()>;

/// Counts wake-ups.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The head leaves on one thread while a call ends on another: it waits still, or has been woken, or has just learnt of it.
#[test]
fn a_head_that_leaves_while_it_is_woken_hands_on() {
    fn check(leave: fn(Pin<Box<Waiting>>)) {
        loom::model(move || {
            let limiter = limiter::<Loom<Hasty>>(9, 1);
            let runs = limiter.try_acquire(1).unwrap();
            let [mut head, mut next] = [(); 2].map(|()| Box::pin(limiter.acquire(1)));
            let counted = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&counted));
            assert!(poll_once(head.as_mut()).is_pending());
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            let leaves = loom::thread::spawn(move || leave(head));
            drop(runs);
            leaves.join().unwrap();
            assert!(counted.0.load(Ordering::SeqCst) > 0, "nobody lets it through");
            let Poll::Ready(permit) = poll_once(next.as_mut()) else { panic!("there is a place") };
            drop(permit);
            assert_eq!((limiter.snapshot().waiting, limiter.snapshot().running), (0, Some(0)));
        });
    }
    check(drop);
    check(|mut head| drop(poll_once(head.as_mut())));
}

/// The head holds the only timer, and leaves with it at any point: the next one sets its own.
#[test]
fn the_timer_is_handed_on() {
    loom::model(|| {
        let limiter = limiter::<Loom<Hasty>>(1, u32::MAX);
        drop(limiter.try_acquire(1).unwrap());
        let mut head = Box::pin(limiter.acquire(1));
        assert!(poll_once(head.as_mut()).is_pending());
        let waits = loom::thread::spawn(|| drop(loom::future::block_on(limiter.acquire(1)).unwrap()));
        // It may be its turn: the other's timer moves the clock.
        drop(poll_once(head.as_mut()));
        drop(head);
        waits.join().unwrap();
        assert_eq!(limiter.snapshot().waiting, 0);
        assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(secs(1)), "one was just taken");
    });
}

/// A rate that is changed while the head looks what there is.
#[test]
fn a_new_rate_is_seen_by_whoever_waits() {
    loom::model(|| {
        let limiter = limiter::<Loom<Hasty>>(1, u32::MAX);
        drop(limiter.try_acquire(1).unwrap());
        let waits = loom::thread::spawn(|| drop(loom::future::block_on(limiter.acquire(1)).unwrap()));
        limiter.set_rate(TokenBucket::new(Rate::new(1, ms(100))).burst(1)).unwrap();
        waits.join().unwrap();
        assert_eq!(limiter.snapshot().waiting, 0);
    });
}

/// Of two new rules at once, one comes after the other: it has the burst that the other one set, or the other one replaces it.
#[test]
fn of_two_new_rules_one_is_the_later_for_all_keys() {
    type Limiter = KeyedRateLimiter<Loom<Hasty>, u8, TokenBucket, Heap, FoldHash, 2>;
    loom::model(|| {
        let bucket = TokenBucket::new(Rate::per_second(1));
        let limiter: &'static Limiter = Box::leak(Box::new(KeyedRateLimiter::with_clock(Hasty::default(), bucket)));
        let sets = loom::thread::spawn(move || limiter.set_rate(bucket.burst(5)).unwrap());
        limiter.set_rate(Rate::per_second(2)).unwrap();
        sets.join().unwrap();
        assert!((0..8).all(|key| limiter.snapshot(&key).available == 5));
    });
}

/// Time stands still, so that all permits that are not taken are there, whoever takes them past the lock while another brings them under it.
#[test]
fn every_permit_is_given_once() {
    fn check(meanwhile: fn(&'static Limiter<Loom<Hasty>>) -> u32) {
        // Where the state is unpacked for it, too.
        for rate in [Rate::per_second(1), Rate::new(7, secs(6))] {
            loom::model(move || {
                let limiter = limiter_of::<Loom<Hasty>>(rate, 5, u32::MAX);
                drop(limiter.try_acquire(1).unwrap());
                let other = loom::thread::spawn(|| (0..2).filter(|_| limiter.try_acquire(1).is_ok()).count());
                let taken = meanwhile(limiter) + u32::try_from(other.join().unwrap()).unwrap();
                assert_eq!(limiter.snapshot().available, 4 - taken);
            });
        }
    }
    // Past the lock, both of them.
    check(|limiter| limiter.try_acquire(3).map_or(0, |permit| permit.count()));
    // Under it, and out again.
    check(|limiter| limiter.reserve(2).unwrap().count());
    check(|limiter| {
        assert!(limiter.snapshot().available >= 2);
        limiter.set_rate(TokenBucket::new(Rate::new(2, secs(2))).burst(5)).unwrap();
        0
    });
    // Whoever waits for all that there will be is passed by nobody, and leaves.
    check(|limiter| {
        let mut waits = Box::pin(limiter.acquire(4));
        match poll_once(waits.as_mut()) {
            Poll::Ready(permit) => permit.unwrap().count(),
            Poll::Pending => 0,
        }
    });
}

/// Waits for permits, but for no more than so many polls.
fn wait_or_give_up(limiter: &'static Limiter<Shuttle<Hasty>>, n: u32, polls: u32) {
    let mut waits = pin!(limiter.acquire(n));
    let mut left = polls;
    let permit = shuttle::future::block_on(poll_fn(|cx| {
        let Some(fewer) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = fewer;
        let polled = waits.as_mut().poll(cx).map(|permit| Some(permit.unwrap()));
        if polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    }));
    drop(permit);
}

/// Some wait as long as it takes, some give up at any point, some reserve and give back; the rate is kept, and nobody is left.
/// A failure tells the seed that `SHUTTLE_RANDOM_SEED` replays.
#[test]
fn many_threads_wait_and_leave() {
    let world = || {
        let limiter = limiter::<Shuttle<Hasty>>(3, 2);
        let mut threads: Vec<_> = [1, 3, 2]
            .map(|n| {
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        drop(shuttle::future::block_on(limiter.acquire(n)).unwrap());
                    }
                })
            })
            .into();
        threads
            .extend([1, 2].map(|n| shuttle::thread::spawn(move || (0..4).for_each(|polls| wait_or_give_up(limiter, n, polls)))));
        threads.push(shuttle::thread::spawn(move || (0..3).for_each(|_| drop(limiter.reserve(1).unwrap()))));
        for _ in 0..3 {
            look_in(limiter);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((limiter.snapshot().waiting, limiter.snapshot().running), (0, Some(0)));
        // Those who waited took 18 permits, of which three were there.
        assert!(limiter.reserve(3).unwrap().at() >= Instant::ORIGIN + secs(18));
    };
    shuttle::check_random(world, 500);
}

#[test]
fn shuttle_finds_a_waiter_that_was_forgotten() {
    is_found_by("many_threads_wait_and_leave");
}
