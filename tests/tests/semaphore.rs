//! The semaphore: whoever leaves, in whatever state, lets the next one through.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::storage::Storage;
use aplomb::sync::{Acquire, AcquireError, Permit, Semaphore};
use aplomb::{Heap, Inline};
use aplomb_sim::Sim;

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
    let semaphore: Semaphore<Sim, Inline<3>> = Semaphore::new(1);
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
    let error = aplomb_sim::block_on(semaphore.acquire(3)).unwrap_err();
    assert_eq!(error, AcquireError::TooMany { requested: 3, permits: 2 });
    assert_eq!(error.to_string(), "too many permits: 3 requested, there are 2");
    assert_eq!(semaphore.try_acquire(3).unwrap_err().to_string(), "no permits: 3 requested, 2 free");
    assert_eq!(aplomb_sim::block_on(semaphore.acquire(0)).unwrap().count(), 0);
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

/// What a semaphore is, slow and obvious.
struct Model {
    free: u32,
    queue: VecDeque<(usize, u32)>,
    granted: Vec<(usize, u32)>,
    places: usize,
}

impl Model {
    fn settle(&mut self) {
        while let Some(&(id, n)) = self.queue.front().filter(|(_, n)| *n <= self.free) {
            self.queue.pop_front();
            self.free -= n;
            self.granted.push((id, n));
        }
    }

    fn leave(&mut self, id: usize) {
        if let Some(at) = self.granted.iter().position(|(granted, _)| *granted == id) {
            self.free += self.granted.remove(at).1;
        }
        self.queue.retain(|(waiting, _)| *waiting != id);
        self.settle();
    }
}

/// Does the same things to a semaphore and to the model, as a seed says.
fn play<S: Storage>(seed: u64, places: usize) {
    const PERMITS: u32 = 4;
    let mut rng = fastrand::Rng::with_seed(seed);
    let semaphore: Semaphore<Sim, S> = Semaphore::new(PERMITS);
    let mut model = Model { free: PERMITS, queue: VecDeque::new(), granted: Vec::new(), places };
    let mut waiting: Vec<(usize, Waiting<'_, S>, Arc<Wakes>)> = Vec::new();
    let mut held: Vec<(u32, Held<'_, S>)> = Vec::new();
    for step in 0..200 {
        match rng.u32(0..5) {
            0 | 1 => {
                let n = rng.u32(0..=PERMITS);
                let (mut future, wakes) = (Box::pin(semaphore.acquire(n)), Arc::default());
                let polled = poll(&mut future, &wakes);
                if model.queue.is_empty() && n <= model.free {
                    model.free -= n;
                    let Poll::Ready(Ok(permit)) = polled else { panic!("seed {seed}, step {step}: {n} were free") };
                    held.push((n, permit));
                } else if model.queue.len() + model.granted.len() == model.places {
                    assert!(matches!(polled, Poll::Ready(Err(AcquireError::QueueFull { .. }))), "seed {seed}, step {step}");
                } else {
                    assert!(polled.is_pending(), "seed {seed}, step {step}: it overtook");
                    model.queue.push_back((step, n));
                    waiting.push((step, future, wakes));
                }
            }
            2 if !held.is_empty() => {
                let (n, permit) = held.swap_remove(rng.usize(0..held.len()));
                drop(permit);
                model.free += n;
                model.settle();
            }
            3 if !waiting.is_empty() => {
                let (id, future, _) = waiting.swap_remove(rng.usize(0..waiting.len()));
                drop(future);
                model.leave(id);
            }
            4 if !waiting.is_empty() => {
                let at = rng.usize(0..waiting.len());
                let (id, future, wakes) = &mut waiting[at];
                let granted = model.granted.iter().position(|(granted, _)| granted == id);
                match (poll(future, wakes), granted) {
                    (Poll::Ready(Ok(permit)), Some(position)) => {
                        held.push((model.granted.remove(position).1, permit));
                        drop(waiting.swap_remove(at));
                    }
                    (Poll::Pending, None) => {}
                    (polled, granted) => panic!("seed {seed}, step {step}: {polled:?}, but {granted:?}"),
                }
            }
            _ => {}
        }
        assert_eq!(semaphore.available(), model.free, "seed {seed}, step {step}");
        assert_eq!(semaphore.waiting(), model.queue.len(), "seed {seed}, step {step}");
        for (id, _, wakes) in &waiting {
            let granted = model.granted.iter().any(|(granted, _)| granted == id);
            assert_eq!(
                wakes.0.load(Ordering::Relaxed) > 0,
                granted,
                "seed {seed}, step {step}: who was granted was woken, and no other"
            );
        }
    }
    drop((waiting, held));
    assert_eq!(semaphore.available(), PERMITS, "seed {seed}: permits are neither lost nor made");
}

#[test]
fn it_does_what_the_model_does() {
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..2_000, |seed: u64| seed..seed + 1) {
        play::<Heap>(seed, usize::MAX);
        play::<Inline<3>>(seed, 3);
    }
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
