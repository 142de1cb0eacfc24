//! What is not deterministic is found; what is can be replayed.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb::Platform;
use aplomb_sim::{Explore, FailureKind, Order, Sim, World, sleep};

async fn busy(sim: Sim) {
    for name in ["a", "b", "c", "d"] {
        sim.spawn(name, async move {
            for _ in 0..3 {
                sleep(sim.latency(Duration::ZERO..=Duration::from_millis(3))).await;
                sleep(Duration::from_nanos(Sim::random() >> 40)).await;
            }
        });
    }
    sim.drop_at_random("a");
    sim.run_until_idle().await;
    sim.note("done");
}

fn run(world: World) -> (World, u64) {
    world.block_on(busy(Sim)).unwrap();
    let hash = world.trace().hash();
    (world, hash)
}

#[test]
fn a_seed_is_a_world() {
    let (_, one) = run(World::with_seed(5, Order::Random));
    let (_, same) = run(World::with_seed(5, Order::Random));
    let (_, other) = run(World::with_seed(6, Order::Random));
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn a_tape_leads_to_the_same_world() {
    for seed in 0..200 {
        let (written, hash) = run(World::with_seed(seed, Order::Random));
        let (read, again) = run(World::with_tape(written.tape(), Order::Random));
        assert_eq!(hash, again, "seed {seed}");
        assert_eq!(written.tape(), read.tape());
    }
}

#[test]
fn the_order_of_a_hash_set_is_found_out() {
    let failure = Explore::new()
        .seeds(0..100)
        .check_determinism(true)
        .try_run(|sim| async move {
            let names: HashSet<&'static str> = ["a", "b", "c", "d", "e"].into();
            for name in names {
                sim.spawn(name, sleep(Duration::from_millis(1)));
            }
        })
        .unwrap_err();
    let FailureKind::NotDeterministic { first, second, .. } = failure.kind() else { panic!("{failure}") };
    assert_ne!(first, second);
    assert!(failure.to_string().contains("iteration order of a HashMap"), "{failure}");
}

#[test]
fn the_first_world_is_checked_unless_that_is_turned_off() {
    let runs = AtomicU64::new(0);
    let world = |sim: Sim| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        async move { sleep(Duration::from_nanos(1 + run + sim.choose(3))).await }
    };
    let failure = Explore::new().seeds(0..5).try_run(world).unwrap_err();
    assert!(matches!(failure.kind(), FailureKind::NotDeterministic { .. }), "{failure}");
    assert!(Explore::new().seeds(0..5).check_determinism(false).try_run(world).is_ok());
}

#[test]
fn a_failure_that_does_not_come_back_says_so() {
    let runs = AtomicU64::new(0);
    let failure = Explore::new()
        .seeds(0..10)
        .try_run(|_| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run != 4, "once") }
        })
        .unwrap_err();
    assert!(failure.to_string().contains("its own tape led to something else: no failure"), "{failure}");
}

#[test]
fn tests_in_parallel_threads_do_not_meet() {
    let hashes: Vec<u64> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| run(World::with_seed(9, Order::Random)).1)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[test]
fn a_waker_works_from_another_thread() {
    let world = World::new();
    let task = world.spawn("waiter", async {
        let mut asked = false;
        std::future::poll_fn(move |cx| {
            if asked {
                return std::task::Poll::Ready(());
            }
            asked = true;
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            std::task::Poll::Pending
        })
        .await;
    });
    world.settle().unwrap();
    assert!(task.is_finished());
}
