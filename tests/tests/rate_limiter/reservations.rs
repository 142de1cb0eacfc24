//! Reservations among those who wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, Refused, Reservation, SlidingWindow};
use aplomb::time::{ms, secs};
use aplomb::{ConfigError, Heap, Instant};
use aplomb_sim::{Sim, SimClock};

type Limiter = aplomb::RateLimiter<Sim>;

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn limiter() -> Limiter {
    let limiter = Limiter::with_burst(Rate::per_second(1), 1);
    limiter.try_acquire(1).unwrap();
    limiter
}

/// However many have come and gone in the meantime, a reservation that stood in the queue ends nobody's place but its own.
#[test]
fn one_that_was_taken_in_its_turn_keeps_its_place_to_itself() {
    aplomb_sim::block_on(async {
        let limiter = limiter();
        let mut before = Box::pin(limiter.acquire(1));
        assert!(is_pending(before.as_mut()));
        let reservation = limiter.reserve(1).unwrap();
        drop(before);
        for _ in 0..65_535 {
            assert!(is_pending(Box::pin(limiter.acquire(1)).as_mut()));
        }
        let mut waiter = Box::pin(limiter.acquire(1));
        assert!(is_pending(waiter.as_mut()));
        assert_eq!(reservation.at(), Instant::ORIGIN + secs(2));
        drop(reservation);
        assert_eq!(limiter.snapshot().waiting, 1);
        waiter.await.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(2), "what lies before its instant is gone with who left");
    });
}

/// What was used before those who stood ahead have come is charged all the same, when they have.
#[test]
fn one_that_was_used_in_the_queue_is_charged_in_its_turn() {
    aplomb_sim::block_on(async {
        let limiter = limiter();
        let mut ahead = Box::pin(limiter.acquire(1));
        assert!(is_pending(ahead.as_mut()));
        let reservation = limiter.reserve(1).unwrap();
        let mut behind = Box::pin(limiter.acquire(1));
        assert!(is_pending(behind.as_mut()));
        assert_eq!(reservation.at(), Instant::ORIGIN + secs(2));
        // Nobody polls the one ahead until the reservation is over.
        aplomb_sim::sleep(secs(5)).await;
        drop(reservation);
        assert_eq!(limiter.snapshot().waiting, 2, "it stands where it stood, and is no caller");
        ahead.await.unwrap();
        assert_eq!(limiter.snapshot().waiting, 1);
        behind.await.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(7), "at five the one ahead, at six the reservation's");
    });
}

/// By a rule under which its turn never comes it was charged nothing; given back under another one, it makes nobody richer.
#[test]
fn one_that_was_charged_nothing_gives_nothing_back() {
    aplomb_sim::block_on(async {
        let rate = Rate::new(2, secs(4));
        let limiter = aplomb::RateLimiter::<Sim, _>::with_clock(SimClock, FixedWindow::new(rate));
        limiter.try_acquire(2).unwrap();
        let mut ahead = Box::pin(limiter.acquire(2));
        assert!(is_pending(ahead.as_mut()));
        let reservation = limiter.reserve(2).unwrap();
        assert_eq!(reservation.at(), Instant::ORIGIN + secs(8));
        limiter.set_rate(FixedWindow::new(Rate::new(2, Duration::MAX))).unwrap();
        drop(ahead);
        assert!(limiter.reserve(1).is_err(), "its turn has come, by the rule of now");
        limiter.set_rate(FixedWindow::new(rate)).unwrap();
        drop(reservation);
        assert_eq!(limiter.snapshot().available, 0);
        aplomb_sim::sleep(secs(4)).await;
        assert_eq!(limiter.snapshot().available, 2);
    });
}

/// One that is given back while it stands in the queue was never taken.
#[test]
fn one_that_leaves_the_queue_costs_nothing() {
    aplomb_sim::block_on(async {
        let limiter = limiter();
        let mut ahead = Box::pin(limiter.acquire(1));
        assert!(is_pending(ahead.as_mut()));
        let reservation = limiter.reserve(1).unwrap();
        let mut behind = Box::pin(limiter.acquire(1));
        assert!(is_pending(behind.as_mut()));
        drop(reservation);
        futures_lite::future::zip(ahead, behind).await.1.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(2));
    });
}

/// It gives back what was taken for it, which may be for later than it was told, and nobody else's.
#[test]
fn one_behind_somebody_who_came_late_gives_back_its_own() {
    aplomb_sim::block_on(async {
        let rule = SlidingWindow::<Heap>::new(Rate::per_second(1));
        let limiter = aplomb::RateLimiter::<Sim, _>::with_clock(SimClock, rule);
        limiter.try_acquire(1).unwrap();
        let mut ahead = Box::pin(limiter.acquire(1));
        assert!(is_pending(ahead.as_mut()));
        let reservation = limiter.reserve(1).unwrap();
        let mut behind = Box::pin(limiter.acquire(1));
        assert!(is_pending(behind.as_mut()));
        assert_eq!(reservation.at(), Instant::ORIGIN + secs(2));
        // The one ahead has its turn at one.
        aplomb_sim::sleep(ms(1_500)).await;
        ahead.await.unwrap();
        drop(reservation);
        behind.await.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + ms(2_500));
    });
}

/// What a reservation was told stands, though those before it leave; and nobody else has the same permits.
#[test]
fn ones_behind_those_who_leave_share_no_permits() {
    use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, SlidingCounter, SlidingWindow, TokenBucket};

    fn check<A: Algorithm + Clone>(rule: A, name: &str) {
        aplomb_sim::block_on(async {
            let limiter: aplomb::RateLimiter<Sim, A> = aplomb::RateLimiter::with_clock(aplomb_sim::SimClock, rule);
            limiter.try_acquire(1).unwrap();
            let mut before: Vec<_> = (0..10).map(|_| Box::pin(limiter.acquire(1))).collect();
            assert!(before.iter_mut().all(|waiter| is_pending(waiter.as_mut())));
            let mut behind = Vec::new();
            let mut reserved = Vec::new();
            while before.pop().is_some() {
                reserved.push(limiter.reserve(1).unwrap());
            }
            behind.push(Box::pin(limiter.acquire(1)));
            assert!(behind.iter_mut().all(|waiter| is_pending(waiter.as_mut())));
            reserved.push(limiter.reserve(1).unwrap());
            let mut instants: Vec<u64> = reserved.iter().map(|reservation| reservation.at().as_nanos()).collect();
            for waiter in behind {
                waiter.await.unwrap();
                instants.push(aplomb_sim::now().as_nanos());
            }
            instants.sort_unstable();
            let nearest = instants.windows(2).map(|two| two[1] - two[0]).min().unwrap();
            assert!(nearest >= 1_000_000_000, "{name}: {instants:?}");
        });
    }

    let rate = Rate::per_second(1);
    check(TokenBucket::new(rate), "token bucket");
    check(FixedWindow::new(rate), "fixed window");
    check(SlidingWindow::<aplomb::Heap>::new(rate), "sliding window");
    check(SlidingCounter::new(rate), "sliding counter");
}

/// Whoever leaves makes way: also for one that was behind a reservation that is given back before anybody else has come.
#[test]
fn one_that_is_given_back_when_all_have_left_costs_nothing() {
    aplomb_sim::block_on(async {
        let limiter = limiter();
        let mut all: Vec<_> = (0..100).map(|_| Box::pin(limiter.acquire(1))).collect();
        assert!(all.iter_mut().all(|one| is_pending(one.as_mut())));
        let reservations = [limiter.reserve(1).unwrap(), limiter.reserve(1).unwrap()];
        assert_eq!(reservations.each_ref().map(Reservation::at), [101, 102].map(|at| Instant::ORIGIN + secs(at)));
        drop(all);
        assert_eq!((limiter.snapshot().waiting, limiter.snapshot().available), (0, 0));
        drop(reservations);
        limiter.acquire(1).await.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(1));
    });
}

/// It is charged for when it was to be used, not for when somebody comes.
#[test]
fn one_that_was_used_when_nobody_was_there_is_charged_as_of_then() {
    aplomb_sim::block_on(async {
        let limiter = limiter();
        let mut before = Box::pin(limiter.acquire(1));
        assert!(is_pending(before.as_mut()));
        let reservation = limiter.reserve(1).unwrap();
        drop(before);
        reservation.await;
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(2));
        assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(secs(1)));
        aplomb_sim::sleep(secs(1)).await;
        assert!(limiter.try_acquire(1).is_ok());
        assert_eq!(limiter.snapshot().waiting, 0);
    });
}

/// A rule that notes when it is told of an earlier instant than before.
#[derive(Debug, Clone, Copy)]
struct Paced;

#[derive(Debug, Clone)]
struct Pace {
    latest: Instant,
    next: Instant,
}

impl Pace {
    fn advance(&mut self, now: Instant) {
        assert!(now >= self.latest, "{now:?} after {:?}", self.latest);
        self.latest = now;
    }
}

impl Algorithm for Paced {
    type State = Pace;
    const START: Pace = Pace { latest: Instant::ORIGIN, next: Instant::ORIGIN };

    fn try_take(&self, pace: &mut Pace, now: Instant, n: u32) -> Result<(), Refused> {
        pace.advance(now);
        if pace.next > now {
            return Err(Refused::Until(pace.next));
        }
        pace.next = now + secs(1) * n;
        Ok(())
    }

    fn reserve(&self, pace: &mut Pace, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
        pace.advance(now);
        let at = pace.next.max(not_before);
        pace.next = at + secs(1) * n;
        Some(at)
    }

    fn give_back(&self, pace: &mut Pace, now: Instant, _n: u32, _at: Instant) {
        pace.advance(now);
    }

    fn available(&self, pace: &Pace, now: Instant) -> u32 {
        u32::from(pace.next <= now)
    }

    fn most(&self) -> u32 {
        1
    }

    fn renewed_at(&self, pace: &Pace) -> Instant {
        pace.next
    }

    fn take_over(&self, _pace: &mut Pace, _from: &Self, _now: Instant) {}

    fn config_error(&self) -> Option<ConfigError> {
        None
    }
}

/// Whoever comes, reserves, waits and leaves at random: to a rule, time only goes on, and nobody is let in sooner than it says.
#[test]
fn to_a_rule_time_does_not_run_backwards() {
    for seed in super::seeds(300) {
        let mut random = fastrand::Rng::with_seed(seed);
        aplomb_sim::block_on(async {
            let limiter = aplomb::RateLimiter::<Sim, Paced>::with_clock(SimClock, Paced);
            let (mut waiting, mut reserved) = (Vec::new(), Vec::new());
            for _ in 0..60 {
                match random.u8(..6) {
                    0 => drop(limiter.try_acquire(1)),
                    1 => {
                        let mut waits = Box::pin(limiter.acquire(1));
                        if is_pending(waits.as_mut()) {
                            waiting.push(waits);
                        }
                    }
                    2 => reserved.push(limiter.reserve(1).unwrap()),
                    3 if !waiting.is_empty() => drop(waiting.swap_remove(random.usize(..waiting.len()))),
                    4 if !reserved.is_empty() => drop(reserved.swap_remove(random.usize(..reserved.len()))),
                    _ => aplomb_sim::sleep(ms(random.u64(..1_500))).await,
                }
                waiting.retain_mut(|waits| is_pending(waits.as_mut()));
                let _ = limiter.snapshot();
            }
        });
    }
}
