//! Tasks are dropped at every await point, in every way.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use aplomb_sim::{Aborted, Explore, Sim, block_on, now, sleep, spawn};

const AWAITS: u32 = 6;

#[test]
fn each_await_is_hit_and_a_long_life_too() {
    let reached = RefCell::new(BTreeSet::new());
    Explore::new().seeds(0..500).run(|sim| {
        let reached = &reached;
        async move {
            let progress = Rc::new(Cell::new(None));
            let seen = Rc::clone(&progress);
            sim.spawn("victim", async move {
                for step in 0..AWAITS {
                    seen.set(Some(step));
                    sleep(Duration::from_millis(1)).await;
                }
                seen.set(Some(AWAITS));
            });
            sim.drop_at_random("victim");
            sim.run_until_idle().await;
            reached.borrow_mut().insert(progress.get());
        }
    });
    let mut expected = BTreeSet::from([None]);
    expected.extend((0..=AWAITS).map(Some));
    assert_eq!(*reached.borrow(), expected);
}

#[test]
fn a_woken_task_is_dropped_before_it_gets_to_know() {
    let kinds = RefCell::new(BTreeSet::new());
    Explore::new().seeds(0..500).run(|sim| {
        let kinds = &kinds;
        async move {
            let dropped_at = Rc::new(Cell::new(None));
            let guard = OnDrop(Rc::clone(&dropped_at));
            sim.spawn("victim", async move {
                let _guard = guard;
                sleep(Duration::from_millis(5)).await;
                std::future::pending::<()>().await;
            })
            .background();
            sim.spawn("bystander", async {
                for _ in 0..4 {
                    sleep(Duration::from_millis(1)).await;
                }
            });
            sim.drop_at_random("victim");
            sleep(Duration::from_millis(10)).await;
            kinds.borrow_mut().insert(dropped_at.get());
        }
    });
    // Left alone, at once, between, and at the instant at which it was woken.
    for at in [None, Some(0), Some(2_000_000), Some(5_000_000)] {
        assert!(kinds.borrow().contains(&at), "{at:?} is not in {kinds:?}");
    }
}

struct OnDrop(Rc<Cell<Option<u64>>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set(Some(now().as_nanos()));
    }
}

#[test]
fn abort_drops_at_once_and_oneself_after_the_poll() {
    block_on(async {
        let dropped_at = Rc::new(Cell::new(None));
        let guard = OnDrop(Rc::clone(&dropped_at));
        let task = spawn("other", async move {
            let _guard = guard;
            sleep(Duration::from_secs(9)).await;
        });
        sleep(Duration::from_secs(1)).await;
        task.abort();
        task.abort();
        assert_eq!(dropped_at.get(), Some(1_000_000_000));
        assert_eq!(task.await, Err(Aborted));

        let handle = Rc::new(RefCell::new(None::<aplomb_sim::JoinHandle<()>>));
        let own = Rc::clone(&handle);
        *handle.borrow_mut() = Some(spawn("self", async move {
            let mine = own.borrow_mut().take().unwrap();
            mine.abort();
            assert!(!mine.is_finished());
            let _ = mine.await;
            unreachable!();
        }));
        Sim.run_until_idle().await;
    });
}

#[test]
fn a_task_that_has_ended_is_left_alone() {
    block_on(async {
        let task = spawn("four", async { 4 });
        Sim.settle().await;
        task.abort();
        assert_eq!(task.await, Ok(4));
    });
}

#[test]
fn tasks_that_outlive_the_root_are_dropped_inside_their_world() {
    let dropped_at = Rc::new(Cell::new(None));
    let guard = OnDrop(Rc::clone(&dropped_at));
    block_on(async move {
        spawn("orphan", async move {
            let _guard = guard;
            sleep(Duration::MAX).await;
        });
        sleep(Duration::from_millis(3)).await;
    });
    assert_eq!(dropped_at.get(), Some(3_000_000));
}

#[test]
#[should_panic(expected = "no task \"typo\" is running")]
fn a_name_that_nobody_has_is_refused() {
    block_on(async { Sim.drop_at_random("typo") });
}
