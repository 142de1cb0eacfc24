//! Debounce and throttle, poll by poll: what happens between a wake-up and the poll that follows, and in which order things are dropped.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::edge::{DriveError, EdgeError, Share, Trigger};
use aplomb::time::ms;
use aplomb::{Debounce, Heap, Instant, Throttle};
use aplomb_sim::{Manual, ManualClock};

type Timers = ManualClock<64>;
type Own<'c> = Manual<'c, 64>;
type Shared = Share<Result<u32, ()>, Heap>;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

const fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

#[test]
fn a_flushed_call_starts_also_if_another_comes_before_its_task() {
    let clock = Timers::new();
    let save: Debounce<Own<'_>> = Debounce::with_clock(&clock, ms(100));
    let mut a = Box::pin(save.call(|| ready(Ok::<_, ()>("a"))));
    assert!(poll(&mut a).is_pending());
    clock.set(at(10));
    assert!(save.flush() && save.is_pending());
    let mut b = Box::pin(save.call(|| ready(Ok::<_, ()>("b"))));
    assert!(poll(&mut b).is_pending());
    assert_eq!(poll(&mut a), Poll::Ready(Ok("a")));
    clock.set(at(109));
    assert!(poll(&mut b).is_pending());
    clock.set(at(110));
    assert_eq!(poll(&mut b), Poll::Ready(Ok("b")));
    assert!(!save.is_pending());
}

#[test]
fn what_comes_after_a_flush_keeps_its_distance_from_what_was_flushed() {
    let clock = Timers::new();
    let save: Throttle<Own<'_>> = Throttle::with_clock(&clock, ms(100));
    let call = |name| Box::pin(save.call(move || ready(Ok::<_, ()>(name))));
    assert_eq!(poll(&mut call("first")), Poll::Ready(Ok("first")));
    let [mut a, mut b, mut c] = [call("a"), call("b"), call("c")];
    assert!(poll(&mut a).is_pending());
    clock.set(at(90));
    assert!(save.flush());
    // The interval is over, and nobody else may start before the one that was flushed.
    clock.set(at(120));
    assert!(poll(&mut b).is_pending());
    clock.set(at(130));
    assert_eq!(poll(&mut a), Poll::Ready(Ok("a")));
    assert!(poll(&mut b).is_pending());
    clock.set(at(229));
    assert!(poll(&mut b).is_pending());
    clock.set(at(230));
    assert_eq!(poll(&mut b), Poll::Ready(Ok("b")));
    // And if it leaves, the distance is that from the last start.
    assert!(poll(&mut c).is_pending());
    assert!(save.flush());
    let mut d = call("d");
    assert!(poll(&mut d).is_pending());
    drop(c);
    clock.set(at(330));
    assert_eq!(poll(&mut d), Poll::Ready(Ok("d")));
}

#[test]
fn of_two_that_were_flushed_the_newer_starts() {
    let clock = Timers::new();
    let save: Debounce<Own<'_>> = Debounce::with_clock(&clock, ms(100));
    let call = |name| Box::pin(save.call(move || ready(Ok::<_, ()>(name))));
    let [mut a, mut b] = [call("a"), call("b")];
    assert!(poll(&mut a).is_pending());
    assert!(save.flush());
    assert!(poll(&mut b).is_pending());
    assert!(save.flush());
    assert!(save.flush(), "it has not started yet");
    assert_eq!(poll(&mut a), Poll::Ready(Err(EdgeError::Superseded)));
    assert_eq!(poll(&mut b), Poll::Ready(Ok("b")));
    assert!(!save.flush());
}

#[test]
fn a_cancel_is_told_to_those_it_reached_and_to_nobody_else() {
    let clock = Timers::new();
    let save: Debounce<Own<'_>> = Debounce::with_clock(&clock, ms(100));
    let call = || Box::pin(save.call(|| ready(Ok::<_, ()>(()))));
    let [mut superseded, mut flushed, mut newest] = [call(), call(), call()];
    assert!(poll(&mut superseded).is_pending());
    assert!(poll(&mut flushed).is_pending());
    assert!(save.flush());
    assert!(poll(&mut newest).is_pending());
    assert!(save.cancel());
    assert!(!save.cancel());
    assert_eq!(poll(&mut superseded), Poll::Ready(Err(EdgeError::Superseded)));
    assert_eq!(poll(&mut flushed), Poll::Ready(Err(EdgeError::Cancelled)));
    assert_eq!(poll(&mut newest), Poll::Ready(Err(EdgeError::Cancelled)));
}

#[test]
fn a_shared_start_counts_from_when_it_is_made() {
    let clock = Timers::new();
    let save: Throttle<Own<'_>, Shared> = Throttle::with_clock(&clock, ms(100));
    let call = |number| Box::pin(save.call(move || ready(Ok(number))));
    assert_eq!(poll(&mut call(0)), Poll::Ready(Ok(0)));
    let [mut keeper, mut newest, mut next] = [call(1), call(2), call(3)];
    assert!(poll(&mut keeper).is_pending());
    assert!(poll(&mut newest).is_pending());
    clock.set(at(100));
    assert!(poll(&mut keeper).is_pending(), "the newest is to start, whose task is busy");
    clock.set(at(190));
    assert_eq!(poll(&mut newest), Poll::Ready(Ok(2)));
    assert_eq!(poll(&mut keeper), Poll::Ready(Ok(2)));
    clock.set(at(201));
    assert!(poll(&mut next).is_pending());
    clock.set(at(289));
    assert!(poll(&mut next).is_pending());
    clock.set(at(290));
    assert_eq!(poll(&mut next), Poll::Ready(Ok(3)));
}

#[test]
fn a_flush_of_those_who_share_leaves_later_ones_their_own_burst() {
    let clock = Timers::new();
    let save: Debounce<Own<'_>, Shared> = Debounce::with_clock(&clock, ms(100));
    let call = |number| Box::pin(save.call(move || ready(Ok(number))));
    let [mut a, mut b, mut c] = [call(1), call(2), call(3)];
    assert!(poll(&mut a).is_pending());
    assert!(poll(&mut b).is_pending());
    assert!(save.flush());
    assert!(poll(&mut c).is_pending());
    // The newest of the flushed leaves, and the one before it starts.
    drop(b);
    assert_eq!(poll(&mut a), Poll::Ready(Ok(1)));
    clock.set(at(100));
    assert_eq!(poll(&mut c), Poll::Ready(Ok(3)));
    assert!(!save.is_pending());
}

#[test]
fn all_of_many_who_share_learn_of_a_cancel() {
    let clock = Timers::new();
    let save: Debounce<Own<'_>, Shared> = Debounce::with_clock(&clock, ms(100));
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut calls: Vec<_> = (0..1_000).map(|number| Box::pin(save.call(move || ready(Ok(number))))).collect();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // Some have left, at both ends and between.
    for leaving in [999, 500, 0] {
        drop(calls.remove(leaving));
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the newest is to look at the time, now that the first has gone");
    assert!(save.cancel());
    assert_eq!(count.0.load(Ordering::Relaxed), calls.len(), "each once");
    for call in &mut calls {
        assert_eq!(poll(call), Poll::Ready(Err(EdgeError::Cancelled)));
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// When it is woken, the operation of the one before must be gone.
struct FindsItFree {
    held: Arc<AtomicBool>,
    woken: AtomicBool,
}

impl Wake for FindsItFree {
    fn wake(self: Arc<Self>) {
        assert!(!self.held.load(Ordering::Relaxed), "the operation is still there");
        self.woken.store(true, Ordering::Relaxed);
    }
}

/// What an operation holds.
struct Held(Arc<AtomicBool>);

impl Held {
    fn new(held: &Arc<AtomicBool>) -> Self {
        held.store(true, Ordering::Relaxed);
        Self(Arc::clone(held))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_successor_is_woken_after_the_operation_has_been_dropped() {
    let clock = Timers::new();
    let save: Throttle<Own<'_>, Shared> = Throttle::with_clock(&clock, ms(100)).trailing(false);
    let held = Arc::new(AtomicBool::new(false));
    let mut leader = Box::pin(save.call(|| {
        let held = Held::new(&held);
        async move {
            let _held = held;
            pending().await
        }
    }));
    assert!(poll(&mut leader).is_pending());
    assert!(held.load(Ordering::Relaxed));
    let finds = Arc::new(FindsItFree { held: Arc::clone(&held), woken: AtomicBool::new(false) });
    let mut successor = Box::pin(save.call(|| ready(Ok(2))));
    assert!(successor.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&finds)))).is_pending());
    drop(leader);
    assert!(finds.woken.load(Ordering::Relaxed));
    clock.set(at(100));
    assert_eq!(poll(&mut successor), Poll::Ready(Ok(2)));
}

/// Tries to drive while it is dropped.
struct Drives<'g, 'c> {
    knob: &'g Debounce<Own<'c>, Trigger<u32>>,
    found: &'g Cell<Option<Poll<Result<u32, DriveError>>>>,
}

impl Drop for Drives<'_, '_> {
    fn drop(&mut self) {
        self.found.set(Some(poll(&mut Box::pin(self.knob.next()))));
    }
}

#[test]
fn nobody_drives_before_the_operation_has_been_dropped() {
    let clock = Timers::new();
    let knob: Debounce<Own<'_>, Trigger<u32>> = Debounce::with_clock(&clock, ms(0));
    let found = Cell::new(None);
    let mut run = Box::pin(knob.run(|_| {
        let drives = Drives { knob: &knob, found: &found };
        async move {
            let _drives = drives;
            pending::<()>().await;
        }
    }));
    knob.trigger(1);
    assert!(poll(&mut run).is_pending());
    drop(run);
    assert_eq!(found.take(), Some(Poll::Ready(Err(DriveError::Busy))));
    assert!(poll(&mut Box::pin(knob.next())).is_pending(), "now somebody may");
}

#[test]
fn whoever_has_a_value_makes_way_for_the_next() {
    let clock = Timers::new();
    let knob: Debounce<Own<'_>, Trigger<u32>> = Debounce::with_clock(&clock, ms(0));
    let mut first = Box::pin(knob.next());
    knob.trigger(1);
    assert_eq!(poll(&mut first), Poll::Ready(Ok(1)));
    knob.trigger(2);
    assert_eq!(poll(&mut Box::pin(knob.next())), Poll::Ready(Ok(2)), "the first is still there, and drives no longer");
}

#[test]
fn what_is_due_and_has_not_been_taken_is_pending() {
    let clock = Timers::new();
    let knob: Throttle<Own<'_>, Trigger<u32>> = Throttle::with_clock(&clock, ms(100));
    knob.trigger(1);
    assert!(knob.is_pending() && knob.flush() && knob.is_pending() && knob.cancel());
    assert!(!knob.is_pending() && !knob.flush() && !knob.cancel());
    knob.trigger(2);
    assert_eq!(poll(&mut Box::pin(knob.next())), Poll::Ready(Ok(2)), "what was cancelled has not been counted");
    assert!(!knob.is_pending());
}

#[test]
fn an_operation_that_triggers_itself_lets_others_have_their_turn() {
    let clock = Timers::new();
    let knob: Throttle<Own<'_>, Trigger<u32>> = Throttle::with_clock(&clock, ms(0));
    let runs = Cell::new(0);
    let mut run = Box::pin(knob.run(|number| {
        runs.set(number);
        knob.trigger(number + 1);
        ready(())
    }));
    knob.trigger(1);
    assert!(poll(&mut run).is_pending());
    let before = runs.get();
    assert!(poll(&mut run).is_pending());
    assert!(before > 0 && runs.get() > before);
}
