//! The bulkhead where a scenario does not reach: every shape of an operation, real threads, panics, and thousands of worlds.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use aplomb::{Bulkhead, BulkheadError, ConfigError, Inline};
use aplomb_sim::{Explore, Manual, ManualClock, Sim, block_on, sleep};
use aplomb_tokio::prelude::{checked, ms};
use aplomb_tokio::{Tokio, prelude::Bulkhead as OnTokio};

static DB: OnTokio = checked!(Bulkhead::new(10).max_waiting(100).max_wait(ms(500)));

struct Modem {
    sent: u32,
}

impl Modem {
    async fn send(&mut self, frame: &mut [u8]) -> Result<u32, std::io::Error> {
        tokio::task::yield_now().await;
        frame[0] += 1;
        self.sent += 1;
        Ok(self.sent)
    }
}

/// An operation is started once, so that one form of a call serves all of these, under `spawn` too.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_of_any_shape_is_spawned() {
    let (sent, frame) = tokio::spawn(async {
        let (mut modem, mut frame, text) = (Modem { sent: 0 }, [0; 4], String::from("hello"));
        DB.run(|| modem.send(&mut frame)).await.unwrap();
        DB.run(async || modem.send(&mut frame).await).await.unwrap();
        let lent = (&mut modem, &mut frame);
        DB.run(async || lent.0.send(lent.1).await).await.unwrap();
        let length = DB.run(|| async { Ok::<_, ()>(text.len()) }).await.unwrap();
        let moved = DB.run(async move || Ok::<_, ()>(text)).await.unwrap();
        assert_eq!((length, moved.len()), (5, 5));
        DB.try_run(async || modem.send(&mut frame).await).await.unwrap();
        let place = DB.acquire().await.unwrap();
        modem.send(&mut frame).await.unwrap();
        drop(place);
        (modem.sent, frame[0])
    })
    .await
    .unwrap();
    assert_eq!((sent, frame), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_share_its_places() {
    let (bulkhead, running) = (Arc::new(Bulkhead::<Tokio>::new(3)), Arc::new(AtomicU32::new(0)));
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (bulkhead, running) = (Arc::clone(&bulkhead), Arc::clone(&running));
        calls.spawn(async move {
            let operation = async || {
                let others = running.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, ()>(others)
            };
            if n % 2 == 0 {
                return bulkhead.run(operation).await.unwrap();
            }
            let place = Bulkhead::acquire_owned(bulkhead).await.unwrap();
            let others = operation().await.unwrap();
            drop(place);
            others
        });
    }
    assert!(calls.join_all().await.iter().all(|others| *others < 3));
    let end = bulkhead.snapshot();
    assert_eq!((end.running, end.waiting, end.max_concurrent), (0, 0, 3));
}

/// Says in which order things are dropped.
struct OnDrop<'l>(&'l RefCell<Vec<u32>>, &'l Bulkhead<Sim>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1.snapshot().running);
    }
}

#[test]
fn a_place_is_free_after_what_had_it_is_gone_and_before_the_caller_goes_on() {
    let (log, bulkhead) = (RefCell::default(), Bulkhead::<Sim>::new(1));
    block_on(async {
        let operation = || {
            let guard = OnDrop(&log, &bulkhead);
            async move {
                sleep(ms(1)).await;
                drop(guard);
                Ok::<_, ()>(())
            }
        };
        bulkhead.run(operation).await.unwrap();
        assert_eq!(bulkhead.snapshot().running, 0);
        let mut dropped = Box::pin(bulkhead.run(operation));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(dropped);
        assert_eq!(bulkhead.snapshot().running, 0);
    });
    assert_eq!(*log.borrow(), [1, 1]);
}

#[test]
fn a_panic_gives_the_place_to_the_next() {
    fn check<Fut: Future<Output = Result<(), ()>>>(operation: impl FnOnce() -> Fut) {
        let bulkhead = Bulkhead::<Tokio>::new(1);
        let mut cx = Context::from_waker(Waker::noop());
        let mut panics = Box::pin(bulkhead.run(operation));
        let held = bulkhead.try_acquire().unwrap();
        let mut next = pin!(bulkhead.run(|| ready(Ok::<_, ()>(7))));
        assert!(panics.as_mut().poll(&mut cx).is_pending() && next.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(&mut cx).is_ready())).is_err());
        drop(panics);
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(Ok(7)));
        assert_eq!(bulkhead.snapshot().running, 0);
    }
    check(|| -> std::future::Ready<Result<(), ()>> { panic!("while it is made") });
    check(|| async { panic!("while it runs") });
    check(|| poll_fn(|_| panic!("without a future of its own")));
}

/// An operation may use the bulkhead that it runs in, also while it is dropped.
#[test]
fn an_operation_may_call_back() {
    let bulkhead = Bulkhead::<Sim>::new(2);
    let got = block_on(async {
        let inner = || async { bulkhead.try_run(|| ready(Ok::<_, ()>(bulkhead.snapshot().running))).await.map_err(drop) };
        bulkhead.run(inner).await
    });
    assert_eq!(got, Ok(2));
}

#[test]
fn what_has_ended_stays_pending() {
    let bulkhead = Bulkhead::<Tokio>::new(1);
    let mut cx = Context::from_waker(Waker::noop());
    let mut run = pin!(bulkhead.run(|| ready(Ok::<_, ()>(7))));
    assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(Ok(7)));
    assert!(run.as_mut().poll(&mut cx).is_pending());
    let _held = bulkhead.try_acquire().unwrap();
    let mut tried = pin!(bulkhead.try_run(|| ready(Ok::<_, ()>(7))));
    assert_eq!(tried.as_mut().poll(&mut cx), Poll::Ready(Err(BulkheadError::Busy)));
    assert!(tried.as_mut().poll(&mut cx).is_pending());
}

/// Nothing happens before the first poll: no place is taken, and no timer is made, for which there were no runtime.
#[test]
fn it_is_lazy_and_needs_no_runtime_where_nobody_waits() {
    let bulkhead = Bulkhead::<Tokio>::new(1).max_wait(ms(10));
    let mut cx = Context::from_waker(Waker::noop());
    let (first, second) = (bulkhead.run(|| ready(Ok::<_, ()>(1))), bulkhead.acquire());
    assert_eq!(bulkhead.snapshot().running, 0);
    let mut second = pin!(second);
    let Poll::Ready(Ok(permit)) = second.as_mut().poll(&mut cx) else { panic!("it is free") };
    drop(permit);
    assert_eq!(pin!(first).as_mut().poll(&mut cx), Poll::Ready(Ok(1)));
}

#[test]
fn the_clock_may_be_held_in_hand() {
    let clock = ManualClock::<4>::new();
    let bulkhead: Bulkhead<Manual<'_, 4>, Inline<2>> = Bulkhead::with_clock(&clock, 1).max_wait(ms(50)).check().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let held = bulkhead.try_acquire().unwrap();
    clock.advance(ms(7));
    let mut late = pin!(bulkhead.acquire());
    assert!(late.as_mut().poll(&mut cx).is_pending());
    clock.advance(ms(49));
    assert!(late.as_mut().poll(&mut cx).is_pending());
    clock.advance(ms(1));
    assert!(matches!(late.as_mut().poll(&mut cx), Poll::Ready(Err(BulkheadError::TimedOut { after })) if after == ms(50)));
    let mut in_time = pin!(bulkhead.acquire());
    assert!(in_time.as_mut().poll(&mut cx).is_pending());
    clock.advance(ms(50));
    drop(held);
    assert!(in_time.as_mut().poll(&mut cx).is_ready(), "ready beats timed out");
}

#[test]
fn a_forgotten_place_is_gone() {
    let bulkhead = Bulkhead::<Sim>::new(2);
    block_on(async {
        bulkhead.acquire().await.unwrap().forget();
        assert_eq!(bulkhead.snapshot().max_concurrent, 1);
        let last = bulkhead.acquire().await.unwrap();
        let forgets = async { last.forget() };
        let (waited, ()) = futures_lite::future::zip(bulkhead.acquire(), forgets).await;
        assert_eq!(waited.unwrap_err(), BulkheadError::NoPlaces, "nobody waits for what never comes");
        let none = bulkhead.run(pending::<Result<(), String>>).await.unwrap_err();
        assert_eq!(none.to_string(), "no places are left");
        assert!(none.is_rejected());
        assert_eq!(bulkhead.try_acquire().unwrap_err(), BulkheadError::NoPlaces);
        bulkhead.set_max_concurrent(1).unwrap();
        assert_eq!(bulkhead.run(|| ready(Ok::<_, ()>(7))).await, Ok(7));
    });
}

/// In thousands of worlds: whoever is dropped at whatever point, however the bulkhead is resized, nobody is let in beyond what is allowed, and nobody is forgotten.
#[test]
fn nobody_is_one_too_many_and_nobody_is_forgotten() {
    struct Running(Rc<Cell<u32>>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let (timed_out, rejected) = (Cell::new(0), Cell::new(0));
    Explore::new().seeds(0..1_000).run(|sim| {
        let (timed_out, rejected) = (&timed_out, &rejected);
        async move {
            let bulkhead = Rc::new(Bulkhead::<Sim>::new(2).max_waiting(3).max_wait(ms(4)));
            let running = Rc::new(Cell::new(0));
            let callers: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"]
                .map(|name| {
                    let (bulkhead, running) = (Rc::clone(&bulkhead), Rc::clone(&running));
                    sim.spawn(name, async move {
                        sleep(sim.latency(ms(0)..=ms(3))).await;
                        let operation = async || {
                            running.set(running.get() + 1);
                            let _running = Running(running);
                            sleep(sim.latency(ms(0)..=ms(5))).await;
                            Ok::<_, ()>(())
                        };
                        bulkhead.run(operation).await
                    })
                })
                .into();
            for name in ["b", "d", "f"] {
                sim.drop_at_random(name);
            }
            sim.always(move || running.get() <= 3);
            for max_concurrent in [3, 1, 2] {
                sleep(sim.latency(ms(0)..=ms(3))).await;
                bulkhead.set_max_concurrent(max_concurrent).unwrap();
            }
            sim.run_until_idle().await;
            for caller in callers {
                match caller.await {
                    Ok(Err(error)) if error.is_timeout() => timed_out.set(timed_out.get() + 1),
                    Ok(Err(BulkheadError::QueueFull { waiting: 3 })) => rejected.set(rejected.get() + 1),
                    Ok(outcome) => assert_eq!(outcome, Ok(())),
                    Err(_dropped) => {}
                }
            }
            let end = bulkhead.snapshot();
            assert_eq!((end.running, end.waiting), (0, 0));
        }
    });
    assert!(timed_out.get() > 50 && rejected.get() > 50, "{timed_out:?}, {rejected:?}");
}

#[test]
fn more_callers_than_there_is_room_for_are_refused() {
    let bulkhead = |most| Bulkhead::<Sim, Inline<2>>::max_waiting(Bulkhead::new(1).storage(), most);
    assert!(bulkhead(2).check().is_ok() && bulkhead(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 3, most: 2 };
    assert_eq!(bulkhead(3).check().map(drop), Err(refused));
    assert_eq!(bulkhead(3).try_acquire().err(), Some(BulkheadError::Config(refused)));
    assert_eq!(block_on(bulkhead(3).acquire()).err(), Some(BulkheadError::Config(refused)));
}

/// It would take minutes if each of them went through those who are still there.
#[test]
fn any_number_of_callers_leave_one_by_one() {
    let bulkhead: Bulkhead<Sim> = Bulkhead::new(1);
    block_on(async {
        let held = bulkhead.try_acquire().unwrap();
        let mut callers: Vec<_> = (0..100_000).map(|_| Box::pin(bulkhead.acquire())).collect();
        for caller in &mut callers {
            assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        fastrand::Rng::with_seed(7).shuffle(&mut callers);
        let last = callers.pop().unwrap();
        drop(callers);
        assert_eq!(bulkhead.snapshot().waiting, 1);
        drop(held);
        drop(last.await.unwrap());
    });
}
