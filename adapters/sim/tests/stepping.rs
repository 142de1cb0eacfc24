//! A world that is driven from outside.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aplomb::Instant;
use aplomb_sim::{Failure, FailureKind, Sim, What, World, now, sleep, sleep_until};

fn ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

type Log = Rc<RefCell<Vec<(Instant, u32)>>>;

fn periodic(world: &World, log: &Log, period: u64, times: u32) {
    let log = Rc::clone(log);
    world.spawn("periodic", async move {
        for time in 1..=times {
            sleep(Duration::from_millis(period)).await;
            log.borrow_mut().push((now(), time));
        }
    });
}

#[test]
fn advance_stops_at_every_timer() -> Result<(), Failure> {
    let world = World::new();
    let log = Log::default();
    periodic(&world, &log, 10, 5);
    world.advance_to(ms(35))?;
    assert_eq!(*log.borrow(), [(ms(10), 1), (ms(20), 2), (ms(30), 3)]);
    assert_eq!((world.now(), world.next_timer()), (ms(35), Some(ms(40))));
    world.advance_to(ms(12))?;
    assert_eq!(world.now(), ms(35), "advance never goes back");
    Ok(())
}

#[test]
fn a_jump_polls_nothing_and_what_was_due_happens_once() -> Result<(), Failure> {
    let world = World::new();
    let log = Log::default();
    periodic(&world, &log, 10, 5);
    world.settle()?;
    world.set_clock(ms(34));
    assert!(log.borrow().is_empty());
    assert_eq!(world.next_timer(), Some(ms(10)));
    world.settle()?;
    assert_eq!(*log.borrow(), [(ms(34), 1)]);
    assert_eq!(world.next_timer(), Some(ms(44)));

    // Backwards: the timer stays where it is.
    world.set_clock(ms(4));
    world.settle()?;
    assert_eq!(log.borrow().len(), 1);
    assert_eq!(world.advance_to_next()?, Some(ms(44)));
    assert_eq!(log.borrow().last(), Some(&(ms(44), 2)));
    Ok(())
}

#[test]
fn what_is_done_at_an_instant_before_its_timers_comes_first() -> Result<(), Failure> {
    let world = World::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let note = |name: &'static str| {
        let order = Rc::clone(&order);
        move || order.borrow_mut().push(name)
    };
    let timer = note("timer");
    world.spawn("timer", async move {
        sleep_until(ms(5)).await;
        timer();
    });
    world.advance_to(Instant::from_nanos(ms(5).as_nanos() - 1))?;
    world.set_clock(ms(5));
    let call = note("call");
    world.spawn("call", async move { call() });
    world.settle()?;
    assert_eq!(*order.borrow(), ["call", "timer"]);
    Ok(())
}

#[test]
fn dropping_outside_cancels_inside() -> Result<(), Failure> {
    let world = World::new();
    let task = world.spawn("sleeper", sleep(Duration::from_millis(5)));
    world.settle()?;
    assert_eq!(world.tasks().len(), 1);
    task.abort();
    assert_eq!((world.next_timer(), world.tasks().len()), (None, 0));
    assert!(world.trace().events().any(|event| event.what == What::Dropped && event.task == Some("sleeper")));
    Ok(())
}

#[test]
fn a_world_can_go_on_after_a_deadlock() {
    let world = World::new();
    let waker = Rc::new(RefCell::new(None));
    let place = Rc::clone(&waker);
    let task = world.spawn("waiter", async move {
        let mut asked = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut asked, true) {
                return std::task::Poll::Ready(());
            }
            *place.borrow_mut() = Some(cx.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    });
    assert_eq!(*world.run().unwrap_err().kind(), FailureKind::Deadlock);
    waker.take().into_iter().for_each(std::task::Waker::wake);
    assert!(world.run().is_ok());
    assert!(task.is_finished());
}

#[test]
fn worlds_nest_and_time_stands_at_the_origin_outside() {
    assert_eq!(now(), Instant::ORIGIN);
    let outer = World::new();
    outer.set_clock(ms(7));
    outer.enter(|| {
        let inner = World::new();
        inner.set_clock(ms(9));
        assert_eq!((inner.enter(now), now()), (ms(9), ms(7)));
    });
    assert_eq!(now(), Instant::ORIGIN);
}

#[test]
#[should_panic(expected = "a world cannot be driven from inside")]
fn a_task_cannot_drive_its_world() {
    let world = Rc::new(World::new());
    let same = Rc::clone(&world);
    if let Err(failure) = world.block_on(async move { same.settle() }) {
        panic!("{failure}");
    }
}

#[test]
fn timers_of_one_instant_fire_in_the_order_of_registration() -> Result<(), Failure> {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.spawn(name, async move {
            sleep(Duration::from_millis(1)).await;
            Sim.note(name);
        });
    }
    world.run()?;
    let trace = world.trace();
    let notes: Vec<_> = trace.events().filter(|event| matches!(event.what, What::Noted(_))).map(|event| event.task).collect();
    assert_eq!(notes, [Some("a"), Some("b"), Some("c")]);
    Ok(())
}

#[test]
fn a_long_trace_forgets_its_beginning_and_keeps_its_hash() -> Result<(), Failure> {
    let long = || {
        let world = World::new();
        let log = Log::default();
        periodic(&world, &log, 1, 30_000);
        world.run().map(|()| world.trace())
    };
    let (one, other) = (long()?, long()?);
    assert!(one.forgotten() > 0);
    assert!(one.events().count() < 65_537);
    assert_eq!(one.hash(), other.hash());
    assert!(one.to_string().contains(" earlier events"));
    Ok(())
}

#[test]
fn a_trace_is_valid_json_whatever_the_names() -> Result<(), Failure> {
    let world = World::new();
    world.spawn("a \"name\"\n", async { Sim.note("a\\b\tc") });
    world.run()?;
    let trace = world.trace();
    for line in trace.to_json_lines().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let chrome: serde_json::Value = serde_json::from_str(&trace.to_chrome()).unwrap();
    assert!(chrome["traceEvents"].as_array().unwrap().len() > 4);
    Ok(())
}
