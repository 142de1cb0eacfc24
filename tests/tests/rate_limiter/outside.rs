//! Past the lock and under it: the same is decided, and who need not wait takes no lock.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::Instant;
use aplomb::rate_limiter::{Acquire, Permit, Rate, RateLimiter, Reservation, TokenBucket};
use aplomb::sync::{AtomicWord, NoWord, Word};
use aplomb::time::{ms, secs};
use aplomb_sim::ManualClock;

use super::locks::{ByHand, clock, locked};
use super::seeds;

type Limiter<W> = RateLimiter<ByHand<W>>;

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// As long as the parts of its nanoseconds can be counted: those of the last one cannot for more than some seconds.
#[test]
fn a_rate_of_fractions_takes_no_lock_either() {
    for (rate, is_counted) in [
        (Rate::new(7, secs(3)), true),
        (Rate::per_minute(9), true),
        (Rate::per_second(60), true),
        (Rate::new(997, ms(1_009)), true),
        (Rate::new(4_294_967_291, secs(86_399)), false),
    ] {
        let clock = clock();
        let limiter = Limiter::<AtomicWord>::with_clock(clock, TokenBucket::new(rate).burst(4));
        drop(limiter.try_acquire(1).unwrap());
        clock.advance(secs(100));
        assert!(limiter.try_acquire(4).is_ok(), "brought in, and set out again, if it can be");
        clock.advance(secs(100));
        let (given, locks) = locked(|| (0..4).all(|_| limiter.try_acquire(1).is_ok()));
        assert_eq!((given, locks == 0), (true, is_counted), "{rate}");
        let (denied, locks) = locked(|| limiter.try_acquire(1).map(drop).unwrap_err().retry_after());
        let nanos = rate.per().as_nanos().div_ceil(u128::from(rate.permits()));
        assert_eq!((denied.unwrap().as_nanos(), locks == 0), (nanos, is_counted), "{rate}");
    }
}

#[test]
fn who_need_not_wait_takes_no_lock() {
    let clock = clock();
    let limiter = Limiter::<AtomicWord>::with_clock(clock, TokenBucket::new(Rate::per_second(10)).burst(4));
    assert!(limiter.try_acquire(1).is_ok(), "the first sets out");
    let (taken, locks) = locked(|| limiter.try_acquire(2).map(|permit| permit.count()));
    assert_eq!((taken, locks), (Ok(2), 0));
    let (taken, locks) = locked(|| poll_once(Box::pin(limiter.acquire(1)).as_mut()).is_ready());
    assert_eq!((taken, locks), (true, 0));
    let (denied, locks) = locked(|| limiter.try_acquire(1).map(drop).unwrap_err().retry_after());
    assert_eq!((denied, locks), (Some(ms(100)), 0));

    // Where somebody waits, a newcomer is told under the lock.
    let mut waits = Box::pin(limiter.acquire(1));
    assert!(poll_once(waits.as_mut()).is_pending());
    clock.advance(ms(50));
    let (denied, locks) = locked(|| limiter.try_acquire(1).map(drop).unwrap_err().retry_after());
    assert!(denied == Some(ms(150)) && locks > 0);
    drop(waits);
    clock.advance(ms(50));
    assert_eq!(locked(|| limiter.try_acquire(1).is_ok()), (true, 0));
}

fn comes_again_after_a_set_back<W: Word>() {
    let clock = clock();
    clock.set(Instant::ORIGIN + secs(3_600));
    let limiter = Limiter::<W>::with_clock(clock, TokenBucket::new(Rate::per_second(10)));
    for _ in 0..10 {
        drop(limiter.try_acquire(1).unwrap());
    }
    clock.set(Instant::ORIGIN + secs(60));
    let denied = limiter.try_acquire(1).map(drop).unwrap_err().retry_after();
    assert_eq!(denied, Some(ms(100)), "59 minutes back are no time");
    clock.advance(ms(100));
    assert!(limiter.try_acquire(1).is_ok() && limiter.try_acquire(1).is_err());
    clock.advance(secs(1));
    assert_eq!(limiter.snapshot().available, 10);
}

/// Though nobody has had any permits since.
fn is_no_time_to_who_was_refused<W: Word>() {
    let clock = clock();
    let limiter = Limiter::<W>::with_clock(clock, TokenBucket::new(Rate::per_minute(1)));
    drop(limiter.try_acquire(1).unwrap());
    let retry_after = || limiter.try_acquire(1).map(drop).unwrap_err().retry_after();
    clock.advance(secs(50));
    assert_eq!(retry_after(), Some(secs(10)));
    clock.set(Instant::ORIGIN + secs(2));
    assert_eq!(retry_after(), Some(secs(10)));
}

/// Permits that are there stay there, and others come as if nothing had happened; by so many seconds back, whether the next to come takes permits or changes the rule.
fn keeps_what_is_there<W: Word>(back: u64, changes: bool) {
    let clock = clock();
    clock.set(Instant::ORIGIN + secs(3_600));
    let limiter = Limiter::<W>::with_clock(clock, TokenBucket::new(Rate::per_minute(60)));
    drop(limiter.try_acquire(1).unwrap());
    clock.advance(secs(100));
    drop(limiter.try_acquire(20).unwrap());
    clock.set(Instant::ORIGIN + secs(3_700 - back));
    if changes {
        limiter.set_rate(Rate::per_minute(60)).unwrap();
    }
    let left = (0..100).take_while(|_| limiter.try_acquire(1).is_ok()).count();
    assert_eq!(left, 40, "{back} s back");
    clock.advance(secs(5));
    assert_eq!(limiter.snapshot().available, 5, "{back} s back");
}

#[test]
fn a_clock_that_is_set_back_is_no_time() {
    comes_again_after_a_set_back::<AtomicWord>();
    comes_again_after_a_set_back::<NoWord>();
    is_no_time_to_who_was_refused::<AtomicWord>();
    is_no_time_to_who_was_refused::<NoWord>();
    for (back, changes) in [1, 10, 30, 59, 60, 61, 3_000].into_iter().flat_map(|back| [(back, false), (back, true)]) {
        keeps_what_is_there::<AtomicWord>(back, changes);
        keeps_what_is_there::<NoWord>(back, changes);
    }
}

#[test]
fn where_more_than_the_rule_decides_the_lock_does() {
    let bucket = TokenBucket::new(Rate::per_second(10));
    let counts = Limiter::<AtomicWord>::with_clock(clock(), bucket).max_concurrent(2);
    let changed = Limiter::<AtomicWord>::with_clock(clock(), bucket);
    changed.set_rate(TokenBucket::new(Rate::per_second(20))).unwrap();
    for limiter in [counts, changed] {
        for _ in 0..3 {
            let ((), locks) = locked(|| drop(limiter.try_acquire(1).unwrap()));
            assert!(locks > 0);
        }
    }
}

type Waiting<W> = Pin<Box<Acquire<&'static Limiter<W>, ()>>>;

/// A limiter, and who has permits, reserves and waits there.
struct World<W: Word + 'static> {
    limiter: &'static Limiter<W>,
    held: Vec<Permit<&'static Limiter<W>>>,
    reserved: Vec<Reservation<&'static Limiter<W>>>,
    waiting: Vec<Waiting<W>>,
}

impl<W: Word + 'static> World<W> {
    fn new(clock: &'static ManualClock<1>, bucket: TokenBucket) -> Self {
        let limiter = Box::leak(Box::new(Limiter::with_clock(clock, bucket)));
        Self { limiter, held: Vec::new(), reserved: Vec::new(), waiting: Vec::new() }
    }

    /// Does something, by a number that says what, and tells what came of it.
    fn step(&mut self, what: u8, n: u32) -> String {
        let index = n as usize;
        match what {
            0..3 => match self.limiter.try_acquire(n) {
                Ok(permit) => {
                    let told = format!("{permit:?}");
                    self.held.push(permit);
                    told
                }
                Err(error) => format!("{error:?}"),
            },
            3 | 4 => match self.limiter.reserve(n) {
                Ok(reservation) => {
                    let told = format!("{:?}", reservation.at());
                    self.reserved.push(reservation);
                    told
                }
                Err(error) => format!("{error:?}"),
            },
            5 if index < self.reserved.len() => format!("{:?}", drop(self.reserved.swap_remove(index))),
            6 => {
                let mut waits = Box::pin(self.limiter.acquire(n));
                let told = poll_once(waits.as_mut());
                if told.is_pending() {
                    self.waiting.push(waits);
                }
                format!("{told:?}")
            }
            7 if index < self.waiting.len() => format!("{:?}", drop(self.waiting.remove(index))),
            8 => {
                let mut told = String::new();
                self.waiting.retain_mut(|waits| {
                    let polled = poll_once(waits.as_mut());
                    _ = write!(told, "{polled:?} ");
                    polled.is_pending()
                });
                told
            }
            9 if n == 0 => {
                let set = self.limiter.set_rate(TokenBucket::new(Rate::new(1, ms(7))).burst(4));
                format!("{set:?}")
            }
            10 if index < self.held.len() => format!("{:?}", self.held.swap_remove(index).give_back()),
            _ => format!("{:?}", self.limiter.snapshot()),
        }
    }
}

/// Sets it back now and then, by more than a reading may be late.
fn set_back(clock: &ManualClock<1>, random: &mut fastrand::Rng) {
    if random.u8(0..20) == 0 {
        clock.set(Instant::from_nanos(clock.now().as_nanos().saturating_sub(random.u64(2..20) * 1_000_000)));
    }
}

#[test]
fn the_same_is_decided_past_the_lock_and_under_it() {
    for seed in seeds(400) {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = clock();
        let rates = [(1, ms(10)), (3, ms(10)), (6, ms(20)), (997, ms(1_009)), (3, Duration::MAX)];
        let (permits, per) = random.choice(rates).unwrap();
        let rate = Rate::new(permits, per);
        let bucket = TokenBucket::new(rate).burst(random.u32(1..6));
        let (mut past, mut under) = (World::<AtomicWord>::new(clock, bucket), World::<NoWord>::new(clock, bucket));
        for step in 0..200 {
            clock.advance(ms(random.u64(0..8)));
            set_back(clock, &mut random);
            let (what, n) = (random.u8(0..12), random.u32(0..6));
            assert_eq!(past.step(what, n), under.step(what, n), "seed {seed} step {step}: {what} with {n}");
        }
    }
}
