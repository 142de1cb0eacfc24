//! What each failure looks like.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use aplomb_sim::{Explore, Failure, FailureKind, Sim, World, block_on, sleep, spawn, waiting_for};

fn failure(explore: &Explore, world: impl AsyncFn(Sim)) -> Failure {
    explore.try_run(async |sim| world(sim).await).expect_err("it should fail")
}

fn explore() -> Explore {
    Explore::new().seeds(0..200)
}

#[test]
fn a_deadlock_names_the_tasks_and_what_they_wait_for() {
    let world = World::new();
    let spawned = line!() + 1;
    world.spawn("silent", pending::<()>());
    let stored = Rc::new(Cell::new(None));
    let place = Rc::clone(&stored);
    world.spawn(
        "client",
        waiting_for(
            "an answer",
            poll_fn(move |cx| {
                place.set(Some(cx.waker().clone()));
                Poll::<()>::Pending
            }),
        ),
    );
    world.spawn("server", async { pending::<()>().await }).background();
    let failure = world.run().unwrap_err();
    assert_eq!(*failure.kind(), FailureKind::Deadlock);
    assert_eq!(failure.tasks().len(), 3);
    let text = failure.to_string();
    assert!(
        text.contains(&format!(
            "silent, spawned at {}:{spawned}:11, polled once, nobody holds its waker
",
            file!()
        )),
        "{text}"
    );
    assert!(text.contains("polled once, waits for an answer, its waker is held by 1 other"), "{text}");
    assert!(text.contains("server (in the background)"), "{text}");
    drop(stored);
}

#[test]
#[should_panic(expected = "deadlock: nothing can run")]
fn block_on_does_not_hang() {
    block_on(pending::<()>());
}

#[test]
fn a_timer_is_told_too() {
    let world = World::new();
    world.spawn("sleeper", sleep(Duration::from_millis(5)));
    world.settle().unwrap();
    assert!(world.tasks()[0].to_string().ends_with("has a timer at 5ms"), "{}", world.tasks()[0]);
}

#[test]
fn a_loop_that_makes_no_progress_is_named() {
    let failure = failure(&explore().max_polls_per_instant(1_000), async |sim| {
        sim.spawn("idler", sleep(Duration::from_secs(1)));
        sim.spawn("spinner", async move {
            sleep(Duration::from_millis(3)).await;
            loop {
                sim.yield_now().await;
            }
        });
    });
    let FailureKind::NoProgress { task, polls, at } = failure.kind() else { panic!("{failure}") };
    assert_eq!((&**task, at.as_nanos()), ("spinner", 3_000_000));
    assert!(*polls > 900);
    assert!(failure.to_string().starts_with("no progress: time stands at 3ms, where spinner was polled"), "{failure}");
}

#[test]
fn a_world_may_not_go_on_for_ever() {
    let forever = async |_: Sim| {
        loop {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let late = failure(&explore().time_limit(Duration::from_mins(1)), forever);
    assert!(matches!(late.kind(), FailureKind::TimeLimit { next, .. } if next.as_nanos() == 61_000_000_000), "{late}");
    let busy = failure(&explore().max_polls(500), forever);
    assert_eq!(*busy.kind(), FailureKind::TooManyPolls { limit: 500 });
}

#[test]
fn a_panic_is_told_with_its_place() {
    let failure = failure(&explore(), async |sim| {
        sim.spawn("worker", async move {
            let drawn = sim.choose(50);
            assert!(drawn < 20, "drew {drawn}");
        });
    });
    let FailureKind::Panicked { task, message, location } = failure.kind() else { panic!("{failure}") };
    assert_eq!((&**task, &**message), ("worker", "drew 20"));
    assert!(location.as_ref().is_some_and(|location| location.contains("failures.rs")), "{location:?}");
    assert_eq!(failure.tape().choices(), [20]);
}

#[test]
#[should_panic(expected = "as it was said")]
fn block_on_hands_a_panic_on() {
    block_on(async {
        spawn("worker", async { panic!("as it was said") });
        sleep(Duration::from_secs(1)).await;
    });
}

#[test]
fn an_invariant_is_checked_after_every_poll() {
    let failure = failure(&explore(), async |sim| {
        let level = Rc::new(Cell::new(0));
        let seen = Rc::clone(&level);
        sim.always(move || seen.get() < 2);
        for name in ["a", "b"] {
            let level = Rc::clone(&level);
            sim.spawn(name, async move {
                level.set(level.get() + 1);
                sleep(sim.latency(Duration::ZERO..=Duration::from_millis(4))).await;
                level.set(level.get() - 1);
            });
        }
    });
    assert!(matches!(failure.kind(), FailureKind::InvariantBroken { stated_at } if stated_at.file().ends_with("failures.rs")));
    // Both must sleep, for as short as they can, or else no poll finds two of them.
    assert_eq!(failure.tape().choices(), [0, 1, 1], "{failure}");
}

#[test]
fn an_invariant_that_panics_fails_too() {
    let failure = failure(&explore(), async |sim| sim.always(|| panic!("no")));
    let FailureKind::Panicked { task, .. } = failure.kind() else { panic!("{failure}") };
    assert_eq!(task, "an invariant");
}

#[test]
fn a_panic_while_a_task_is_dropped_fails_the_world() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }

    let failure = failure(&explore(), async |sim| {
        sim.spawn("bomb", async {
            let bomb = Bomb;
            sleep(Duration::from_secs(1)).await;
            std::mem::forget(bomb);
        });
        sim.drop_at_random("bomb");
    });
    assert!(matches!(failure.kind(), FailureKind::Panicked { message, .. } if message == "boom"), "{failure}");
}

#[test]
fn a_lock_that_is_taken_twice_is_told_instead_of_hanging() {
    use aplomb::sync::Shared;
    use aplomb_sim::SimRawMutex;

    let failure = failure(&explore(), async |_| {
        let shared: Shared<SimRawMutex, u32> = Shared::new(0);
        shared.with(|_| shared.with(|_| ()));
    });
    assert!(failure.to_string().contains("taken again by the world that holds it"), "{failure}");
}
