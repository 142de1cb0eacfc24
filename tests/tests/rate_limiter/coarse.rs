//! Timers that are coarser than the clock: tokio's, of a millisecond. A bucket's rate is met all the same, and nobody comes sooner for it; and in no stretch of time does a sliding window let more go than it says.

use std::rc::Rc;
use std::time::Duration;

use aplomb::rate_limiter::{
    Algorithm, Bucket, FixedWindow, Rate, RateLimiter, Refused, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::{ConfigError, Heap};
use aplomb_tokio::{Tokio, TokioClock};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, advance, sleep};

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// When so many callers go who come together.
async fn goes<A: Algorithm + 'static>(rule: A, callers: u32) -> Vec<Instant> {
    let limiter = Rc::new(RateLimiter::<Tokio, A>::with_clock(TokioClock, rule));
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let limiter = Rc::clone(&limiter);
            spawn_local(async move {
                drop(limiter.acquire(1).await.unwrap());
                Instant::now()
            })
        })
        .collect();
    let mut went = Vec::new();
    for caller in callers {
        went.push(caller.await.unwrap());
    }
    went
}

/// How long so many callers take who come together.
async fn takes<A: Algorithm + 'static>(rule: A, callers: u32) -> Duration {
    let began = Instant::now();
    goes(rule, callers).await;
    began.elapsed()
}

/// A thousand callers take as long as with a timer that is exact, and at most a tick more.
async fn meets<A: Algorithm + Copy + 'static>(rule: A) {
    let mut state = A::START;
    let exact = (0..1_000)
        .map(|_| rule.reserve(&mut state, aplomb::Instant::ORIGIN, aplomb::Instant::ORIGIN, 1).unwrap())
        .last()
        .unwrap();
    let (took, exact) = (takes(rule, 1_000).await, Duration::from_nanos(exact.as_nanos()));
    assert!((exact..=exact + Duration::from_millis(1)).contains(&took), "{took:?}, but {exact:?} with an exact timer");
}

#[test]
fn ten_permits_a_tick_are_ten_permits_a_tick() {
    paused(async {
        let each = Rate::new(10, Duration::from_micros(1_700));
        meets(TokenBucket::new(Rate::per_second(10_000)).burst(1)).await;
        meets(TokenBucket::new(each)).await;
    });
}

#[test]
fn late_timers_let_nobody_go_too_soon() {
    paused(async {
        for (permits, per) in [(10, 1_700), (5, 20_000), (1, 300)] {
            let rate = Rate::new(permits, Duration::from_micros(per));
            let went = goes(SlidingWindow::<Heap>::new(rate), 200).await;
            let stretches = went.iter().zip(went.iter().skip(permits as usize)).map(|(from, to)| *to - *from);
            let shortest = stretches.min().unwrap();
            assert!(shortest >= rate.per(), "{permits} and one in {shortest:?}");
            for went in [goes(FixedWindow::new(rate), 200).await, goes(SlidingCounter::new(rate), 200).await] {
                assert!(*went.last().unwrap() - went[0] >= rate.per() * (199 / permits), "{went:?}");
            }
        }
    });
}

/// A rule of one's own, which does not tell when it will have how many.
#[derive(Clone, Copy)]
struct Plain(TokenBucket);

impl Algorithm for Plain {
    type State = Bucket;
    const START: Bucket = TokenBucket::START;

    fn try_take(&self, state: &mut Bucket, now: aplomb::Instant, n: u32) -> Result<(), Refused> {
        self.0.try_take(state, now, n)
    }

    fn reserve(&self, state: &mut Bucket, now: aplomb::Instant, not_before: aplomb::Instant, n: u32) -> Option<aplomb::Instant> {
        self.0.reserve(state, now, not_before, n)
    }

    fn give_back(&self, state: &mut Bucket, now: aplomb::Instant, n: u32, at: aplomb::Instant) {
        self.0.give_back(state, now, n, at);
    }

    fn available(&self, state: &Bucket, now: aplomb::Instant) -> u32 {
        self.0.available(state, now)
    }

    fn most(&self) -> u32 {
        self.0.most()
    }

    fn counts_late_as_due(&self) -> bool {
        true
    }

    fn renewed_at(&self, state: &Bucket) -> aplomb::Instant {
        self.0.renewed_at(state)
    }

    fn take_over(&self, state: &mut Bucket, from: &Self, now: aplomb::Instant) {
        self.0.take_over(state, &from.0, now);
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.0.config_error()
    }
}

#[test]
fn a_rule_that_does_not_tell_when_is_asked_again() {
    paused(async {
        // Several a tick, and one in some ticks.
        for rate in [Rate::per_second(10_000), Rate::per_second(300)] {
            meets(Plain(TokenBucket::new(rate).burst(5))).await;
        }
    });
}

#[test]
fn whoever_waited_for_a_call_is_counted_from_when_that_ended() {
    paused(async {
        let limiter = Rc::new(RateLimiter::<Tokio>::with_burst(Rate::new(1, Duration::from_millis(100)), 1).max_concurrent(1));
        let runs = limiter.acquire(1).await.unwrap();
        let waits = Rc::clone(&limiter);
        let waits = spawn_local(async move { drop(waits.acquire(1).await.unwrap()) });
        sleep(Duration::from_micros(500_900)).await;
        drop(runs);
        waits.await.unwrap();
        let refused = limiter.try_acquire(1).unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
    });
}

#[test]
fn whoever_comes_far_too_late_is_counted_from_then() {
    paused(async {
        let limiter = Rc::new(RateLimiter::<Tokio>::with_burst(Rate::new(1, Duration::from_millis(100)), 1));
        drop(limiter.acquire(1).await.unwrap());
        let waits = Rc::clone(&limiter);
        let waits = spawn_local(async move { drop(waits.acquire(1).await.unwrap()) });
        sleep(Duration::from_millis(50)).await;
        advance(Duration::from_millis(500)).await;
        waits.await.unwrap();
        let refused = limiter.try_acquire(1).unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
    });
}
