//! What becomes of callers.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use aplomb::adaptive_limit::{AdaptiveLimit, Aimd, Gradient, Vegas, Verdict};
use aplomb::ratio::{Ratio, percent};
use aplomb::time::ms;
use aplomb::{ConfigError, Inline, Judge, LimitError};
use aplomb_sim::{Explore, Manual, ManualClock, Sim, SimClock, block_on, sleep};
use aplomb_tokio::Tokio;

/// One that changes with each call.
fn quick(initial: u32) -> AdaptiveLimit<Sim, Aimd> {
    let limit = AdaptiveLimit::with_clock(SimClock, Aimd::new(ms(100))).initial_limit(initial);
    limit.window(ms(0)).min_calls(1).overload_tolerance(percent(0))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    type Limit<A = Gradient> = AdaptiveLimit<Sim, A>;
    fn check<A: aplomb::adaptive_limit::Algorithm>(make: impl Fn() -> Limit<A>, expected: ConfigError) {
        assert_eq!(make().check().err(), Some(expected));
        let limit = make();
        block_on(async {
            let started = Cell::new(false);
            let start = || {
                started.set(true);
                ready(Ok::<_, ()>(()))
            };
            assert_eq!(limit.run(start).await, Err(LimitError::Config(expected)));
            assert_eq!(limit.try_run(start).await, Err(LimitError::Config(expected)));
            assert_eq!(limit.acquire().await.err(), Some(LimitError::Config(expected)));
            assert_eq!(limit.try_acquire().err(), Some(LimitError::Config(expected)));
            assert!(!started.get(), "{expected}");
        });
    }
    let new = || Limit::<Gradient>::new();
    check(|| new().min_limit(0), ConfigError::MinLimit { value: 0 });
    check(|| new().min_limit(30).max_limit(25), ConfigError::MaxLimit { value: 25, least: 30 });
    check(|| new().max_limit(10), ConfigError::InitialLimit { value: 20, least: 1, most: 10 });
    check(|| new().min_limit(21), ConfigError::InitialLimit { value: 20, least: 21, most: 200 });
    check(|| new().min_calls(0), ConfigError::MinCalls { value: 0, most: u32::MAX });
    let [nothing, none] = [percent(0), Ratio::new(1, 0)];
    for value in [percent(99), none] {
        check(|| new().algorithm(Gradient::new().tolerance(value)), ConfigError::Tolerance { value });
    }
    for value in [nothing, none, percent(101)] {
        check(|| new().algorithm(Gradient::new().smoothing(value)), ConfigError::Smoothing { value });
    }
    for value in [nothing, none, percent(49), percent(100), percent(101)] {
        check(|| new().algorithm(Aimd::new(ms(1)).backoff(value)), ConfigError::BackoffRatio { value });
    }
    for value in [none, percent(100), percent(101)] {
        check(|| new().overload_tolerance(value), ConfigError::OverloadTolerance { value });
    }
    check(|| new().algorithm(Aimd::new(ms(0))), ConfigError::MaxLatency { value: ms(0) });
    check(|| new().algorithm(Gradient::new().probe_every(0)), ConfigError::ProbeEvery { value: 0 });
    check(|| new().algorithm(Vegas::new().probe_every(0)), ConfigError::ProbeEvery { value: 0 });
    assert!(new().algorithm(Aimd::new(ms(1)).backoff(percent(50))).check().is_ok());
    let in_place = |most| new().storage::<Inline<4>>().max_waiting(most);
    assert!(in_place(4).check().is_ok() && in_place(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 5, most: 4 };
    assert_eq!((in_place(5).config_error(), in_place(5).check().err()), (Some(refused), Some(refused)));
    assert_eq!(in_place(5).try_acquire().err(), Some(LimitError::Config(refused)));
}

#[test]
fn the_queue_has_an_end_and_its_time_too() {
    let limit = quick(1).max_limit(2).max_waiting(1).max_wait(ms(50));
    block_on(async {
        let held = limit.acquire().await.unwrap();
        assert_eq!(limit.try_run(|| ready(Ok::<_, ()>(()))).await, Err(LimitError::Busy));
        let mut waits = pin!(limit.run(|| ready(Ok::<_, ()>(7))));
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(limit.acquire().await.err(), Some(LimitError::QueueFull { waiting: 1 }));
        sleep(ms(49)).await;
        held.success();
        assert_eq!(waits.await, Ok(7), "in time");
        let (first, second) = (limit.acquire().await.unwrap(), limit.acquire().await.unwrap());
        let late = limit.acquire().await;
        assert_eq!(late.err(), Some(LimitError::TimedOut { after: ms(50) }));
        drop((first, second));
        limit.close();
        assert_eq!(limit.acquire().await.err(), Some(LimitError::Closed));
    });
}

/// How long it waited for its place is not the service's time.
#[test]
fn a_call_is_measured_from_its_start() {
    let limit = quick(1);
    block_on(async {
        let held = limit.acquire().await.unwrap();
        let mut waits = pin!(limit.run(async || {
            sleep(ms(90)).await;
            Ok::<_, ()>(())
        }));
        assert!(poll(waits.as_mut()).is_pending());
        sleep(ms(50)).await;
        drop(held);
        assert_eq!(waits.await, Ok(()));
        assert_eq!(limit.limit(), 2, "140 ms would have been too long");
    });
}

#[test]
fn who_waits_starts_as_soon_as_the_limit_has_grown() {
    let limit = quick(1);
    block_on(async {
        let first = limit.acquire().await.unwrap();
        let (mut second, mut third) = (pin!(limit.acquire()), pin!(limit.acquire()));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        sleep(ms(1)).await;
        first.success();
        assert_eq!(limit.limit(), 2);
        let (Poll::Ready(Ok(second)), Poll::Ready(Ok(third))) = (poll(second), poll(third)) else { panic!("both may start") };
        second.overload();
        assert_eq!(limit.snapshot().limit, 1);
        assert!(limit.try_acquire().is_err(), "one is still under way");
        drop(third);
        assert!(limit.try_acquire().is_ok());
    });
}

#[test]
fn what_is_dropped_or_ignored_counts_as_nothing() {
    #[derive(Clone, Copy)]
    struct Never;
    impl<T, E> Judge<T, E, Verdict> for Never {
        fn judge(&self, _: Result<&T, &E>) -> Verdict {
            Verdict::Ignored
        }
    }
    let limit = AdaptiveLimit::<Sim, _>::with_clock(SimClock, Aimd::new(ms(100))).window(ms(0)).min_calls(1).initial_limit(2);
    let (by_default, never) = (quick(2), limit.judged_by(Never));
    block_on(async {
        let mut dropped = Box::pin(by_default.run(pending::<Result<(), ()>>));
        assert!(poll(dropped.as_mut()).is_pending());
        sleep(ms(500)).await;
        drop(dropped);
        assert_eq!(by_default.run(|| ready(Err::<(), _>("no"))).await, Err(LimitError::Failed("no")));
        drop(by_default.acquire().await);
        assert_eq!(never.run(|| ready(Ok::<_, ()>(7))).await, Ok(7));
        assert_eq!((by_default.limit(), never.limit()), (2, 2));
        assert_eq!(by_default.snapshot().in_flight, 0);
        assert_eq!(by_default.run(|| ready(Ok::<_, ()>(7))).await, Ok(7));
        assert_eq!(by_default.limit(), 3);
    });
}

/// What an operation holds may look at the limit when it is dropped. The place is free when what had it is gone.
#[test]
fn a_callers_code_may_call_back() {
    struct Looks<'l>(&'l AdaptiveLimit<Sim, Aimd>, &'l RefCell<Vec<u32>>);
    impl Drop for Looks<'_> {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0.snapshot().in_flight);
        }
    }
    let (limit, seen) = (quick(2), RefCell::default());
    block_on(async {
        let operation = || {
            let looks = Looks(&limit, &seen);
            async move {
                sleep(ms(1)).await;
                drop(looks);
                Ok::<_, ()>(())
            }
        };
        limit.run(operation).await.unwrap();
        let mut dropped = Box::pin(limit.run(operation));
        assert!(poll(dropped.as_mut()).is_pending());
        drop(dropped);
        assert_eq!(limit.snapshot().in_flight, 0);
    });
    assert_eq!(*seen.borrow(), [1, 1]);
}

#[test]
fn what_has_ended_stays_pending() {
    let limit = quick(1);
    block_on(async {
        let mut run = pin!(limit.run(|| ready(Ok::<_, ()>(7))));
        assert_eq!(poll(run.as_mut()), Poll::Ready(Ok(7)));
        assert!(poll(run.as_mut()).is_pending());
        let mut acquired = pin!(limit.acquire());
        assert!(poll(acquired.as_mut()).is_ready());
        assert!(poll(acquired.as_mut()).is_pending());
    });
}

/// Nothing happens before the first poll, and who finds a place needs no timer, for which there were no runtime.
#[test]
fn it_is_lazy() {
    let limit: AdaptiveLimit<Tokio> = AdaptiveLimit::new().initial_limit(1).max_wait(ms(10));
    let (run, acquire) = (limit.run(|| ready(Ok::<_, ()>(1))), limit.acquire());
    assert_eq!(limit.snapshot().in_flight, 0);
    assert!(poll(pin!(acquire)).is_ready());
    assert_eq!(poll(pin!(run)), Poll::Ready(Ok(1)));
}

#[test]
fn a_clock_that_is_set_back_measures_nothing() {
    let clock = ManualClock::<4>::new();
    let limit: AdaptiveLimit<Manual<'_, 4>, Aimd, _, Inline<2>> =
        AdaptiveLimit::with_clock(&clock, Aimd::new(ms(100))).initial_limit(4).window(ms(0)).min_calls(1);
    let limit = limit.overload_tolerance(percent(0)).check().unwrap();
    let origin = clock.now();
    clock.advance(ms(5_000));
    let (across, overload) = (limit.try_acquire().unwrap(), limit.try_acquire().unwrap());
    clock.advance(ms(200));
    overload.success();
    assert_eq!(limit.limit(), 3);
    clock.set(origin);
    across.success();
    assert_eq!(limit.limit(), 3, "nobody knows how long it took");
    let permits: Vec<_> = (0..3).map(|_| limit.try_acquire().unwrap()).collect();
    clock.advance(ms(200));
    for permit in permits {
        permit.success();
    }
    assert_eq!(limit.limit(), 2, "it goes on at once, and gives way once");
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_share_it() {
    let limit: Arc<AdaptiveLimit<Tokio, Aimd>> =
        Arc::new(AdaptiveLimit::new().algorithm(Aimd::new(ms(60_000))).initial_limit(2).max_limit(5).window(ms(0)).min_calls(1));
    let running = Arc::new(AtomicU32::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..300 {
        let (limit, running) = (Arc::clone(&limit), Arc::clone(&running));
        calls.spawn(async move {
            let operation = async || {
                let others = running.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, ()>(others)
            };
            if n % 2 == 0 {
                return limit.run(operation).await.unwrap();
            }
            let permit = AdaptiveLimit::acquire_owned(limit).await.unwrap();
            let others = operation().await.unwrap();
            permit.success();
            others
        });
    }
    assert!(calls.join_all().await.iter().all(|others| *others < 5));
    let end = limit.snapshot();
    assert_eq!((end.in_flight, end.waiting), (0, 0));
    assert!((2..=5).contains(&end.limit));
}

/// In thousands of worlds: whoever is dropped at whatever point, however the limit changes, there are never more than it was at most, and nobody is forgotten.
#[test]
fn nobody_is_one_too_many_and_nobody_is_forgotten() {
    struct Running(Rc<Cell<u32>>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let (shrunk, grown) = (Cell::new(0), Cell::new(0));
    Explore::new().seeds(0..1_000).run(|sim| {
        let (shrunk, grown) = (&shrunk, &grown);
        async move {
            let limit = AdaptiveLimit::<Sim, _>::with_clock(SimClock, Aimd::new(ms(3)).backoff(percent(50)));
            let limit = Rc::new(
                limit.initial_limit(2).max_limit(4).window(ms(0)).min_calls(1).max_waiting(4).overload_tolerance(percent(0)),
            );
            let running = Rc::new(Cell::new(0));
            for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let (limit, running) = (Rc::clone(&limit), Rc::clone(&running));
                sim.spawn(name, async move {
                    sleep(sim.latency(ms(0)..=ms(3))).await;
                    let operation = async || {
                        running.set(running.get() + 1);
                        let _running = Running(running);
                        sleep(sim.latency(ms(0)..=ms(5))).await;
                        if sim.chance(1, 4) { Err(()) } else { Ok(()) }
                    };
                    limit.run(operation).await
                });
            }
            for name in ["b", "d", "f"] {
                sim.drop_at_random(name);
            }
            sim.always(move || running.get() <= 4);
            sim.run_until_idle().await;
            let end = limit.snapshot();
            assert_eq!((end.in_flight, end.waiting), (0, 0));
            assert!((1..=4).contains(&end.limit));
            let count = if end.limit < 2 { shrunk } else { grown };
            count.set(count.get() + u32::from(end.limit != 2));
        }
    });
    assert!(shrunk.get() > 20 && grown.get() > 20, "{shrunk:?}, {grown:?}");
}
