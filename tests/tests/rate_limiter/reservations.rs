//! Reservations among those who wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use aplomb::Instant;
use aplomb::time::secs;
use aplomb_sim::Sim;

type Limiter = aplomb::RateLimiter<Sim>;

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn limiter() -> Limiter {
    let limiter = Limiter::with_burst(aplomb::rate_limiter::Rate::per_second(1), 1);
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
        assert_eq!(limiter.snapshot().waiting, 3, "it stands where it stood");
        ahead.await.unwrap();
        assert_eq!(limiter.snapshot().waiting, 1);
        behind.await.unwrap();
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(7), "at five the one ahead, at six the reservation's");
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
