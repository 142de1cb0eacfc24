//! Batchers under every interleaving of a few threads (loom), and many of more (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::batcher::Snapshot;
use aplomb::{BatchError, Batcher, Platform};
use checkers::{Loom, Shuttle, forgets, is_found_by};

type Batches<P> = Batcher<P, u32, u32, u32>;
type Call = Pin<Box<dyn Future<Output = Result<u32, BatchError<u32>>> + Send>>;

/// Batches of so many, that wait for nothing but the last of them.
fn batcher<P: Platform<Clock: aplomb::Ambient>>(max_items: u32) -> &'static Batches<P> {
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(Batcher::new(max_items).max_wait(Duration::MAX)))
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn at_rest<P: Platform>(batcher: &Batches<P>) -> bool {
    let Snapshot { waiting, running, .. } = batcher.snapshot();
    (waiting, running) == (0, 0)
}

/// Is ready when it is polled for the second time, with ten times each item.
struct Second(bool, Vec<u32>);

impl Future for Second {
    type Output = Result<Vec<u32>, u32>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Ok(self.1.iter().map(|item| 10 * item).collect()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn tens(items: Vec<u32>) -> Second {
    Second(false, items)
}

/// A call that has been polled once, and waits.
fn waits(batcher: &'static Batches<Loom>, item: u32) -> Call {
    let mut call: Call = Box::pin(batcher.call(item, tens));
    assert!(poll_once(call.as_mut()).is_pending());
    call
}

/// Two come at once, whichever fills the batch: each has its own.
#[test]
fn two_that_come_at_once_have_a_result_each() {
    loom::model(|| {
        let batcher = batcher::<Loom>(2);
        let other = loom::thread::spawn(move || loom::future::block_on(batcher.call(2, tens)));
        assert_eq!(loom::future::block_on(batcher.call(1, tens)), Ok(10));
        assert_eq!(other.join().unwrap(), Ok(20));
        assert!(at_rest(batcher));
    });
}

/// The leader is dropped on one thread, or forgotten as the bug that all this is about, while one of the others leaves on another: the last one starts again.
#[test]
fn a_leader_that_leaves_while_another_one_does_hands_over() {
    loom::model(|| {
        let batcher = batcher::<Loom>(3);
        let (first, second) = (waits(batcher, 1), waits(batcher, 2));
        let mut leader: Call = Box::pin(batcher.call(3, |_| pending::<Result<Vec<u32>, _>>()));
        assert!(poll_once(leader.as_mut()).is_pending());
        let leaves = loom::thread::spawn(move || drop(first));
        if forgets() {
            std::mem::forget(leader);
        } else {
            drop(leader);
        }
        assert_eq!(loom::future::block_on(second), Ok(20));
        leaves.join().unwrap();
        assert!(at_rest(batcher));
    });
}

#[test]
fn loom_finds_a_leader_that_does_not_hand_over() {
    is_found_by("a_leader_that_leaves_while_another_one_does_hands_over");
}

/// One leaves while results are given out: nobody gets another one's.
#[test]
fn one_that_leaves_while_results_are_given_out_takes_nobody_elses() {
    loom::model(|| {
        let batcher = batcher::<Loom>(3);
        let (first, second) = (waits(batcher, 1), waits(batcher, 2));
        let mut leader = pin!(batcher.call(3, tens));
        assert!(poll_once(leader.as_mut()).is_pending());
        let leaves = loom::thread::spawn(move || drop(first));
        assert_eq!(poll_once(leader.as_mut()), Poll::Ready(Ok(30)));
        assert_eq!(loom::future::block_on(second), Ok(20));
        leaves.join().unwrap();
        assert!(at_rest(batcher));
    });
}

/// The first of the line leaves while it is flushed: the flush finds it, or the next one.
#[test]
fn a_flush_while_the_first_one_leaves_is_not_lost() {
    loom::model(|| {
        let batcher = batcher::<Loom>(3);
        let (first, second) = (waits(batcher, 1), waits(batcher, 2));
        let leaves = loom::thread::spawn(move || drop(first));
        assert!(batcher.flush());
        assert_eq!(loom::future::block_on(second), Ok(20));
        leaves.join().unwrap();
        assert!(at_rest(batcher));
    });
}

/// A batch ends on one thread while one comes on another, that there is no room for until then.
#[test]
fn room_that_is_made_while_one_comes_is_seen() {
    loom::model(|| {
        let batcher: &'static Batches<Loom> = Box::leak(Box::new(Batcher::new(1).max_concurrent(1)));
        let mut leader: Call = Box::pin(batcher.call(1, tens));
        assert!(poll_once(leader.as_mut()).is_pending());
        let comes = loom::thread::spawn(move || loom::future::block_on(batcher.call(2, tens)));
        assert_eq!(loom::future::block_on(leader), Ok(10));
        assert_eq!(comes.join().unwrap(), Ok(20));
        assert!(at_rest(batcher));
    });
}

/// Callers come, give up, and flush on several threads.
#[test]
fn many_threads_share_batches_and_leave() {
    let world = || {
        let batcher = shuttle::sync::Arc::new(Batches::<Shuttle>::new(3).max_concurrent(2));
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let batcher = batcher.clone();
                shuttle::thread::spawn(move || {
                    for n in 0..3 {
                        let item = 10 * thread + n;
                        let ended = shuttle::future::block_on(batcher.call(item, tens));
                        assert!(
                            ended == Ok(10 * item) || ended == Err(BatchError::Failed(7)),
                            "its own, or that of all: {ended:?}"
                        );
                        let mut given_up = pin!(batcher.call(item, tens));
                        let _ = poll_once(given_up.as_mut());
                        let _ = poll_once(given_up.as_mut());
                        if n == 1 {
                            batcher.flush();
                        }
                        let fails = |_| ready(Err::<Vec<u32>, _>(7));
                        let mut failing = pin!(batcher.call_once(item, fails));
                        let _ = poll_once(failing.as_mut());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let now = batcher.snapshot();
        assert_eq!((now.waiting, now.running), (0, 0));
    };
    shuttle::check_random(world, 500);
}
