//! A seeded bug is found, shrunk, told and replayed.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod toy;

use std::time::Duration;

use aplomb_sim::{Explore, Failure, FailureKind, Order, Sim, Tape, sleep, waiting_for};

const TASKS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

async fn seven_tasks(sim: Sim) {
    let semaphore = toy::Semaphore::new(2);
    for name in TASKS {
        let semaphore = semaphore.clone();
        sim.spawn(name, async move {
            for _ in 0..2 {
                let _permit = waiting_for("a permit", semaphore.acquire()).await;
                sleep(sim.latency(Duration::from_millis(1)..=Duration::from_millis(17))).await;
            }
        });
    }
    sim.drop_at_random("c");
    sim.drop_at_random("d");
    sim.run_until_idle().await;
}

fn find(order: Order) -> Failure {
    Explore::new().seeds(0..10_000).order(order).try_run(seven_tasks).expect_err("the bug should be found")
}

#[test]
fn a_lost_permit_is_found_and_shrunk_in_either_order() {
    for order in [Order::Random, Order::Fifo] {
        let failure = find(order);
        assert_eq!(*failure.kind(), FailureKind::Deadlock);
        assert!(failure.seed().is_some());
        // Both permits must be lost, each to one drop that takes up to three choices; all else is noise.
        assert!(failure.tape().deviations() <= 8, "{}", failure.tape());

        let again = Explore::new().order(order).tape(failure.tape().clone()).try_run(seven_tasks).unwrap_err();
        assert_eq!(again.kind(), failure.kind());
        assert_eq!(again.trace().hash(), failure.trace().hash());
        assert_eq!(again.tape(), failure.tape());
    }
}

#[test]
fn the_report_says_all_that_is_needed() {
    let failure = find(Order::Random);
    let text = failure.to_string();
    assert!(text.starts_with("deadlock: nothing can run"), "{text}");
    assert!(text.contains("main, spawned at "), "{text}");
    assert!(text.contains("waits for all other tasks to end"), "{text}");
    assert!(text.contains("waits for a permit, its waker is held by 1 other"), "{text}");
    assert!(text.contains("find_and_shrink.rs:"), "{text}");
    assert!(text.contains(&format!("seed: {}", failure.seed().unwrap())), "{text}");
    assert!(text.contains("choices that are not the plainest, in "), "{text}");
    let replay = format!("replay with APLOMB_TAPE={} cargo test the_report_says_all_that_is_needed", failure.tape());
    assert!(text.contains(&replay), "{text}");
    let printed: Tape = failure.tape().to_string().parse().unwrap();
    assert_eq!(printed, *failure.tape());
}

#[test]
#[should_panic(expected = "replay with APLOMB_TAPE=")]
fn run_panics_with_the_report() {
    Explore::new().seeds(0..10_000).run(seven_tasks);
}

#[test]
fn what_is_right_has_no_failure() {
    let report = Explore::new().seeds(0..300).check_determinism(true).run(|sim| async move {
        let semaphore = std::rc::Rc::new(aplomb::sync::Semaphore::<Sim>::new(2));
        for name in TASKS {
            let semaphore = std::rc::Rc::clone(&semaphore);
            sim.spawn(name, async move {
                for _ in 0..2 {
                    let _permit = waiting_for("a permit", semaphore.acquire(1)).await;
                    sleep(sim.latency(Duration::from_millis(1)..=Duration::from_millis(17))).await;
                }
            });
        }
        for name in TASKS {
            sim.drop_at_random(name);
        }
        sim.run_until_idle().await;
        assert_eq!((semaphore.available(), semaphore.waiting()), (2, 0));
    });
    assert_eq!(report.worlds, 300);
}
