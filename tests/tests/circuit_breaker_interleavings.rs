//! The circuit breaker on several threads: few of them in every interleaving (loom), and more of them in many (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb::circuit_breaker::{Consecutive, Permit, State};
use aplomb::{CircuitBreaker, Platform};
use checkers::{Loom, Shuttle, Still, forgets, is_found_by};

type Breaker<P> = CircuitBreaker<P>;

fn breaker<P: Platform<Clock = Still>>(failures: u32) -> &'static Breaker<P> {
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(CircuitBreaker::with_clock(Still, Consecutive::new(failures)).open_for(Duration::ZERO)))
}

/// One that has opened, for as long as this lasts.
fn open<P: Platform<Clock = Still>>() -> &'static Breaker<P> {
    let breaker = CircuitBreaker::with_clock(Still, Consecutive::new(1)).open_for(Duration::from_secs(1));
    let breaker: &'static Breaker<P> = Box::leak(Box::new(breaker));
    breaker.permit().unwrap().failure();
    breaker
}

/// Calls so often, and says how often it was rejected.
fn calls<P: Platform<Clock = Still>>(breaker: &'static Breaker<P>, times: u32) -> u64 {
    (0..times).map(|_| u64::from(breaker.permit().is_err())).sum()
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

/// Two are rejected past the lock while somebody looks, for which their count is brought in: none is counted twice or lost. Every interleaving with three preemptions.
#[test]
fn each_rejection_is_counted_once() {
    let mut few = loom::model::Builder::new();
    few.preemption_bound = Some(3);
    few.check(|| {
        let breaker = open::<Loom<Still>>();
        let others = [(); 2].map(|()| loom::thread::spawn(|| calls(breaker, 1)));
        let seen = breaker.snapshot().rejected;
        let rejected: u64 = others.into_iter().map(|other| other.join().unwrap()).sum();
        assert_eq!(breaker.snapshot().rejected, rejected);
        assert!(seen <= rejected && rejected == 2);
    });
}

#[test]
fn loom_finds_a_rejection_that_was_forgotten() {
    is_found_by("each_rejection_is_counted_once");
}

/// It is forced about while somebody calls: who is rejected came before it was closed, or after it was open again.
#[test]
fn a_rejection_comes_before_a_change_or_after() {
    let mut few = loom::model::Builder::new();
    few.preemption_bound = Some(3);
    few.check(|| {
        let breaker = open::<Loom<Still>>();
        let other = loom::thread::spawn(|| calls(breaker, 2));
        breaker.force_closed();
        assert!(breaker.permit().is_ok());
        breaker.force_open();
        let rejected = other.join().unwrap();
        assert_eq!(breaker.snapshot().rejected, rejected);
    });
}

/// Whom it rejects as it is made new has come before, and is not counted after.
#[test]
fn nobody_is_rejected_by_what_was_before_a_reset() {
    loom::model(|| {
        let breaker = open::<Loom<Still>>();
        let other = loom::thread::spawn(|| calls(breaker, 2));
        breaker.reset();
        assert!(breaker.permit().is_ok());
        other.join().unwrap();
        assert_eq!((breaker.state(), breaker.snapshot().rejected), (State::Closed, 0));
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
