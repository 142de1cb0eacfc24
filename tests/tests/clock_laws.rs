//! The laws of clocks, sleeps and alarms: one suite, on every runtime.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aplomb::alarm::Alarm;
use aplomb::time::ms;
use aplomb::{Clock, Instant, Sleep, Timeout, TimeoutError};
use aplomb_embassy::EmbassyClock;
use aplomb_sim::{ManualClock, SimClock};
use aplomb_smol::SmolClock;
use aplomb_tokio::TokioClock;

/// How a runtime differs, as far as the laws allow.
#[derive(Clone, Copy)]
struct Traits {
    /// How late timers may be.
    lateness: Duration,
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

async fn laws<C: Clock>(clock: C, traits: Traits) {
    let check = |took: Duration, expected: Duration, what: &str| {
        assert!(took >= expected, "{what}: early, after {took:?} instead of {expected:?}");
        assert!(took <= expected + traits.lateness, "{what}: late, after {took:?}");
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
    let began = clock.now();
    sleep.as_mut().reset(began + ms(10));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began - ms(10));
    check(wait(&clock, began, sleep.as_mut()).await, ms(0), "reset to the past while pending");
    // To never, and back again.
    let began = clock.now();
    sleep.as_mut().reset(began + ms(5));
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(Instant::MAX);
    pend_once(sleep.as_mut()).await;
    check(wait(&clock, began, pin!(clock.sleep_until(began + ms(10)))).await, ms(10), "beside one that never ends");
    pend_once(sleep.as_mut()).await;
    sleep.as_mut().reset(began + ms(20));
    check(wait(&clock, began, sleep.as_mut()).await, ms(20), "reset from never");
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
    runtime.block_on(laws(TokioClock, Traits { lateness: Duration::ZERO, any_waker: true }));
}

#[test]
fn smol_keeps_the_laws_in_real_time() {
    async_io::block_on(laws(SmolClock, Traits { lateness: ms(500), any_waker: true }));
}

#[test]
fn embassy_keeps_the_laws() {
    embassy_host::block_on(laws(EmbassyClock, Traits { lateness: 2 * EmbassyClock::TICK, any_waker: false }));
}

#[test]
fn the_simulation_keeps_the_laws() {
    aplomb_sim::block_on(laws(SimClock, Traits { lateness: Duration::ZERO, any_waker: true }));
}

/// An executor of one task: when that has nothing to do, the clock goes on to the next timer.
#[test]
fn the_manual_clock_keeps_the_laws() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let clock = ManualClock::<8>::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut laws = pin!(laws(&clock, Traits { lateness: Duration::ZERO, any_waker: true }));
    while laws.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        while !woken.0.swap(false, Ordering::Relaxed) {
            clock.advance_to_next().expect("it waits, and no timer is set");
        }
    }
    assert_eq!(clock.overflows(), 0);
}

/// embassy's queue knows nothing of what never comes; of what was dropped it may, and wakes for nothing.
#[test]
fn never_enters_nothing_into_the_queue_of_embassy() {
    fn never() -> Timeout<std::future::Pending<Result<(), ()>>, EmbassyClock> {
        Timeout::with_clock(EmbassyClock, Duration::MAX, pending())
    }
    let host = embassy_host::Host::new();
    host.spawn(async { _ = never().await });
    host.spawn(async {
        static FOREVER: aplomb_embassy::Retry = aplomb_embassy::Retry::new().attempt_timeout(Duration::MAX);
        _ = FOREVER.run(pending::<Result<(), ()>>).await;
    });
    assert_eq!(host.fire_and_settle(), None);
    host.spawn(async {
        pend_once(pin!(EmbassyClock.sleep_until(EmbassyClock.now() + ms(5)))).await;
        _ = never().await;
    });
    let stray = host.fire_and_settle().expect("the queue has not heard yet that it was dropped");
    host.set_ticks(stray);
    assert_eq!(host.fire_and_settle(), None);
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
        let mut greedy = pin!(async {
            loop {
                drop(permits.acquire().await);
            }
        });
        let mut polls = 0;
        let greedy = poll_fn(|cx| {
            polls += 1;
            assert!(polls < 10_000, "the timeout is held back");
            greedy.as_mut().poll(cx)
        });
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
