//! A `static` pattern in two worlds.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use aplomb::sync::{AcquireError, Semaphore};
use aplomb_sim::prelude::{Rate, RateLimiter};
use aplomb_sim::{Explore, FailureKind, Fresh, Sim, World, block_on};

static PLAIN: Semaphore<Sim> = Semaphore::new(1);
static PARALLEL: Semaphore<Sim> = Semaphore::new(1);
static OUTSIDE: Semaphore<Sim> = Semaphore::new(1);
static FRESH: Fresh<Semaphore<Sim>> = Fresh::new(|| Semaphore::new(1));
static OTHER: Fresh<Semaphore<Sim>> = Fresh::new(|| Semaphore::new(2));

async fn take(semaphore: &Semaphore<Sim>) -> Result<(), AcquireError> {
    semaphore.acquire(1).await.map(drop)
}

#[test]
fn the_second_world_that_uses_a_static_fails() {
    let failure = Explore::new()
        .seeds(0..3)
        .try_run(|sim| async move {
            sim.spawn("user", async { take(&PLAIN).await.unwrap() });
        })
        .unwrap_err();
    // The check for determinism, which runs the first world again, is the first to notice.
    assert!(matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }), "{failure}");
}

/// Its permit is taken past the lock.
#[test]
fn a_second_world_that_takes_no_lock_fails_too() {
    static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(10));
    let take = || World::new().block_on(async { LIMITER.try_acquire(1).map(drop) });
    assert!(take().unwrap().is_ok());
    let failure = take().unwrap_err();
    assert!(matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }), "{failure}");
}

#[test]
fn the_text_says_what_to_do() {
    static COUNTED: Semaphore<Sim> = Semaphore::new(1);
    let explore = Explore::new().seeds(0..3).check_determinism(false);
    let failure = explore.try_run(|_| async { take(&COUNTED).await.unwrap() }).unwrap_err();
    let FailureKind::SharedBetweenWorlds { owner, world, task } = failure.kind() else { panic!("{failure}") };
    assert!(owner < world);
    assert_eq!(task.as_deref(), Some("main"));
    let text = failure.to_string();
    assert!(text.starts_with(&format!("shared between worlds: in world {world}, main used a lock that world {owner}")), "{text}");
    assert!(text.contains("Build the pattern inside the closure, or make the static an `aplomb_sim::Fresh`"), "{text}");
}

#[test]
fn a_world_on_another_thread_is_another_world() {
    std::thread::spawn(|| block_on(take(&PARALLEL))).join().unwrap().unwrap();
    let world = World::new();
    let failure = world.block_on(take(&PARALLEL)).unwrap_err();
    assert!(matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }));
}

#[test]
fn outside_a_world_it_is_an_ordinary_lock() {
    assert!(OUTSIDE.try_acquire(1).is_ok());
    block_on(take(&OUTSIDE)).unwrap();
    assert!(OUTSIDE.try_acquire(1).is_ok());
}

#[test]
fn a_fresh_static_begins_anew_in_each_world() {
    Explore::new().seeds(0..20).check_determinism(true).run(|sim| async move {
        sim.spawn("leaker", async { std::mem::forget(FRESH.get().acquire(1).await) });
        sim.spawn("other", async { assert_eq!(OTHER.get().available(), 2) });
        sim.run_until_idle().await;
        assert_eq!(FRESH.get().available(), 0);
    });
}

#[test]
fn a_driver_that_uses_a_static_is_told_when_it_settles() {
    static DRIVEN: Semaphore<Sim> = Semaphore::new(1);
    let (first, second) = (World::new(), World::new());
    assert!(first.enter(|| DRIVEN.try_acquire(1).is_ok()) && first.settle().is_ok());
    assert!(second.enter(|| DRIVEN.try_acquire(1).is_ok()));
    let failure = second.settle().unwrap_err();
    assert!(failure.to_string().contains("someone outside all tasks used a lock"), "{failure}");
}
