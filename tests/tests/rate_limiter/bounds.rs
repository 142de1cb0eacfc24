//! Whatever callers do, no stretch of time has more permits than the rule says.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aplomb::rate_limiter::{
    Acquire, Algorithm, FixedWindow, Permit, Rate, RateLimitError, Reservation, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::time::nanos;
use aplomb_sim::prelude::*;
use aplomb_sim::{Manual, Sim, SimClock};
use fastrand::Rng;

use crate::seeds;

type Limiter<A> = aplomb::RateLimiter<Sim, A>;

/// How many permits were used, and when.
type Used = Vec<(u64, u32)>;

type Waiting<'l, A> = (u32, Pin<Box<Acquire<&'l Limiter<A>, ()>>>);

/// Callers come, wait, reserve, leave and give back at random. Where the rule changes, nobody reserves, since that keeps the instant that it was told by another one.
struct World<'l, A: Algorithm> {
    limiter: &'l Limiter<A>,
    rng: Rng,
    waiting: Vec<Waiting<'l, A>>,
    reserved: Vec<Reservation<&'l Limiter<A>>>,
    held: Vec<(u64, Permit<&'l Limiter<A>>)>,
    used: Used,
    /// One after another, if it changes.
    rules: &'l [A],
}

impl<'l, A: Algorithm + Copy> World<'l, A> {
    fn new(limiter: &'l Limiter<A>, rules: &'l [A], seed: u64) -> Self {
        Self { limiter, rng: Rng::with_seed(seed), waiting: vec![], reserved: vec![], held: vec![], used: vec![], rules }
    }

    fn take_one<T>(rng: &mut Rng, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(rng.usize(..from.len())))
    }

    async fn step(&mut self, most: u32) {
        let (now, n) = (now(), self.rng.u32(1..=most));
        match self.rng.u8(..10) {
            0 => self.used.extend(self.limiter.try_acquire(n).map(|_| (now, n))),
            1 => self.held.extend(self.limiter.try_acquire(n).map(|permit| (now, permit))),
            2 => {
                if let Some((_, permit)) = Self::take_one(&mut self.rng, &mut self.held) {
                    permit.give_back();
                }
            }
            3 | 4 => self.waiting.push((n, Box::pin(self.limiter.acquire(n)))),
            5 => drop(Self::take_one(&mut self.rng, &mut self.waiting)),
            6 => match self.rng.choice(self.rules) {
                Some(rule) => self.limiter.set_rate(*rule).unwrap(),
                None => self.reserved.extend(self.limiter.reserve(n)),
            },
            7 => {
                let ended = Self::take_one(&mut self.rng, &mut self.reserved);
                self.used
                    .extend(ended.filter(|ended| ended.at().as_nanos() <= now).map(|used| (used.at().as_nanos(), used.count())));
            }
            _ => {
                let nap = aplomb_sim::sleep(ns(self.rng.u64(..2_000)));
                let mut nap = pin!(nap);
                return poll_fn(|cx| {
                    self.poll_waiting(cx);
                    nap.as_mut().poll(cx)
                })
                .await;
            }
        }
        self.poll_waiting(&mut Context::from_waker(Waker::noop()));
    }

    /// Polls those who wait, until none of them goes on.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) {
        let Self { waiting, used, .. } = self;
        while let Some(index) = waiting.iter_mut().position(|(n, waits)| match waits.as_mut().poll(cx) {
            Poll::Ready(permit) => {
                match permit {
                    Ok(_) => used.push((now(), *n)),
                    Err(error) => assert!(matches!(error, RateLimitError::TooManyPermits { .. }), "{error}"),
                }
                true
            }
            Poll::Pending => false,
        }) {
            drop(waiting.remove(index));
        }
    }

    /// All that was used, what is still reserved or held included.
    fn end(mut self) -> Used {
        self.used.extend(self.reserved.iter().map(|reserved| (reserved.at().as_nanos(), reserved.count())));
        self.used.extend(self.held.iter().map(|(at, permit)| (*at, permit.count())));
        self.used.sort_unstable();
        self.used
    }
}

fn now() -> u64 {
    aplomb_sim::now().as_nanos()
}

const fn ns(nanos: u64) -> core::time::Duration {
    core::time::Duration::from_nanos(nanos)
}

/// `most` permits in so many nanoseconds, any two instants included.
fn check<A: Algorithm + Copy>(name: &str, rule: A, rules: &[A], most: impl Fn(u64) -> u64) {
    for seed in seeds(1_500) {
        let used = aplomb_sim::block_on(async {
            let limiter = Limiter::with_clock(SimClock, rule);
            aplomb_sim::sleep(ns(10_000)).await;
            let mut world = World::new(&limiter, rules, seed);
            for _ in 0..60 {
                world.step(rule.most()).await;
            }
            world.end()
        });
        for (first, &(from, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for &(to, n) in used.iter().skip(first) {
                sum += u64::from(n);
                let most = most(to - from);
                assert!(sum <= most, "{name}, seed {seed}: {sum} from {from} to {to}, and there are {most}: {used:?}");
            }
        }
    }
}

#[test]
fn no_stretch_of_time_has_more_than_the_rule_says() {
    let rate = Rate::new(5, ns(1_000));
    check("bucket", TokenBucket::new(rate), &[], |time| 5 + (time + 1) * 5 / 1_000);
    // What a reservation is told is right to a nanosecond for each who stands before it.
    check("bucket of fractions", TokenBucket::new(Rate::new(3, ns(1_000))).burst(7), &[], |time| 7 + (time + 20) * 3 / 1_000);
    check("sliding window", SlidingWindow::<Heap>::new(rate), &[], |time| 5 * (time / 1_000 + 1));
    let by_windows = |time| if time < 1_000 { 10 } else { 5 * (time / 1_000 + 2) };
    check("fixed window", FixedWindow::new(rate), &[], by_windows);
    check("sliding counter", SlidingCounter::new(rate), &[], by_windows);
}

/// Of several rules, no more than the most generous of them says.
#[test]
fn nor_where_the_rule_changes() {
    let rate = |permits| Rate::new(permits, ns(1_000));
    let bucket = |permits: u32, burst| TokenBucket::new(rate(permits)).burst(burst);
    check("bucket", bucket(5, 5), &[bucket(5, 5), bucket(1, 5), bucket(3, 2)], |time| 5 + (time + 1) * 5 / 1_000);
    let window = |permits| SlidingWindow::<Heap>::new(rate(permits));
    check("sliding window", window(5), &[window(5), window(1), window(3)], |time| 5 * (time / 1_000 + 1));
    let by_windows = |time| if time < 1_000 { 10 } else { 5 * (time / 1_000 + 2) };
    let window = |permits| FixedWindow::new(rate(permits));
    check("fixed window", window(5), &[window(5), window(1), window(3)], by_windows);
    let counter = |permits| SlidingCounter::new(rate(permits));
    check("sliding counter", counter(5), &[counter(5), counter(1), counter(3)], by_windows);
}

/// One who has reserved, and looks how long it would take, has cost nobody anything.
#[test]
fn a_reservation_that_nobody_came_after_was_never_taken() {
    fn check<A: Algorithm + Copy>(name: &str, rule: A) {
        aplomb_sim::block_on(async {
            let limiter = Limiter::with_clock(SimClock, rule);
            limiter.try_acquire(1).unwrap();
            let reserved = limiter.reserve(10).unwrap();
            assert!(nanos(reserved.delay()) > 0, "{name}");
            drop(reserved);
            assert_eq!(limiter.snapshot().available, 9, "{name}");
            limiter.try_acquire(9).expect(name);
            assert!(limiter.try_acquire(1).is_err(), "{name}");
            // Once somebody has come after it, it has its permits.
            let first = limiter.reserve(10).unwrap();
            let second = limiter.reserve(1).unwrap();
            assert!(second.at() >= first.at(), "{name}");
            assert_eq!(limiter.snapshot().waiting, 0, "{name}: nobody waits");
        });
    }

    let rate = Rate::per_second(10);
    check("token bucket", TokenBucket::new(rate));
    check("fixed window", FixedWindow::new(rate));
    check("sliding window", SlidingWindow::<Heap>::new(rate));
    check("sliding counter", SlidingCounter::new(rate));
}

/// It would take minutes if each of them went through those who are still there.
#[test]
fn any_number_of_callers_leave_one_by_one() {
    const MANY: usize = 100_000;

    let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1);
    aplomb_sim::block_on(async {
        limiter.try_acquire(1).unwrap();
        let mut callers: Vec<_> = (0..MANY).map(|_| Box::pin(limiter.acquire(1))).collect();
        for caller in &mut callers {
            assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let reserved: Vec<_> = (0..5).map(|_| limiter.reserve(1).unwrap()).collect();
        let mut rng = Rng::with_seed(7);
        rng.shuffle(&mut callers);
        drop(callers);
        assert_eq!((limiter.snapshot().waiting, limiter.snapshot().available), (0, 0));
        drop(reserved);
        limiter.acquire(1).await.unwrap();
        assert_eq!(now(), 1_000_000_000);
    });
}

/// What a permit was held for is known though the clock was set back.
#[test]
fn a_clock_that_was_set_back_gives_nothing_back_twice() {
    let clock = aplomb_sim::ManualClock::<4>::new();
    let at = |seconds| aplomb::Instant::ORIGIN + secs(seconds);
    clock.set(at(100));
    let rule = TokenBucket::new(Rate::new(10, secs(10)));
    let limiter = aplomb::RateLimiter::<Manual<'_, 4>, _>::with_clock(&clock, rule);
    let permit = limiter.try_acquire(10).unwrap();
    clock.set(at(90));
    assert_eq!(limiter.snapshot().available, 0, "that was no time");
    clock.set(at(100));
    limiter.try_acquire(10).unwrap();
    permit.give_back();
    assert_eq!(limiter.snapshot().available, 0, "it might have been full meanwhile");
}
