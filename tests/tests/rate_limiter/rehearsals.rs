//! Reservations behind others: what those take is played on a copy, which the next reservation takes up.

use std::future::Future;
use std::mem::forget;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use aplomb::rate_limiter::{
    Acquire, Algorithm, FixedWindow, KeyedRateLimiter, Permit, Rate, RateLimitError, RateLimiter, Reservation, SlidingCounter,
    SlidingWindow, TokenBucket,
};
use aplomb::sync::NoWord;
use aplomb::time::{duration, ms, secs};
use aplomb::{Heap, Instant};
use aplomb_sim::ManualClock;

use super::locks::{ByHand, clock};
use super::refits::{Counted, steps};
use super::seeds;

type Limiter = RateLimiter<ByHand<NoWord>, TokenBucket, Counted>;
type Keyed<A> = KeyedRateLimiter<ByHand<NoWord>, u8, A, Heap>;
type Waiting<A> = Pin<Box<Acquire<&'static Keyed<A>, &'static u8>>>;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn each_takes_a_few_steps() {
    const MANY: u32 = 2_000;
    let clock = clock();
    let limiter = Limiter::with_clock(clock, TokenBucket::new(Rate::per_second(1)).burst(1));
    drop(limiter.try_acquire(1).unwrap());
    let (mut waiting, mut reserved) = (Vec::new(), Vec::new());
    for number in 0..MANY {
        // Some come to wait between them.
        if number % 10 == 0 {
            waiting.push(Box::pin(limiter.acquire(1)));
            assert!(waiting.last_mut().is_some_and(|last| poll(last).is_pending()));
        }
        clock.advance(duration(1_000));
        let taken = steps(|| reserved.push(limiter.reserve(1).unwrap()));
        assert!(taken <= 40, "{taken} for the {number}th");
    }
    assert_eq!(reserved.last().map(Reservation::at), Some(Instant::ORIGIN + secs(1 + 2_200)));
}

/// The line of a key, and who is there.
struct World<A: Algorithm + Copy + 'static> {
    limiter: &'static Keyed<A>,
    held: Vec<Permit<&'static Keyed<A>>>,
    reserved: Vec<Reservation<&'static Keyed<A>>>,
    waiting: Vec<Waiting<A>>,
}

/// One of the newest.
fn take<T>(from: &mut Vec<T>, n: u32) -> Option<T> {
    let index = from.len().checked_sub(1 + n as usize)?;
    Some(from.swap_remove(index))
}

impl<A: Algorithm + Copy + 'static> World<A> {
    fn new(clock: &'static ManualClock<1>, rule: A, max_concurrent: u32) -> Self {
        let limiter: &Keyed<A> = Box::leak(Box::new(Keyed::with_clock(clock, rule).max_concurrent(max_concurrent)));
        // Of another key, somebody waits for ever.
        drop(limiter.try_acquire(&8, rule.most()).unwrap());
        let mut waits = Box::pin(limiter.acquire(&8, 1));
        assert!(poll(&mut waits).is_pending());
        forget(waits);
        Self { limiter, held: Vec::new(), reserved: Vec::new(), waiting: Vec::new() }
    }

    /// From when on its permits may be used.
    fn reserve(&mut self, n: u32) -> Result<Instant, RateLimitError> {
        let reservation = self.limiter.reserve(&7, n)?;
        let at = reservation.at();
        self.reserved.push(reservation);
        Ok(at)
    }

    /// The same. Somebody has reserved for another key, so that what was played for this one is forgotten.
    fn reserve_anew(&mut self, n: u32) -> Result<Instant, RateLimitError> {
        let _other = self.limiter.reserve(&8, 1).unwrap();
        self.reserve(n)
    }

    fn step(&mut self, what: u8, n: u32, rules: &[A]) {
        match what {
            0 | 1 => self.held.extend(self.limiter.try_acquire(&7, n)),
            2 => drop(take(&mut self.held, n)),
            3 | 4 => drop(take(&mut self.held, n / 2).map(|permit| Keyed::give_back(permit, &7))),
            5 => drop(take(&mut self.reserved, n)),
            6 => drop(take(&mut self.waiting, n)),
            7 | 8 => self.waiting.push(Box::pin(self.limiter.acquire(&7, n))),
            9 if (n as usize) < rules.len() => self.limiter.set_rate(rules[n as usize]).unwrap(),
            _ => {}
        }
        let held = &mut self.held;
        self.waiting.retain_mut(|waits| match poll(waits) {
            Poll::Ready(admitted) => {
                held.extend(admitted);
                false
            }
            Poll::Pending => true,
        });
    }
}

fn check<A: Algorithm + Copy + 'static>(rule: impl Fn(Rate, u32) -> A) {
    for seed in seeds(300) {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = clock();
        let rates = [Rate::new(1, ms(10)), Rate::new(3, ms(10)), Rate::new(7, ms(5)), Rate::new(5, duration(7))];
        let rules: [A; 3] = std::array::from_fn(|_| rule(rates[random.usize(..rates.len())], random.u32(1..5)));
        let max_concurrent = random.choice([u32::MAX, 1, 3]).unwrap();
        let [mut taken_up, mut anew] = [(); 2].map(|()| World::new(clock, rules[0], max_concurrent));
        for step in 0..200 {
            clock.advance(duration(random.u64(..5) * random.choice([0, 1, 1_000_000]).unwrap()));
            let (what, n) = (random.u8(..16), random.u32(..5));
            if what < 10 {
                taken_up.step(what, n, &rules);
                anew.step(what, n, &rules);
            } else {
                assert_eq!(taken_up.reserve(n), anew.reserve_anew(n), "seed {seed} step {step}");
            }
            assert_eq!(taken_up.limiter.snapshot(&7), anew.limiter.snapshot(&7), "seed {seed} step {step}");
        }
    }
}

#[test]
fn whoever_reserves_is_told_the_same_as_if_all_were_played_anew() {
    check(|rate, burst| TokenBucket::new(rate).burst(burst));
    check(|rate, _| FixedWindow::new(rate));
    check(|rate, _| SlidingCounter::new(rate));
    check(|rate, _| SlidingWindow::<Heap>::new(rate));
}
