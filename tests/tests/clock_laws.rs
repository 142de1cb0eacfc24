//! The laws of clocks, sleeps and alarms: one suite, on every runtime.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, IntoFuture, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::alarm::Alarm;
use aplomb::backoff::{Constant, Exponential};
use aplomb::retry::RetryAll;
use aplomb::time::ms;
use aplomb::{Ambient, Clock, Inline, Instant, ParentWaker, Platform, Retry, Sleep, Timeout, TimeoutError};
use aplomb_embassy::EmbassyClock;
use aplomb_sim::{SimClock, SimRawMutex, World};
use aplomb_smol::SmolClock;
use aplomb_tokio::TokioClock;

/// How a runtime differs, as far as the laws allow.
#[derive(Clone, Copy)]
struct Traits {
    /// Timers end at the very instant.
    exact: bool,
    /// Any waker will do, and not the task's only.
    any_waker: bool,
}

/// Waits for a sleep; says how long that took.
async fn wait<C: Clock>(clock: &C, since: Instant, mut sleep: Pin<&mut C::Sleep>) -> Duration {
    poll_fn(|cx| sleep.as_mut().poll(cx)).await;
    clock.now() - since
}

async fn pend_once<S: Sleep>(mut sleep: Pin<&mut S>) {
    poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

async fn laws<C: Ambient>(traits: Traits) {
    let clock = C::CLOCK;
    let check = |took: Duration, expected: Duration, what: &str| {
        assert!(took >= expected, "{what}: early, after {took:?} instead of {expected:?}");
        assert!(took < expected + if traits.exact { Duration::from_nanos(1) } else { ms(500) }, "{what}: late, after {took:?}");
    };
    // Never early.
    let began = clock.now();
    let mut sleep = pin!(clock.sleep_until(began + ms(20)));
    check(wait(&clock, began, sleep.as_mut()).await, ms(20), "a sleep");
    // Reset after it was ready: later, now, to the past.
    sleep.as_mut().reset(began + ms(30));
    check(wait(&clock, began, sleep.as_mut()).await, ms(30), "reset after it was ready");
    for past in [clock.now(), began] {
        sleep.as_mut().reset(past);
        check(wait(&clock, clock.now(), sleep.as_mut()).await, ms(0), "reset to the past");
    }
    // Reset before the first poll, and while pending: later, earlier, to the same.
    let began = clock.now();
    let mut sleep = pin!(clock.sleep_until(began + ms(5)));
    sleep.as_mut().reset(began + ms(80));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began + ms(40));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began + ms(20));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began + ms(20));
    check(wait(&clock, began, sleep.as_mut()).await, ms(20), "reset while pending");
    let began = clock.now();
    sleep.as_mut().reset(began + ms(10));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began + ms(30));
    check(wait(&clock, began, sleep.as_mut()).await, ms(30), "reset to later while pending");
    // In the past from the start.
    let began = clock.now();
    check(wait(&clock, began, pin!(clock.sleep_until(began - ms(1)))).await, ms(0), "the past");
    // So long from now.
    let began = clock.now();
    check(wait(&clock, began, pin!(clock.sleep_for(ms(15)))).await, ms(15), "sleep_for");
    // Another waker than last time: the last one counts.
    if traits.any_waker {
        let began = clock.now();
        let mut sleep = pin!(clock.sleep_until(began + ms(20)));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        check(wait(&clock, began, sleep.as_mut()).await, ms(20), "another waker");
    }
    // Dropped, it is cancelled, and does no harm to another.
    let began = clock.now();
    {
        let mut dropped = pin!(clock.sleep_until(began + ms(10)));
        pend_once(dropped.as_mut()).await;
    }
    check(wait(&clock, began, pin!(clock.sleep_until(began + ms(25)))).await, ms(25), "after another was dropped");
    // Far away, and never.
    let mut far = pin!(clock.sleep_until(Instant::from_nanos(u64::MAX - 1)));
    pend_once(far.as_mut()).await;
    let mut never = pin!(Alarm::new());
    poll_fn(|cx| {
        assert!(never.as_mut().poll_until(&clock, Instant::MAX, cx).is_pending());
        assert!(never.as_mut().poll_for(&clock, Duration::MAX, cx).is_pending());
        Poll::Ready(())
    })
    .await;
    // Two timers in one task: the later one is not forgotten when the earlier fires.
    let began = clock.now();
    let late = Timeout::with_clock(clock.clone(), ms(60), pending::<Result<(), ()>>());
    let (mut late, mut early) = (pin!(late), pin!(clock.sleep_until(began + ms(20))));
    let mut early_ended = false;
    let outcome = poll_fn(|cx| {
        early_ended = early_ended || early.as_mut().poll(cx).is_ready();
        late.as_mut().poll(cx)
    })
    .await;
    assert_eq!(outcome, Err(TimeoutError::TimedOut { after: Some(ms(60)) }));
    assert!(early_ended);
    check(clock.now() - began, ms(60), "the later of two");
    // An alarm goes where it is told, to and fro.
    let began = clock.now();
    let mut alarm = pin!(Alarm::new());
    poll_fn(|cx| {
        assert!(alarm.as_mut().poll_until(&clock, began + ms(90), cx).is_pending());
        Poll::Ready(())
    })
    .await;
    for target in [20, 30] {
        poll_fn(|cx| alarm.as_mut().poll_until(&clock, began + ms(target), cx)).await;
        check(clock.now() - began, ms(target), "an alarm");
        assert_eq!(alarm.at(), Instant::MAX, "it is set to nothing any more");
    }
}

#[test]
fn tokio_keeps_the_laws() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(laws::<TokioClock>(Traits { exact: true, any_waker: true }));
}

#[test]
fn smol_keeps_the_laws_in_real_time() {
    async_io::block_on(laws::<SmolClock>(Traits { exact: false, any_waker: true }));
}

#[test]
fn embassy_keeps_the_laws() {
    embassy_host::block_on(laws::<EmbassyClock>(Traits { exact: true, any_waker: false }));
}

#[test]
fn the_simulation_keeps_the_laws() {
    aplomb_sim::block_on(laws::<SimClock>(Traits { exact: true, any_waker: true }));
}

/// What is made outside a runtime needs none until it waits.
#[test]
fn a_constructor_needs_no_runtime() {
    static RETRY: aplomb_tokio::Retry = aplomb_tokio::Retry::new();
    let guarded = aplomb_tokio::timeout(ms(50), ready(Ok::<_, ()>(7)));
    let mut guarded = pin!(guarded);
    assert_eq!(guarded.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7)));
    let mut retried = pin!(RETRY.run(|| ready(Ok::<_, ()>(7))));
    assert_eq!(retried.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7)));
}

/// An operation that eats up its task's budget at every poll does not keep its timeout from firing.
#[test]
fn the_cooperative_budget_holds_no_timeout_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let permits = tokio::sync::Semaphore::new(1);
        let greedy = async {
            loop {
                drop(permits.acquire().await);
            }
        };
        // Time stands while a task is ready; somebody has to move it.
        let clock = tokio::spawn(async {
            for _ in 0..100 {
                tokio::time::advance(ms(1)).await;
            }
        });
        let outcome = aplomb_tokio::timeout(ms(50), async {
            greedy.await;
            Ok::<(), ()>(())
        })
        .await;
        assert!(outcome.unwrap_err().is_timeout());
        clock.abort();
    });
}

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
