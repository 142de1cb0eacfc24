//! Single flight under every interleaving of a few threads (loom), and many of more (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aplomb::{FlightError, Platform, SingleFlight, single_flight::Survives};
use checkers::{Loom, Shuttle, forgets, is_found_by};

type Flight<P> = SingleFlight<P, u32, u32, u32>;
type Surviving<P> = SingleFlight<P, u32, u32, u32, Survives>;
type Call = Pin<Box<dyn Future<Output = Result<u32, FlightError<u32>>> + Send>>;

fn flight<P: Platform>() -> &'static Flight<P> {
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(SingleFlight::new()))
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Is ready when it is polled for the second time.
struct Second(bool, u32);

impl Future for Second {
    type Output = Result<u32, u32>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Ok(self.1));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A call that leads, and never ends.
fn leads(flight: &'static Flight<Loom>) -> Call {
    let mut call: Call = Box::pin(flight.run(&1, pending));
    assert!(poll_once(call.as_mut()).is_pending());
    call
}

/// A call that has been polled once, and waits.
fn waits(flight: &'static Flight<Loom>, value: u32) -> Call {
    let mut call: Call = Box::pin(flight.run(&1, move || ready(Ok(value))));
    assert!(poll_once(call.as_mut()).is_pending());
    call
}

/// Two come at once: one shares the other's run, or begins its own after it; nobody is left waiting.
#[test]
fn two_that_come_at_once_have_a_result_each() {
    loom::model(|| {
        let flight = flight::<Loom>();
        let other = loom::thread::spawn(move || loom::future::block_on(flight.run(&1, || Second(false, 2)).with_shared()));
        let one = loom::future::block_on(flight.run(&1, || Second(false, 1)).with_shared());
        let other = other.join().unwrap();
        assert_eq!(one.is_shared, other.is_shared);
        if one.is_shared {
            assert_eq!(one.result, other.result);
        } else {
            assert_eq!((one.result, other.result), (Ok(1), Ok(2)));
        }
        assert_eq!(flight.snapshot().flights, 0);
    });
}

/// The leader is dropped on one thread, or forgotten as the bug that all this is about, while the one that has waited longest leaves on another: the next one leads.
#[test]
fn a_leader_that_leaves_while_a_follower_does_hands_over() {
    loom::model(|| {
        let flight = flight::<Loom>();
        let (leader, first, second) = (leads(flight), waits(flight, 1), waits(flight, 2));
        let leaves = loom::thread::spawn(move || drop(first));
        if forgets() {
            std::mem::forget(leader);
        } else {
            drop(leader);
        }
        assert_eq!(loom::future::block_on(second), Ok(2));
        leaves.join().unwrap();
        assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0));
    });
}

#[test]
fn loom_finds_a_leader_that_does_not_hand_over() {
    is_found_by("a_leader_that_leaves_while_a_follower_does_hands_over");
}

/// The leader is dropped while another one comes: that waits for the follower, or, if all is over by then, leads.
#[test]
fn one_that_comes_while_a_leader_is_dropped_is_not_left_behind() {
    loom::model(|| {
        let flight = flight::<Loom>();
        let leader = leads(flight);
        let comes = loom::thread::spawn(move || loom::future::block_on(flight.run(&1, || ready(Ok(3)))));
        drop(leader);
        assert_eq!(comes.join().unwrap(), Ok(3));
        assert_eq!(flight.snapshot().flights, 0);
    });
}

/// The key is forgotten on one thread while its run ends on another, and a third call comes: it shares the old run, or begins anew, and nobody's end removes another's flight.
#[test]
fn forgetting_while_a_run_ends_disturbs_nobody() {
    loom::model(|| {
        let flight = flight::<Loom>();
        let mut old = pin!(flight.run(&1, || Second(false, 1)));
        assert!(poll_once(old.as_mut()).is_pending());
        let comes = loom::thread::spawn(move || {
            flight.forget(&1);
            loom::future::block_on(flight.run(&1, || Second(false, 2)))
        });
        assert_eq!(loom::future::block_on(old), Ok(1));
        assert_eq!(comes.join().unwrap(), Ok(2), "it has been forgotten before");
        assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0));
    });
}

/// One that has what the leader brings leaves while that is given out: it is given to all others.
#[test]
fn a_follower_that_leaves_while_results_are_given_out_takes_nobody_elses() {
    loom::model(|| {
        let flight = flight::<Loom>();
        let mut leader = pin!(flight.run(&1, || Second(false, 7)));
        assert!(poll_once(leader.as_mut()).is_pending());
        let (first, second) = (waits(flight, 1), waits(flight, 2));
        let leaves = loom::thread::spawn(move || drop(first));
        assert_eq!(poll_once(leader.as_mut()), Poll::Ready(Ok(7)));
        assert_eq!(loom::future::block_on(second), Ok(7));
        leaves.join().unwrap();
        assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0));
    });
}

/// An operation survives its caller, whoever of the others leaves meanwhile, and is not started twice.
#[test]
fn what_survives_its_caller_goes_on_with_whoever_remains() {
    loom::model(|| {
        let flight: &'static Surviving<Loom> = Box::leak(Box::new(SingleFlight::surviving()));
        let call = |value| {
            let mut call: Call = Box::pin(flight.run(&1, move || Second(false, value)));
            assert!(poll_once(call.as_mut()).is_pending());
            call
        };
        let (leader, first, second) = (call(1), call(2), call(3));
        let leaves = loom::thread::spawn(move || drop(first));
        drop(leader);
        assert_eq!(loom::future::block_on(second), Ok(1));
        leaves.join().unwrap();
        assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0));
    });
}

/// Callers of two keys share, give up, and forget on several threads.
#[test]
fn many_threads_share_and_leave() {
    let world = || {
        let flight = shuttle::sync::Arc::new(SingleFlight::<Shuttle, u32, u32, u32>::new());
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let flight = flight.clone();
                shuttle::thread::spawn(move || {
                    for n in 0..3 {
                        let key = (thread + n) % 2;
                        let value = shuttle::future::block_on(flight.run(&key, || Second(false, key)));
                        assert_eq!(value, Ok(key));
                        let mut given_up = pin!(flight.run(&key, || Second(false, key)));
                        let _ = poll_once(given_up.as_mut());
                        if n == 1 {
                            flight.forget(&key);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((flight.snapshot().flights, flight.snapshot().waiting), (0, 0));
    };
    shuttle::check_random(world, 500);
}
