//! How the one place that touches a `Sleep` treats it: lazily, never after it was ready, and at the least cost.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, IntoFuture, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::alarm::Alarm;
use aplomb::backoff::{Constant, Exponential};
use aplomb::retry::RetryAll;
use aplomb::time::ms;
use aplomb::{Clock, Deadline, Inline, Instant, ParentWaker, Platform, Retry, RetryError, Sleep, Timeout, TimeoutError};
use aplomb_sim::{SimClock, SimRawMutex, World};

/// A clock that counts what is asked of it, and whose sleeps insist on the laws.
#[derive(Clone, Default)]
struct Counting(Rc<Counts>);

#[derive(Default)]
struct Counts {
    /// Nanoseconds by which the clock lags behind its timers.
    lag: Cell<u64>,
    readings: Cell<u32>,
    sleeps: Cell<u32>,
    resets: Cell<u32>,
}

struct CountingSleep {
    counts: Rc<Counts>,
    fired: bool,
    sleep: Pin<Box<<SimClock as Clock>::Sleep>>,
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get() + 1);
}

impl Clock for Counting {
    type Sleep = CountingSleep;

    fn now(&self) -> Instant {
        count(&self.0.readings);
        SimClock.now() - Duration::from_nanos(self.0.lag.get())
    }

    fn sleep_until(&self, at: Instant) -> CountingSleep {
        assert!(!at.is_never(), "never registers nothing");
        count(&self.0.sleeps);
        CountingSleep { counts: Rc::clone(&self.0), fired: false, sleep: Box::pin(SimClock.sleep_until(at)) }
    }
}

impl Future for CountingSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.fired, "polled after it was ready, and not reset");
        let polled = self.sleep.as_mut().poll(cx);
        self.fired = polled.is_ready();
        polled
    }
}

impl Sleep for CountingSleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        count(&self.counts.resets);
        self.fired = false;
        self.sleep.as_mut().reset(at);
    }
}

struct CountingPlatform;

impl Platform for CountingPlatform {
    type Clock = Counting;
    type RawMutex = SimRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<4>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

/// Readings, sleeps made, resets.
fn counted(clock: &Counting) -> (u32, u32, u32) {
    (clock.0.readings.take(), clock.0.sleeps.take(), clock.0.resets.take())
}

fn policy(clock: &Counting) -> Retry<'static, CountingPlatform, Exponential, RetryAll> {
    Retry::with_clock(clock.clone())
}

#[test]
fn a_ready_operation_costs_neither_a_timer_nor_a_reading_of_the_clock() {
    let clock = Counting::default();
    assert_eq!(aplomb_sim::block_on(Timeout::with_clock(clock.clone(), ms(5), ready(Ok::<_, ()>(1)))), Ok(1));
    assert_eq!(counted(&clock), (0, 0, 0));
    let limited = policy(&clock).attempt_timeout(ms(5)).deadline(ms(50));
    assert_eq!(aplomb_sim::block_on(limited.run(|| ready(Ok::<_, ()>(1)))), Ok(1));
    assert_eq!(counted(&clock), (0, 0, 0));
}

#[test]
fn a_timeout_that_waits_costs_one_reading_and_one_timer() {
    let clock = Counting::default();
    let yields = || async {
        for _ in 0..5 {
            aplomb_sim::Sim.yield_now().await;
        }
        Ok::<_, ()>(1)
    };
    assert_eq!(aplomb_sim::block_on(Timeout::with_clock(clock.clone(), ms(5), yields())), Ok(1));
    assert_eq!(counted(&clock), (1, 1, 0));
    assert_eq!(aplomb_sim::block_on(Timeout::with_clock(clock.clone(), Duration::MAX, yields())), Ok(1));
    assert_eq!(counted(&clock), (0, 0, 0), "never costs nothing");
    assert_eq!(aplomb_sim::block_on(policy(&clock).run(yields)), Ok(1));
    assert_eq!(counted(&clock), (0, 0, 0), "nor does a retry without limits in time");
}

#[test]
fn a_call_has_one_timer_which_is_reset() {
    let clock = Counting::default();
    let failed = policy(&clock).max_attempts(4).run(|| ready(Err::<(), _>(()))).into_error();
    assert_eq!(failed, 4);
    assert_eq!(counted(&clock), (3, 1, 2), "a reading and a setting for each pause");
    let at_once = policy(&clock).call(|| ready(Err::<(), _>(()))).backoff(Constant::every(Duration::ZERO));
    assert_eq!(at_once.into_future().into_error(), 3);
    assert_eq!(counted(&clock), (0, 0, 0), "a pause of zero needs none");
}

trait IntoError {
    /// Runs it to its end, which is an error, and tells the attempts.
    fn into_error(self) -> u32;
}

impl<F: Future<Output = Result<(), aplomb::RetryError<()>>>> IntoError for F {
    fn into_error(self) -> u32 {
        aplomb_sim::block_on(self).unwrap_err().attempts()
    }
}

/// Polls a future so often before anything has happened.
async fn polled_for_nothing<F: Future>(times: u32, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() && left > 0 {
            left -= 1;
            cx.waker().wake_by_ref();
        }
        polled
    })
    .await
}

#[test]
fn polls_that_nobody_asked_for_cost_no_further_timer() {
    let clock = Counting::default();
    let late = Timeout::with_clock(clock.clone(), ms(5), pending::<Result<(), ()>>());
    assert_eq!(aplomb_sim::block_on(polled_for_nothing(9, late)), Err(TimeoutError::TimedOut { after: Some(ms(5)) }));
    assert_eq!(counted(&clock), (1, 1, 0));
    let deadline = Deadline::at(Instant::ORIGIN + ms(5));
    let late = Timeout::at_with_clock(clock.clone(), deadline, pending::<Result<(), ()>>());
    assert_eq!(aplomb_sim::block_on(polled_for_nothing(9, late)), Err(TimeoutError::TimedOut { after: None }));
    assert_eq!(counted(&clock), (0, 1, 0), "a deadline needs no reading");
    let failing = policy(&clock).max_attempts(2).call(|| ready(Err::<(), _>(())));
    assert_eq!(polled_for_nothing(9, failing.into_future()).into_error(), 2);
    assert_eq!(counted(&clock), (1, 1, 0), "nor does a pause that lasts");
    let hanging = policy(&clock).max_attempts(1).attempt_timeout(ms(5)).call(pending::<Result<(), ()>>);
    assert_eq!(polled_for_nothing(9, hanging.into_future()).into_error(), 1);
    assert!(counted(&clock).0 <= 3, "the beginning and the end are read, not every poll");
}

#[test]
fn what_has_ended_is_pending_for_ever_and_touches_its_timer_no_more() {
    let clock = Counting::default();
    aplomb_sim::block_on(async {
        let mut late = pin!(Timeout::with_clock(clock.clone(), ms(5), pending::<Result<(), ()>>()));
        let policy = policy(&clock).max_attempts(2);
        let mut failed = pin!(policy.run(|| ready(Err::<(), _>(()))));
        late.as_mut().await.unwrap_err();
        failed.as_mut().await.unwrap_err();
        counted(&clock);
        poll_fn(|cx| {
            assert!(late.as_mut().poll(cx).is_pending() && failed.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(counted(&clock), (0, 0, 0));
    });
}

#[test]
fn an_alarm_that_has_fired_is_set_anew_and_not_polled_again() {
    let clock = Counting::default();
    aplomb_sim::block_on(async {
        let mut alarm = pin!(Alarm::new());
        for round in 1..=3 {
            poll_fn(|cx| alarm.as_mut().poll_until(&clock, Instant::ORIGIN + ms(10), cx)).await;
            assert_eq!((SimClock.now() - Instant::ORIGIN, alarm.at()), (ms(10), Instant::MAX), "round {round}");
        }
        assert_eq!(counted(&clock), (0, 1, 2), "one sleep, two resets");
    });
}

#[test]
fn a_clock_that_lags_behind_its_timers_makes_nothing_spin() {
    let clock = Counting::default();
    clock.0.lag.set(3_000_000);
    let world = World::new();
    let limited = policy(&clock).attempt_timeout(ms(10)).max_attempts(3);
    let ended = world.spawn("call", async move { limited.run(pending::<Result<(), ()>>).await.unwrap_err().attempts() });
    world.run().unwrap();
    assert_eq!(ended.try_take().unwrap().unwrap(), 3);
    assert!(world.polls() < 12, "{} polls for three attempts and two pauses", world.polls());
    let world = World::new();
    let limited = policy(&clock).deadline(ms(10)).forever();
    let ended = world.spawn("deadline", async move { limited.run(pending::<Result<(), ()>>).await.unwrap_err() });
    world.run().unwrap();
    assert_eq!(ended.try_take().unwrap().unwrap(), RetryError::Deadline { attempts: 1, last: None });
    assert!(world.polls() < 4, "{} polls until the deadline", world.polls());
    // A form of its own: what lends.
    let world = World::new();
    let limited = policy(&clock).attempt_timeout(ms(10)).max_attempts(3);
    let ended = world.spawn("lent", async move { limited.run_mut(async || pending::<Result<(), ()>>().await).await });
    world.run().unwrap();
    assert!(ended.try_take().unwrap().unwrap().unwrap_err().is_timeout());
    assert!(world.polls() < 12, "{} polls for three attempts and two pauses", world.polls());
}

#[test]
fn never_leaves_no_timer_behind() {
    let world = World::new();
    world.spawn("never", async { Timeout::with_clock(SimClock, Duration::MAX, pending::<Result<(), ()>>()).await.unwrap() });
    world.spawn("dropped", async {
        let mut dropped = Box::pin(Timeout::with_clock(SimClock, ms(5), pending::<Result<(), ()>>()));
        poll_fn(|cx| {
            assert!(dropped.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    });
    world.settle().unwrap();
    assert_eq!(world.next_timer(), None);
}
