//! The semaphore: whoever leaves, in whatever state, lets the next one through.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod locks;

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::Inline;
use aplomb::storage::Storage;
use aplomb::sync::{Acquire, AcquireError, AtomicWord, Permit, Semaphore, TryAcquireError};
use aplomb_sim::Sim;
use locks::{ByHand, locked};

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Waiting<'s, S> = Pin<Box<Acquire<&'s Semaphore<Sim, S>>>>;
type Held<'s, S> = Permit<&'s Semaphore<Sim, S>>;

fn poll<'s, S: Storage>(waiting: &mut Waiting<'s, S>, wakes: &Arc<Wakes>) -> Poll<Result<Held<'s, S>, AcquireError>> {
    waiting.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

/// A waiter that has been polled once, and waits.
fn waiter<S: Storage>(semaphore: &Semaphore<Sim, S>, n: u32) -> (Waiting<'_, S>, Arc<Wakes>) {
    let (mut waiting, wakes) = (Box::pin(semaphore.acquire(n)), Arc::default());
    assert!(poll(&mut waiting, &wakes).is_pending());
    (waiting, wakes)
}

fn woken(wakes: &Wakes) -> u32 {
    wakes.0.swap(0, Ordering::Relaxed)
}

#[test]
fn a_large_request_that_leaves_the_head_lets_the_small_one_behind_it_go() {
    let semaphore: Semaphore<Sim> = Semaphore::new(3);
    let _held = semaphore.try_acquire(2).unwrap();
    let (large, _) = waiter(&semaphore, 3);
    let (mut small, wakes) = waiter(&semaphore, 1);
    assert_eq!(woken(&wakes), 0, "nobody overtakes");
    drop(large);
    assert_eq!(woken(&wakes), 1);
    assert!(poll(&mut small, &wakes).is_ready());
}

#[test]
fn a_grant_that_nobody_lives_to_see_moves_on() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let (first, first_wakes) = waiter(&semaphore, 1);
    let (mut second, second_wakes) = waiter(&semaphore, 1);
    drop(held);
    assert_eq!((woken(&first_wakes), woken(&second_wakes)), (1, 0));
    drop(first);
    assert_eq!(woken(&second_wakes), 1);
    assert!(poll(&mut second, &second_wakes).is_ready());
    drop(second);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_waiter_that_leaves_the_middle_frees_its_place_at_once() {
    let semaphore: Semaphore<Sim, Inline<3>> = Semaphore::with_storage(1);
    let held = semaphore.try_acquire(1).unwrap();
    let (mut first, _) = waiter(&semaphore, 1);
    let (middle, _) = waiter(&semaphore, 1);
    let (mut last, _) = waiter(&semaphore, 1);
    let mut late = Box::pin(semaphore.acquire(1));
    let wakes = Arc::default();
    assert!(matches!(poll(&mut late, &wakes), Poll::Ready(Err(AcquireError::QueueFull { waiting: 3 }))));
    drop(middle);
    let (mut late, late_wakes) = waiter(&semaphore, 1);
    drop(held);
    for waiting in [&mut first, &mut last] {
        let Poll::Ready(Ok(permit)) = poll(waiting, &wakes) else { panic!("first come, first served") };
        assert!(semaphore.try_acquire(1).is_err());
        drop(permit);
    }
    assert_eq!(woken(&late_wakes), 1);
    assert!(poll(&mut late, &late_wakes).is_ready());
}

#[test]
fn a_newcomer_does_not_take_what_was_granted_to_another() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let (mut first, wakes) = waiter(&semaphore, 1);
    drop(held);
    assert!(semaphore.try_acquire(1).is_err());
    assert!(poll(&mut Box::pin(semaphore.acquire(1)), &wakes).is_pending());
    assert!(poll(&mut first, &wakes).is_ready());
}

#[test]
fn only_the_last_waker_is_woken() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let (mut first, before) = waiter(&semaphore, 1);
    let now = Arc::default();
    assert!(poll(&mut first, &now).is_pending());
    drop(held);
    assert_eq!((woken(&before), woken(&now)), (0, 1));
}

#[test]
fn more_than_there_is_is_refused_at_once() {
    let semaphore: Semaphore<Sim> = Semaphore::new(2);
    let (error, none) = aplomb_sim::block_on(async { (semaphore.acquire(3).await.unwrap_err(), semaphore.acquire(0).await) });
    assert_eq!(error, AcquireError::TooMany { requested: 3, permits: 2 });
    assert_eq!(error.to_string(), "too many permits: 3 requested, there are 2");
    assert_eq!(semaphore.try_acquire(3).unwrap_err(), TryAcquireError::TooMany { requested: 3, permits: 2 });
    assert_eq!(none.unwrap().count(), 0);
}

/// Calls back into the semaphore when it is woken, and when it is dropped.
struct Reentrant(&'static Semaphore<Sim>);

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.0.waiting(), 0);
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        drop(self.0.try_acquire(1));
    }
}

#[test]
fn wakers_run_outside_the_lock() {
    static SEMAPHORE: Semaphore<Sim> = Semaphore::new(1);
    let held = SEMAPHORE.try_acquire(1).unwrap();
    let mut waiting = Box::pin(SEMAPHORE.acquire(1));
    for _ in 0..2 {
        // The second replaces the first, which is dropped.
        let waker = Waker::from(Arc::new(Reentrant(&SEMAPHORE)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(held);
    drop(waiting);
    assert_eq!(SEMAPHORE.available(), 1);
}

#[test]
fn more_permits_let_as_many_go_as_there_are_permits_for() {
    let semaphore: Semaphore<Sim> = Semaphore::new(2);
    let _held = semaphore.try_acquire(2).unwrap();
    let [(mut first, a), (mut second, b), (_third, c)] = [2, 1, 1].map(|n| waiter(&semaphore, n));
    semaphore.set_permits(5);
    assert_eq!((woken(&a), woken(&b), woken(&c)), (1, 1, 0));
    let permits = [&mut first, &mut second].map(|waiting| poll(waiting, &a));
    assert!(permits.iter().all(Poll::is_ready));
    assert_eq!((semaphore.permits(), semaphore.available(), semaphore.waiting()), (5, 0, 1));
}

#[test]
fn fewer_permits_take_nothing_from_anybody() {
    let semaphore: Semaphore<Sim> = Semaphore::new(4);
    let [first, second, third] = [2, 1, 1].map(|n| semaphore.try_acquire(n).unwrap());
    semaphore.set_permits(1);
    let (mut waiting, wakes) = waiter(&semaphore, 1);
    drop((first, second));
    assert_eq!((woken(&wakes), semaphore.available()), (0, 0), "three were owed");
    drop(third);
    assert_eq!(woken(&wakes), 1);
    assert!(poll(&mut waiting, &wakes).is_ready());
}

#[test]
fn whoever_waits_for_more_than_there_are_now_is_told_so_at_the_head() {
    let semaphore: Semaphore<Sim> = Semaphore::new(4);
    let held = semaphore.try_acquire(4).unwrap();
    let [(mut small, a), (mut large, b), (mut last, c)] = [1, 4, 2].map(|n| waiter(&semaphore, n));
    semaphore.set_permits(3);
    assert_eq!((woken(&a), woken(&b), woken(&c)), (0, 0, 0));
    drop(held);
    assert_eq!((woken(&a), woken(&b), woken(&c)), (1, 1, 1), "it is in nobody's way");
    let told = AcquireError::TooMany { requested: 4, permits: 3 };
    assert_eq!(poll(&mut large, &b).map(Result::unwrap_err), Poll::Ready(told));
    assert!(poll(&mut small, &a).is_ready() && poll(&mut last, &c).is_ready());
}

#[test]
fn what_is_forgotten_is_gone() {
    let semaphore: Semaphore<Sim> = Semaphore::new(3);
    let mut held = semaphore.try_acquire(3).unwrap();
    let (mut large, wakes) = waiter(&semaphore, 3);
    held.split(2).unwrap().forget();
    assert_eq!((semaphore.permits(), semaphore.available()), (1, 0));
    assert_eq!(woken(&wakes), 1, "there will never be three again");
    assert!(matches!(poll(&mut large, &wakes), Poll::Ready(Err(AcquireError::TooMany { requested: 3, permits: 1 }))));
    drop(held);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn permits_are_split_and_merged() {
    let [one, other] = [Semaphore::<Sim>::new(4), Semaphore::new(4)];
    let mut permit = one.try_acquire(3).unwrap();
    assert!(permit.split(4).is_none());
    let (all, none) = (permit.split(3).unwrap(), permit.split(0).unwrap());
    assert_eq!((permit.count(), all.count(), none.count()), (0, 3, 0));
    permit.merge(all).unwrap();
    drop(none);
    let refused = permit.merge(other.try_acquire(2).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "permits of another semaphore");
    assert_eq!((permit.count(), refused.0.count()), (3, 2), "nothing is lost");
    drop((permit, refused));
    assert_eq!((one.available(), other.available()), (4, 4));
}

#[test]
fn owned_permits_keep_what_they_are_of() {
    fn check<B: Clone + Deref<Target = Semaphore<Sim>>>(semaphore: B) {
        let mut permit = aplomb_sim::block_on(Semaphore::acquire_owned(semaphore.clone(), 2)).unwrap();
        let part = permit.split(1).unwrap();
        let mut waiting = Box::pin(Semaphore::acquire_owned(semaphore.clone(), 1));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop((permit, waiting));
        assert_eq!(semaphore.available(), 1);
        assert!(Semaphore::try_acquire_owned(semaphore.clone(), 2).is_err());
        drop(part);
        assert_eq!(semaphore.available(), 2);
    }
    static SEMAPHORE: Semaphore<Sim> = Semaphore::new(2);
    check(&SEMAPHORE);
    let (shared, local) = (Arc::new(Semaphore::new(2)), Rc::new(Semaphore::new(2)));
    check(Arc::clone(&shared));
    check(Rc::clone(&local));
    assert_eq!((Arc::strong_count(&shared), Rc::strong_count(&local)), (1, 1));
    let permit = Semaphore::try_acquire_owned(shared, 2).unwrap();
    assert_eq!(permit.count(), 2, "it is all that is left of it");
}

#[test]
fn those_who_wait_learn_that_it_is_closed() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let [(mut granted, a), (mut first, b), (mut second, c)] = [1, 1, 1].map(|n| waiter(&semaphore, n));
    drop(held);
    semaphore.close();
    assert_eq!((woken(&a), woken(&b), woken(&c)), (1, 1, 1));
    let Poll::Ready(Ok(permit)) = poll(&mut granted, &a) else { panic!("it was granted before") };
    assert_eq!(poll(&mut first, &b).map(Result::unwrap_err), Poll::Ready(AcquireError::Closed));
    assert_eq!(poll(&mut second, &c).map(Result::unwrap_err), Poll::Ready(AcquireError::Closed));
    drop(permit);
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.try_acquire(0).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(aplomb_sim::block_on(semaphore.acquire(0)).unwrap_err(), AcquireError::Closed);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn what_has_ended_stays_pending() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let (mut waiting, wakes) = (Box::pin(semaphore.acquire(1)), Arc::default());
    let permit = poll(&mut waiting, &wakes);
    assert!(permit.is_ready() && poll(&mut waiting, &wakes).is_pending());
    drop(permit);
    assert!(poll(&mut waiting, &wakes).is_pending());
    drop(waiting);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_panic_in_a_waker_leaves_it_usable() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let semaphore: Semaphore<Sim> = Semaphore::new(2);
    let held = semaphore.try_acquire(2).unwrap();
    let mut waiting = Box::pin(semaphore.acquire(1));
    let waker = Waker::from(Arc::new(Panics));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let (mut behind, count) = waiter(&semaphore, 1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(held)));
    assert!(caught.is_err());
    assert_eq!(woken(&count), 1, "the one behind has its turn all the same");
    assert!(poll(&mut behind, &count).is_ready());
    drop(waiting);
    drop(behind);
    assert_eq!(semaphore.available(), 2);
}

/// It would take minutes if each of them went through those who are still there.
#[test]
fn any_number_of_waiters_leave_one_by_one() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let mut waiters: Vec<_> = (0..100_000).map(|_| waiter(&semaphore, 1).0).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut waiters);
    let mut last = waiters.pop().unwrap();
    drop(waiters);
    assert_eq!(semaphore.waiting(), 1);
    drop(held);
    assert!(poll(&mut last, &Arc::default()).is_ready());
}

#[test]
fn who_need_not_wait_takes_no_lock() {
    let semaphore: Semaphore<ByHand<AtomicWord>> = Semaphore::new(3).max_waiting(1);
    drop(semaphore.try_acquire(1).unwrap());

    let mut cx = Context::from_waker(Waker::noop());
    let (mut held, locks) = locked(|| semaphore.try_acquire(2).unwrap());
    let (Poll::Ready(Ok(last)), 0) = locked(|| Box::pin(semaphore.acquire(1)).as_mut().poll(&mut cx)) else { panic!() };
    let denied = locked(|| semaphore.try_acquire(1).unwrap_err());
    assert_eq!((locks, denied), (0, (TryAcquireError::NoPermits { requested: 1, free: 0 }, 0)));
    let denied = locked(|| semaphore.try_acquire(4).unwrap_err());
    assert_eq!(denied, (TryAcquireError::TooMany { requested: 4, permits: 3 }, 0));
    assert_eq!(locked(|| drop(held.split(1))).1, 0);

    // Whoever comes while somebody waits, and whoever gives back, goes through the lock.
    let mut waits = Box::pin(semaphore.acquire(2));
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    let (denied, locks) = locked(|| semaphore.try_acquire(1).unwrap_err());
    assert!(denied == TryAcquireError::NoPermits { requested: 1, free: 0 } && locks > 0);
    assert!(locked(|| drop(last)).1 > 0);
    let Poll::Ready(Ok(granted)) = waits.as_mut().poll(&mut cx) else { panic!("nobody lets it through") };
    assert_eq!(locked(|| drop((granted, held))).1, 0, "nobody waits any more");
    assert_eq!((semaphore.available(), semaphore.permits()), (3, 3));

    semaphore.close();
    let (denied, locks) = locked(|| semaphore.try_acquire(1).unwrap_err());
    assert!(denied == TryAcquireError::Closed && locks > 0);
}

#[test]
fn who_may_not_wait_is_turned_away_without_the_lock() {
    let semaphore: Semaphore<ByHand<AtomicWord>> = Semaphore::new(1).max_waiting(0);
    let _held = semaphore.try_acquire(1).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for (n, refusal) in [(1, AcquireError::QueueFull { waiting: 0 }), (2, AcquireError::TooMany { requested: 2, permits: 1 })] {
        let (Poll::Ready(Err(refused)), 0) = locked(|| Box::pin(semaphore.acquire(n)).as_mut().poll(&mut cx)) else { panic!() };
        assert_eq!(refused, refusal);
    }
}

/// What lies outside is the same as before it was changed and given back in whatever order.
#[test]
fn permits_that_become_fewer_come_back_past_the_lock() {
    let semaphore: Semaphore<ByHand<AtomicWord>> = Semaphore::new(3);
    let [first, second, third] = [1, 1, 1].map(|n| semaphore.try_acquire(n).unwrap());
    semaphore.set_permits(1);
    for (permit, free) in [(first, 0), (second, 0), (third, 1)] {
        assert_eq!(locked(|| drop(permit)).1, 0);
        assert_eq!(semaphore.available(), free);
    }
    // With none left, nothing lies outside.
    let last = semaphore.try_acquire(1).unwrap();
    semaphore.set_permits(0);
    assert!(locked(|| drop(last)).1 > 0);
    assert_eq!((semaphore.available(), semaphore.permits()), (0, 0));
    semaphore.set_permits(2);
    assert_eq!(semaphore.available(), 2);
}
