//! Every interleaving of two threads (loom), and many of three (shuttle): for core, a model checker is one more lock.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::children::{Children, FutureGroup, Turn};
use aplomb::sync::{Acquire, Semaphore};
use aplomb::{Inline, OwnWakers, Platform, RetryBudget};
use checkers::{Loom, LoomLock, Shuttle, ShuttleLock, forgets, is_found_by};

/// Waits in line for a moment, and leaves.
fn look_in_and_leave<P: Platform>(semaphore: &Semaphore<P>) {
    let mut waiting = pin!(semaphore.acquire(1));
    let _ = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

/// As [`look_in_and_leave`], with the bug that all this is about: the place in line is not given up.
fn look_in_and_forget<P: Platform>(semaphore: &Semaphore<P>) {
    let mut waiting = std::mem::ManuallyDrop::new(semaphore.acquire(1));
    // SAFETY: it is neither moved nor dropped.
    #[allow(unsafe_code, reason = "what must never be forgotten is forgotten here on purpose")]
    let pinned = unsafe { std::pin::Pin::new_unchecked(&mut *waiting) };
    let _ = pinned.poll(&mut Context::from_waker(Waker::noop()));
}

fn passer_by<P: Platform>() -> fn(&Semaphore<P>) {
    if forgets() { look_in_and_forget } else { look_in_and_leave }
}

#[test]
fn no_wake_up_is_lost_when_a_waiter_leaves() {
    let passer_by = passer_by::<Loom>();
    loom::model(move || {
        let semaphore = loom::sync::Arc::new(Semaphore::<Loom>::new(1));
        let held = semaphore.try_acquire(1).unwrap();
        let waits = {
            let semaphore = semaphore.clone();
            loom::thread::spawn(move || drop(loom::future::block_on(semaphore.acquire(1)).unwrap()))
        };
        passer_by(&semaphore);
        drop(held);
        waits.join().unwrap();
        assert_eq!((semaphore.available(), semaphore.waiting()), (1, 0));
    });
}

#[test]
fn loom_finds_a_waiter_that_was_forgotten() {
    is_found_by("no_wake_up_is_lost_when_a_waiter_leaves");
}

/// The head of the queue leaves on one thread while the other gives back: it waits still, or has been granted what it did not live to see, or has just learnt of it.
#[test]
fn a_waiter_that_leaves_while_it_is_granted_hands_on() {
    type Waiting = Pin<Box<Acquire<&'static Semaphore<Loom>>>>;
    fn check(leave: fn(Waiting)) {
        loom::model(move || {
            let semaphore: &'static Semaphore<Loom> = Box::leak(Box::new(Semaphore::new(3)));
            let held = semaphore.try_acquire(2).unwrap();
            // The large one at the head is in the way of the small one behind it, for which there would be enough.
            let [mut large, mut small] = [2, 1].map(|n| Box::pin(semaphore.acquire(n)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(large.as_mut().poll(&mut cx).is_pending());
            assert!(small.as_mut().poll(&mut cx).is_pending());
            let leaves = loom::thread::spawn(move || leave(large));
            drop(held);
            leaves.join().unwrap();
            let Poll::Ready(permit) = small.as_mut().poll(&mut cx) else { panic!("nobody lets it through") };
            drop(permit);
            assert_eq!((semaphore.available(), semaphore.waiting()), (3, 0));
        });
    }
    check(drop);
    check(|mut head| drop(head.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
}

/// One gives back, and the head of the queue leaves, while there become more permits, or fewer, or none any more: the one behind is told in any case.
#[test]
fn a_change_while_one_gives_back_and_another_leaves_is_told_to_who_waits() {
    fn check(change: fn(&Semaphore<Loom>), permits: u32) {
        loom::model(move || {
            let semaphore: &'static Semaphore<Loom> = Box::leak(Box::new(Semaphore::new(3)));
            let held = semaphore.try_acquire(2).unwrap();
            let [mut large, mut small] = [2, 1].map(|n| Box::pin(semaphore.acquire(n)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(large.as_mut().poll(&mut cx).is_pending());
            assert!(small.as_mut().poll(&mut cx).is_pending());
            let gives_back = loom::thread::spawn(move || drop(held));
            let leaves = loom::thread::spawn(move || drop(large));
            change(semaphore);
            gives_back.join().unwrap();
            leaves.join().unwrap();
            let Poll::Ready(told) = small.as_mut().poll(&mut cx) else { panic!("nobody tells it") };
            assert!(told.is_ok() || semaphore.is_closed());
            drop(told);
            assert_eq!((semaphore.available(), semaphore.waiting()), (permits, 0));
        });
    }
    check(|semaphore| semaphore.set_permits(1), 1);
    check(|semaphore| semaphore.set_permits(4), 4);
    check(Semaphore::close, 3);
}

/// One takes past the lock or waits for it, one tries, and one looks, which brings everything under the lock and sets it out again: there is one permit, and never two who hold it.
#[test]
fn a_permit_has_one_holder_past_the_lock_and_under_it() {
    use loom::sync::atomic::{AtomicBool, Ordering};
    fn hold(is_held: &AtomicBool) {
        assert!(!is_held.swap(true, Ordering::Relaxed), "two hold it");
        is_held.store(false, Ordering::Relaxed);
    }
    loom::model(|| {
        let semaphore: &'static Semaphore<Loom> = Box::leak(Box::new(Semaphore::new(1)));
        let is_held = loom::sync::Arc::new(AtomicBool::new(false));
        drop(semaphore.try_acquire(1).unwrap());
        let waits = {
            let is_held = is_held.clone();
            loom::thread::spawn(move || {
                let _permit = loom::future::block_on(semaphore.acquire(1)).unwrap();
                hold(&is_held);
            })
        };
        if let Ok(_permit) = semaphore.try_acquire(1) {
            hold(&is_held);
        }
        assert!(semaphore.available() <= 1);
        waits.join().unwrap();
        assert_eq!((semaphore.available(), semaphore.waiting()), (1, 0));
    });
}

#[test]
fn a_budget_neither_loses_nor_makes_tokens() {
    loom::model(|| {
        let budget = loom::sync::Arc::new(RetryBudget::<Loom>::new(10).retry_cost(5).success_refund(1));
        let other = budget.clone();
        let retries = loom::thread::spawn(move || other.withdraw().map(aplomb::retry::Charge::spend).is_some());
        drop(budget.withdraw());
        budget.deposit();
        assert!(retries.join().unwrap());
        assert!((5..=6).contains(&budget.available()), "{}", budget.available());
    });
}

/// Waits for permits, but for no more than so many polls.
fn wait_or_give_up(semaphore: &Semaphore<Shuttle>, n: u32, polls: u32) {
    let mut waiting = pin!(semaphore.acquire(n));
    let mut left = polls;
    let permit = shuttle::future::block_on(poll_fn(|cx| {
        let Some(fewer) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = fewer;
        let polled = waiting.as_mut().poll(cx).map(|permit| Some(permit.unwrap()));
        if polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    }));
    drop(permit);
}

/// Some wait as long as it takes; some give up, at any point; some are the first in line, with a request that is large.
/// A failure tells the seed that `SHUTTLE_RANDOM_SEED` replays.
#[test]
fn many_threads_wait_and_leave() {
    let passer_by = passer_by::<Shuttle>();
    let world = move || {
        let semaphore = shuttle::sync::Arc::new(Semaphore::<Shuttle>::new(2));
        let mut threads: Vec<_> = [1, 2, 1]
            .map(|n| {
                let semaphore = semaphore.clone();
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        drop(shuttle::future::block_on(semaphore.acquire(n)).unwrap());
                    }
                })
            })
            .into();
        threads.extend([1, 2].map(|n| {
            let semaphore = semaphore.clone();
            shuttle::thread::spawn(move || (0..4).for_each(|polls| wait_or_give_up(&semaphore, n, polls)))
        }));
        for _ in 0..3 {
            passer_by(&semaphore);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((semaphore.available(), semaphore.waiting()), (2, 0));
    };
    shuttle::check_random(world, 500);
}

/// Callers of a semaphore that grows and shrinks have their permits, or learn that there are not so many; and in the end they have them all, or learn that it is closed. Nobody gives back what would let them go otherwise.
#[test]
fn many_threads_wait_while_it_is_resized_and_closed() {
    use aplomb::sync::AcquireError;
    fn wait(semaphore: &shuttle::sync::Arc<Semaphore<Shuttle>>, n: u32) {
        for _ in 0..3 {
            match shuttle::future::block_on(Semaphore::acquire_owned(semaphore.clone(), n)) {
                Ok(mut permit) => drop(permit.split(n / 2)),
                Err(AcquireError::TooMany { permits, .. }) => assert!(permits < n),
                Err(error) => assert!(error == AcquireError::Closed && semaphore.is_closed()),
            }
            look_in_and_leave(semaphore);
        }
    }
    fn check(sizes: &'static [u32], last: fn(&Semaphore<Shuttle>)) {
        let world = move || {
            let semaphore = shuttle::sync::Arc::new(Semaphore::<Shuttle>::new(2));
            let held = Semaphore::try_acquire_owned(semaphore.clone(), 1).unwrap();
            let threads = [1, 2, 2].map(|n| {
                let semaphore = semaphore.clone();
                shuttle::thread::spawn(move || wait(&semaphore, n))
            });
            for permits in sizes {
                semaphore.set_permits(*permits);
            }
            last(&semaphore);
            for thread in threads {
                thread.join().unwrap();
            }
            drop(held);
            assert_eq!((semaphore.available(), semaphore.waiting()), (semaphore.permits(), 0));
        };
        shuttle::check_random(world, 300);
    }
    check(&[1, 3, 1], |semaphore| semaphore.set_permits(3));
    check(&[3, 2, 0], |semaphore| semaphore.set_permits(3));
    check(&[3, 2], Semaphore::close);
}

#[test]
fn shuttle_finds_a_waiter_that_was_forgotten() {
    is_found_by("many_threads_wait_and_leave");
}

/// A child's wake from another thread is not lost: neither while it is polled, nor while it is in the queue already, since it has woken itself. What the waker wrote before is seen.
#[test]
fn the_wake_of_a_child_is_never_lost() {
    use loom::sync::atomic::{AtomicBool, Ordering};
    loom::model(|| {
        let written = loom::sync::Arc::new(AtomicBool::new(false));
        let mut children = OwnWakers::<LoomLock>::EMPTY;
        let (mut polls, mut other) = (0, None);
        loom::future::block_on(poll_fn(|cx| {
            children.begin(1, cx.waker());
            while let Some(slot) = children.next_ready() {
                let ended = children.poll_child(slot, cx, |cx| {
                    if written.load(Ordering::Relaxed) {
                        return true;
                    }
                    polls += 1;
                    if polls == 1 {
                        let (written, waker) = (written.clone(), cx.waker().clone());
                        other = Some(loom::thread::spawn(move || {
                            written.store(true, Ordering::Relaxed);
                            waker.wake();
                        }));
                        cx.waker().wake_by_ref();
                    }
                    false
                });
                if ended {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        }));
        other.take().unwrap().join().unwrap();
    });
}

/// As above, of the first child of a group, which another thread may wake before the group knows whom to tell.
#[test]
fn the_wake_of_the_first_child_is_never_lost() {
    use loom::sync::atomic::{AtomicBool, Ordering};
    loom::model(|| {
        let written = loom::sync::Arc::new(AtomicBool::new(false));
        let other = Rc::new(Cell::new(None));
        let thread = Rc::clone(&other);
        let mut child = Some(poll_fn(move |cx| {
            if written.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            let (written, waker) = (written.clone(), cx.waker().clone());
            let wake = move || {
                written.store(true, Ordering::Relaxed);
                waker.wake();
            };
            // Woken without cause, it leaves the thread alone that there is.
            thread.set(thread.take().or_else(|| Some(loom::thread::spawn(wake))));
            Poll::Pending
        }));
        let mut group = pin!(FutureGroup::<_, (), OwnWakers<LoomLock>, Inline<1>>::new(1));
        loom::future::block_on(poll_fn(|cx| {
            let mut turn = Turn::new();
            if group.as_mut().next_ended(&mut turn, cx).is_some() {
                return Poll::Ready(());
            }
            let Some(child) = child.take() else { return Poll::Pending };
            let ended = group.as_mut().vacancy().unwrap().admit((), child, &mut turn, cx);
            if ended.is_some() { Poll::Ready(()) } else { Poll::Pending }
        }));
        other.take().into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Several children, each woken by a thread of its own, more than once.
#[test]
fn the_wakes_of_many_children_are_never_lost() {
    use shuttle::sync::atomic::{AtomicU32, Ordering};
    const WAKES: u32 = 3;
    let world = || {
        let written = shuttle::sync::Arc::new([const { AtomicU32::new(0) }; 3]);
        let mut children = OwnWakers::<ShuttleLock>::EMPTY;
        let mut threads = Vec::new();
        shuttle::future::block_on(poll_fn(|cx| {
            children.begin(3, cx.waker());
            while let Some(slot) = children.next_ready() {
                children.poll_child(slot, cx, |cx| {
                    if threads.len() <= slot {
                        let (written, waker) = (written.clone(), cx.waker().clone());
                        threads.push(shuttle::thread::spawn(move || {
                            for _ in 0..WAKES {
                                written[slot].fetch_add(1, Ordering::SeqCst);
                                waker.wake_by_ref();
                            }
                        }));
                    }
                });
            }
            let all = written.iter().all(|written| written.load(Ordering::SeqCst) == WAKES);
            if all { Poll::Ready(()) } else { Poll::Pending }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
    };
    shuttle::check_random(world, 500);
}
