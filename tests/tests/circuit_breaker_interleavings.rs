//! The circuit breaker on several threads: few of them in every interleaving (loom), and more of them in many (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb::circuit_breaker::{Permit, State};
use aplomb::{CircuitBreaker, Platform};
use checkers::{Loom, Shuttle, Still, forgets, is_found_by};

type Breaker<P> = CircuitBreaker<P>;

fn breaker<P: Platform<Clock = Still>>(failures: u32) -> &'static Breaker<P> {
    use aplomb::circuit_breaker::Consecutive;
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(CircuitBreaker::with_clock(Still, Consecutive::new(failures)).open_for(std::time::Duration::ZERO)))
}

/// Ends without a word; or, as the bug that all this is about, is forgotten with its place.
fn leave<P: Platform<Clock = Still>>(permit: Permit<&'static Breaker<P>>) {
    if forgets() {
        std::mem::forget(permit);
    } else {
        drop(permit);
    }
}

/// Two want to be the probe: one is at a time, in whatever order; and whoever leaves makes way.
#[test]
fn one_probe_at_a_time() {
    loom::model(|| {
        let breaker = breaker::<Loom<Still>>(1);
        breaker.permit().unwrap().failure();
        let running = Arc::new(AtomicU32::new(0));
        let probe = |running: Arc<AtomicU32>| {
            if let Ok(permit) = breaker.permit() {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two probes at once");
                loom::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                leave(permit);
            }
        };
        let other = loom::thread::spawn({
            let running = Arc::clone(&running);
            move || probe(running)
        });
        probe(running);
        other.join().unwrap();
        assert_eq!(breaker.snapshot().probes, 0);
        breaker.permit().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn loom_finds_a_place_that_was_forgotten() {
    is_found_by("one_probe_at_a_time");
}

/// A success that takes no lock, between two failures: they are a row, or they are not, but nothing is counted twice or lost.
#[test]
fn a_success_that_changes_nothing_comes_before_or_after() {
    loom::model(|| {
        let breaker = breaker::<Loom<Still>>(2);
        // So that the word beside the lock says that calls go through.
        breaker.permit().unwrap().success();
        let succeeds = loom::thread::spawn(|| breaker.permit().map(Permit::success).is_ok());
        breaker.permit().unwrap().failure();
        let went_through = succeeds.join().unwrap();
        assert!(went_through, "one failure does not open it");
        let failures = breaker.snapshot().tally.failures;
        assert!(failures <= 1);
        breaker.permit().unwrap().failure();
        assert_eq!(breaker.snapshot().opened, failures, "two in a row, if the success came before them");
    });
}

/// Whoever waits for a change is woken by it, at whatever point it comes.
#[test]
fn a_change_is_not_missed() {
    loom::model(|| {
        let breaker = breaker::<Loom<Still>>(1);
        let waits = loom::thread::spawn(|| loom::future::block_on(breaker.changed_from(State::Closed)).unwrap());
        breaker.force_open();
        assert_eq!(waits.join().unwrap(), State::ForcedOpen);
    });
}

/// One of two who wait leaves while the change comes: the other is woken.
#[test]
fn who_leaves_takes_no_wake_up_along() {
    loom::model(|| {
        let breaker = breaker::<Loom<Still>>(1);
        let mut leaves = Box::pin(breaker.changed_from(State::Closed));
        let _pending = leaves.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let waits = loom::thread::spawn(|| loom::future::block_on(breaker.changed_from(State::Closed)).unwrap());
        let changes = loom::thread::spawn(|| breaker.force_open());
        drop(leaves);
        assert_eq!(waits.join().unwrap(), State::ForcedOpen);
        changes.join().unwrap();
    });
}

/// Some succeed, fail and leave, and one forces it about; never is there more than one probe, and in the end it can be closed.
/// A failure tells the seed that `SHUTTLE_RANDOM_SEED` replays.
#[test]
fn many_threads_call() {
    let world = || {
        let breaker = breaker::<Shuttle<Still>>(2);
        let calls = |ends: [u32; 4]| {
            move || {
                for end in ends {
                    let Ok(permit) = breaker.permit() else { continue };
                    shuttle::thread::yield_now();
                    match end {
                        0 => permit.success(),
                        1 => permit.failure(),
                        _ => leave(permit),
                    }
                    assert!(breaker.snapshot().probes <= 1);
                }
            }
        };
        let threads = [[0, 1, 1, 0], [1, 1, 2, 1], [2, 0, 1, 1]].map(|ends| shuttle::thread::spawn(calls(ends)));
        let waits = shuttle::thread::spawn(|| shuttle::future::block_on(breaker.changed_from(State::Disabled)).unwrap());
        breaker.force_open();
        breaker.force_closed();
        for thread in threads {
            thread.join().unwrap();
        }
        waits.join().unwrap();
        assert_eq!(breaker.snapshot().probes, 0);
        breaker.permit().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    };
    shuttle::check_random(world, 500);
}

#[test]
fn shuttle_finds_a_place_that_was_forgotten() {
    is_found_by("many_threads_call");
}
