//! The adaptive limit on several threads: few of them in every interleaving (loom), and more of them in many (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use aplomb::adaptive_limit::{Aimd, Permit};
use aplomb::ratio::percent;
use aplomb::{AdaptiveLimit, Platform};
use checkers::{Loom, Shuttle, Still, forgets, is_found_by};

type Limit<P> = AdaptiveLimit<P, Aimd>;

fn limit<P: Platform<Clock = Still>>(initial: u32) -> &'static Limit<P> {
    let limit = AdaptiveLimit::with_clock(Still, Aimd::new(Duration::MAX)).initial_limit(initial).max_limit(2);
    Box::leak(Box::new(limit.window(Duration::ZERO).min_calls(1).overload_tolerance(percent(0))))
}

/// Ends without a word; or, as the bug that all this is about, is forgotten with its place.
fn leave<P: Platform<Clock = Still>>(permit: Permit<&'static Limit<P>>) {
    if forgets() {
        std::mem::forget(permit);
    } else {
        drop(permit);
    }
}

/// One waits while another makes the limit grow, and a third comes and leaves: the first is let in, at whatever point.
#[test]
fn who_waits_is_let_in_when_the_limit_grows() {
    loom::model(|| {
        let limit = limit::<Loom<Still>>(1);
        let held = limit.try_acquire().unwrap();
        let waits = loom::thread::spawn(|| leave(loom::future::block_on(limit.acquire()).unwrap()));
        let mut third = Box::pin(limit.acquire());
        let polled = third.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "there is one permit, and it is held");
        held.success();
        drop(third);
        waits.join().unwrap();
        let end = limit.snapshot();
        assert_eq!((end.limit, end.in_flight, end.waiting), (2, 0, 0));
    });
}

#[test]
fn loom_finds_a_place_that_was_forgotten() {
    is_found_by("who_waits_is_let_in_when_the_limit_grows");
}

/// Two end at the same time, one well and one by overload: the limit is what one of the two orders makes of it, and the semaphore has as many permits.
#[test]
fn ends_come_one_after_the_other() {
    loom::model(|| {
        let limit = limit::<Loom<Still>>(2);
        let (well, badly) = (limit.try_acquire().unwrap(), limit.try_acquire().unwrap());
        let ends = loom::thread::spawn(move || well.success());
        badly.overload();
        ends.join().unwrap();
        let end = limit.snapshot();
        assert!((1..=2).contains(&end.limit) && end.in_flight == 0, "{end:?}");
        let held: Vec<_> = std::iter::from_fn(|| limit.try_acquire().ok()).collect();
        assert_eq!(held.len(), usize::try_from(end.limit).unwrap());
    });
}

/// Some succeed, some are too much, some leave; never are there more than the limit was at most, and in the end all have gone.
/// A failure tells the seed that `SHUTTLE_RANDOM_SEED` replays.
#[test]
fn many_threads_call() {
    let world = || {
        let limit = limit::<Shuttle<Still>>(1);
        let running = Arc::new(AtomicU32::new(0));
        let calls = |ends: [u32; 4]| {
            let running = Arc::clone(&running);
            move || {
                for end in ends {
                    let permit = shuttle::future::block_on(limit.acquire()).unwrap();
                    assert!(running.fetch_add(1, Ordering::SeqCst) < 2, "three at once");
                    shuttle::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    match end {
                        0 => permit.success(),
                        1 => permit.overload(),
                        _ => leave(permit),
                    }
                }
            }
        };
        let threads = [[0, 1, 1, 0], [1, 0, 2, 1], [2, 0, 0, 1]].map(|ends| shuttle::thread::spawn(calls(ends)));
        for thread in threads {
            thread.join().unwrap();
        }
        let end = limit.snapshot();
        assert_eq!((end.in_flight, end.waiting), (0, 0));
        assert!((1..=2).contains(&end.limit));
    };
    shuttle::check_random(world, 500);
}

#[test]
fn shuttle_finds_a_place_that_was_forgotten() {
    is_found_by("many_threads_call");
}
