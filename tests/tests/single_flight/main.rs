//! Single flight where a scenario does not reach: beside a slow and obvious one, through random scripts; panics, code of the caller's that calls back in, what is cloned and made, and how often who waits is polled.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod callers_code;
mod panics;
mod scripts;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::key::FoldHash;
use aplomb::single_flight::{Restarts, Snapshot, Survives};
use aplomb::{ConfigError, FlightError, Heap, Inline, SingleFlight};
use aplomb_sim::{Sim, block_on, sleep};
use aplomb_tokio::Tokio;
use aplomb_tokio::prelude::{SingleFlight as OnTokio, ms};

type Flight = SingleFlight<Sim, u32, u32, u32>;
type Surviving = SingleFlight<Sim, u32, u32, u32, Survives>;

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn at_rest<K, T, E, W: aplomb::single_flight::Succession>(flight: &SingleFlight<Sim, K, T, E, W>) -> bool {
    let Snapshot { flights, waiting, .. } = flight.snapshot();
    (flights, waiting) == (0, 0)
}

/// Is ready with a value as soon as it may be.
struct Gate<'g, T>(&'g RefCell<Option<T>>);

impl<T> Future for Gate<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.borrow_mut().take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Counts its clones, and panics at the one of that number.
#[derive(Debug)]
struct Fragile<'c> {
    clones: &'c Cell<u32>,
    panics_at: u32,
}

impl Clone for Fragile<'_> {
    fn clone(&self) -> Self {
        self.clones.set(self.clones.get() + 1);
        assert!(self.clones.get() != self.panics_at, "a clone too many");
        Self { ..*self }
    }
}

#[test]
fn who_shared_a_result_is_told_so() {
    let flight = Flight::new();
    let ask = |ends: u64, result: Result<u32, u32>| {
        let operation = move || async move {
            sleep(ms(ends)).await;
            result
        };
        flight.run(&1, operation).with_shared()
    };
    block_on(async {
        let alone = ask(1, Ok(1)).await;
        assert_eq!((alone.result, alone.is_shared), (Ok(1), false));
        let failed_alone = ask(1, Err(1)).await;
        assert_eq!((failed_alone.result, failed_alone.is_shared), (Err(FlightError::Failed(1)), false));
        for result in [Ok(1), Err(1)] {
            let (one, other) = futures_lite::future::zip(ask(1, result), ask(1, Ok(2))).await;
            assert!(one.is_shared && other.is_shared);
            assert_eq!((one.result, other.result), (result.map_err(FlightError::Failed), result.map_err(FlightError::Failed)));
        }
        // Whoever takes over shares with nobody, or with those behind it.
        for (behind, is_shared) in [(0, false), (1, true)] {
            let mut leaves = Box::pin(ask(9, Ok(1)));
            assert!(poll_once(leaves.as_mut()).is_pending());
            let mut takes_over = Box::pin(ask(1, Ok(2)));
            assert!(poll_once(takes_over.as_mut()).is_pending());
            let mut follows: Vec<_> = (0..behind).map(|_| Box::pin(ask(1, Ok(3)))).collect();
            assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
            drop(leaves);
            let ended = takes_over.await;
            assert_eq!((ended.result, ended.is_shared), (Ok(2), is_shared));
            for call in follows {
                assert!(call.await.is_shared);
            }
        }
    });
    let refused = block_on(Flight::new().capacity(0).run(&1, || ready(Ok(1))).with_shared());
    assert!(matches!(refused.result, Err(FlightError::Config(_))) && !refused.is_shared);
}

#[test]
fn what_cannot_be_cloned_is_shared_through_an_arc() {
    let flight = SingleFlight::<Sim, String, Arc<[u8]>, Arc<io::Error>>::new();
    let gate = RefCell::new(None::<io::Result<Vec<u8>>>);
    let failing = RefCell::new(None::<io::Result<Vec<u8>>>);
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(flight.run_into("a", || Gate(&gate)))).collect();
    let mut fails: Vec<_> = (0..3).map(|_| Box::pin(flight.run_into("b", || Gate(&failing)))).collect();
    assert!(calls.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    assert!(fails.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    *gate.borrow_mut() = Some(Ok(vec![1, 2]));
    *failing.borrow_mut() = Some(Err(io::Error::from(io::ErrorKind::NotFound)));
    let mut ended = calls.iter_mut().map(|call| match poll_once(call.as_mut()) {
        Poll::Ready(Ok(bytes)) => bytes,
        other => panic!("{other:?}"),
    });
    let first = ended.next().unwrap();
    assert!(ended.all(|bytes| Arc::ptr_eq(&bytes, &first)));
    let failed: Vec<_> = fails.iter_mut().map(|call| poll_once(call.as_mut())).collect();
    for call in failed {
        let Poll::Ready(Err(FlightError::Failed(error))) = call else { panic!("{call:?}") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}

/// One that has been given a result, or told to lead, leaves before it has learnt of it.
#[test]
fn one_that_leaves_with_what_it_was_given_harms_nobody_and_drops_it() {
    let flight = SingleFlight::<Sim, u32, Rc<u32>, u32>::new();
    let (gate, value) = (RefCell::new(None), Rc::new(7));
    let mut leads = Box::pin(flight.run(&1, || Gate(&gate)));
    let mut follows: Vec<_> = (0..3).map(|_| Box::pin(flight.run(&1, || Gate(&gate)))).collect();
    assert!(poll_once(leads.as_mut()).is_pending());
    assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    *gate.borrow_mut() = Some(Ok(Rc::clone(&value)));
    assert!(poll_once(leads.as_mut()).is_ready());
    assert_eq!(Rc::strong_count(&value), 4, "the leader's has been dropped");
    drop(follows.remove(1));
    assert_eq!(Rc::strong_count(&value), 3);
    // The key has been asked for anew meanwhile.
    let mut newer = Box::pin(flight.run(&1, || Gate(&gate)));
    assert!(poll_once(newer.as_mut()).is_pending());
    drop(follows.remove(0));
    assert!(poll_once(follows[0].as_mut()).is_ready());
    assert_eq!((flight.snapshot().flights, Rc::strong_count(&value)), (1, 1));
    drop(newer);
    assert!(at_rest(&flight));
}

/// Counts how often it is polled, and woken.
struct Polls<F>(F, Rc<Cell<u32>>);

impl<F: Future + Unpin> Future for Polls<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll(cx)
    }
}

#[test]
fn ten_thousand_wait_and_each_is_polled_when_it_comes_and_when_it_ends() {
    const CALLERS: u32 = 10_000;
    let (flight, polls) = (Rc::new(Flight::new()), Rc::new(Cell::new(0)));
    block_on(async {
        let run = |value: u32| {
            let flight = Rc::clone(&flight);
            Box::pin(async move {
                flight
                    .run(&1, || async move {
                        sleep(ms(50)).await;
                        Ok(value)
                    })
                    .await
            })
        };
        let leads = aplomb_sim::spawn("leads", run(7));
        let follows: Vec<_> =
            (0..CALLERS).map(|value| aplomb_sim::spawn("follows", Polls(run(value), Rc::clone(&polls)))).collect();
        sleep(ms(20)).await;
        assert_eq!(flight.snapshot().waiting, CALLERS);
        assert_eq!(leads.await, Ok(Ok(7)));
        for call in follows {
            assert_eq!(call.await, Ok(Ok(7)));
        }
    });
    assert_eq!(polls.get(), 2 * CALLERS);
    assert!(at_rest(&flight));
}

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_waits_is_woken_once_through_the_waker_of_its_last_poll() {
    let (flight, gate) = (Flight::new(), RefCell::new(None));
    let mut leads = Box::pin(flight.run(&1, || Gate(&gate)));
    assert!(poll_once(leads.as_mut()).is_pending());
    let (earlier, later) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    let mut follows = Box::pin(flight.run(&1, || ready(Ok(2))));
    for woken in [&earlier, &earlier, &later, &later] {
        assert!(follows.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken)))).is_pending());
    }
    *gate.borrow_mut() = Some(Ok(1));
    assert!(poll_once(leads.as_mut()).is_ready());
    assert_eq!((earlier.0.load(Ordering::Relaxed), later.0.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(Arc::strong_count(&earlier), 1, "its waker is gone");
    assert_eq!(poll_once(follows.as_mut()), Poll::Ready(Ok(1)));
}

#[test]
fn it_is_lazy_and_what_has_ended_stays_pending() {
    let (flight, surviving) = (Flight::new(), Surviving::surviving());
    let (mut run, mut survives) = (pin!(flight.run(&1, || ready(Ok(7)))), pin!(surviving.run(&1, || ready(Ok(7)))));
    assert!(at_rest(&flight) && at_rest(&surviving));
    assert_eq!(poll_once(run.as_mut()), Poll::Ready(Ok(7)));
    assert_eq!(poll_once(survives.as_mut()), Poll::Ready(Ok(7)));
    assert!(poll_once(run.as_mut()).is_pending() && poll_once(survives.as_mut()).is_pending());
    assert!(at_rest(&flight) && at_rest(&surviving));
}

#[test]
fn in_place_it_has_room_for_so_many_keys_and_so_many_who_wait() {
    static SMALL: SingleFlight<Tokio, u8, u8, u8, Restarts, Inline<2>> = SingleFlight::new().storage();
    let [mut one, mut two, mut three] = [1, 2, 3].map(|key| Box::pin(SMALL.run(Box::leak(Box::new(key)), pending)));
    assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_pending());
    assert_eq!(poll_once(three.as_mut()), Poll::Ready(Err(FlightError::Full { capacity: 2 })));
    let mut waits = [1, 2, 2].map(|key| Box::pin(SMALL.run(Box::leak(Box::new(key)), || ready(Ok(7)))));
    assert!(poll_once(waits[0].as_mut()).is_pending() && poll_once(waits[1].as_mut()).is_pending());
    assert_eq!(poll_once(waits[2].as_mut()), Poll::Ready(Err(FlightError::QueueFull { waiting: 2 })));
    drop((one, two));
    assert!(waits[..2].iter_mut().all(|call| poll_once(call.as_mut()) == Poll::Ready(Ok(7))));
    assert_eq!(SMALL.snapshot().flights, 0);
    let refused = SingleFlight::<Tokio, u8, u8, u8>::new().storage::<Inline<2>>().capacity(3).check();
    assert_eq!(refused.unwrap_err().to_string(), "capacity is 3, must be from 1 to 2");
}

#[test]
fn shards_have_a_part_of_the_capacity_each_and_of_all_keys_none_is_lost() {
    type Sharded = SingleFlight<Tokio, u32, u32, u32, Restarts, Heap, FoldHash, 8>;
    let flight: Sharded = SingleFlight::new().shards();
    let keys: Vec<u32> = (0..1_000).collect();
    let mut leads: Vec<_> = keys.iter().map(|key| Box::pin(flight.run(key, pending))).collect();
    assert!(leads.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    let mut follows: Vec<_> = keys.iter().map(|key| Box::pin(flight.run(key, move || ready(Ok(*key))))).collect();
    assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    let Snapshot { flights, waiting, .. } = flight.snapshot();
    assert_eq!((flights, waiting), (1_000, 1_000));
    assert!(keys.iter().step_by(2).all(|key| flight.forget(key)));
    drop(leads);
    for (key, call) in keys.iter().zip(&mut follows) {
        assert_eq!(poll_once(call.as_mut()), Poll::Ready(Ok(*key)));
    }
    assert_eq!(flight.snapshot().flights, 0);
    let few: Sharded = SingleFlight::new().shards().capacity(8);
    let mut calls: Vec<_> = keys.iter().map(|key| Box::pin(few.run(key, pending))).collect();
    let (taken, refused): (Vec<_>, Vec<_>) = calls.iter_mut().map(|call| poll_once(call.as_mut())).partition(Poll::is_pending);
    assert_eq!((taken.len(), few.snapshot().flights), (8, 8), "each has had more keys than it has room for");
    assert!(refused.iter().all(|refused| *refused == Poll::Ready(Err(FlightError::Full { capacity: 8 }))), "of all of it");
}

static PROFILES: OnTokio<u64, String, &str> = OnTokio::new();
static REPORTS: OnTokio<String, u32, &str, Survives> = OnTokio::surviving();

/// An operation is started once, so that it may use whatever its caller has, under `spawn` too.
#[tokio::test(flavor = "multi_thread")]
async fn operations_of_any_shape_are_spawned_on_several_threads() {
    struct Client {
        asked: u32,
    }
    impl Client {
        async fn fetch(&mut self, id: u64) -> Result<String, &'static str> {
            tokio::task::yield_now().await;
            self.asked += 1;
            Ok(format!("profile {id}"))
        }
    }
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200_u64 {
        calls.spawn(async move {
            let (mut client, id) = (Client { asked: 0 }, n % 7);
            let lent = PROFILES.run(&id, || client.fetch(id)).await;
            let in_a_closure = PROFILES.run(&id, async || client.fetch(id).await).await;
            assert_eq!((lent, in_a_closure), (Ok(format!("profile {id}")), Ok(format!("profile {id}"))));
            let year = format!("{}", 2000 + id);
            let survives = REPORTS
                .run(&*year, || async {
                    tokio::task::yield_now().await;
                    Ok(7)
                })
                .await;
            assert_eq!(survives, Ok(7));
            client.asked <= 2
        });
    }
    assert!(calls.join_all().await.into_iter().all(|is_sound| is_sound));
    assert_eq!((PROFILES.snapshot().flights, REPORTS.snapshot().flights), (0, 0));
}

#[test]
fn what_survives_its_caller_is_converted_too() {
    let flight = SingleFlight::<Sim, u32, Arc<[u8]>, Arc<io::Error>, Survives>::surviving();
    let starts = Cell::new(0);
    let ask = || {
        flight.run_into(&1, || {
            starts.set(starts.get() + 1);
            send_wrapper::SendWrapper::new(async {
                sleep(ms(10)).await;
                Ok::<_, io::Error>(vec![1, 2])
            })
        })
    };
    block_on(async {
        let mut leaves = Box::pin(ask());
        assert!(poll_once(leaves.as_mut()).is_pending());
        let (mut second, mut third) = (Box::pin(ask().with_shared()), Box::pin(ask()));
        assert!(poll_once(second.as_mut()).is_pending() && poll_once(third.as_mut()).is_pending());
        drop(leaves);
        let (second, third) = futures_lite::future::zip(second, third).await;
        assert!(second.is_shared && Arc::ptr_eq(&second.result.unwrap(), &third.unwrap()));
        assert_eq!(starts.get(), 1);
        let fails = flight.run_into(&1, || async { Err::<Vec<u8>, _>(io::Error::other("no route")) });
        assert_eq!(fails.await.unwrap_err().to_string(), "no route");
    });
    assert!(at_rest(&flight));
}

#[test]
fn a_deadline_is_its_callers_alone() {
    let flight = Flight::new();
    let ask = |takes: u64, value| {
        flight.run(&1, move || async move {
            sleep(ms(takes)).await;
            Ok(value)
        })
    };
    block_on(async {
        let by = aplomb_sim::prelude::deadline(ms(50));
        // Whoever leads and leaves hands over; whoever waits and leaves disturbs nobody.
        let (hurried, patient) = futures_lite::future::zip(ask(80, 1).deadline_at(by), ask(80, 2)).await;
        assert_eq!((hurried, patient), (Err(FlightError::Deadline), Ok(2)));
        let by = aplomb_sim::prelude::deadline(ms(50));
        let (patient, hurried) = futures_lite::future::zip(ask(80, 3), ask(80, 4).deadline_at(by).with_shared()).await;
        assert_eq!((patient, hurried.result, hurried.is_shared), (Ok(3), Err(FlightError::Deadline), false));
        // What is ready at the very deadline is in time.
        let by = aplomb_sim::prelude::deadline(ms(50));
        assert_eq!(ask(50, 5).deadline_at(by).await, Ok(5));
    });
    assert!(at_rest(&flight));
}

/// In place they have their seats until they are polled, and so the error says.
#[test]
fn who_has_an_outcome_and_was_not_polled_counts_where_there_is_no_room() {
    let flight: SingleFlight<Sim, u32, u32, u32, Restarts, Inline<2>> = SingleFlight::new().storage();
    let gate = RefCell::new(None);
    let run = |key| Box::pin(flight.run(key, || Gate(&gate)));
    let (mut leads, mut first, mut second) = (run(&1), run(&1), run(&1));
    for call in [&mut leads, &mut first, &mut second] {
        assert!(poll_once(call.as_mut()).is_pending());
    }
    gate.replace(Some(Ok(1)));
    assert_eq!(poll_once(leads.as_mut()), Poll::Ready(Ok(1)));
    let (mut leads, mut follows) = (run(&2), run(&2));
    assert!(poll_once(leads.as_mut()).is_pending());
    assert_eq!(poll_once(follows.as_mut()), Poll::Ready(Err(FlightError::QueueFull { waiting: 2 })));
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Ok(1)));
    let mut follows = run(&2);
    assert!(poll_once(follows.as_mut()).is_pending());
}

#[test]
fn more_callers_than_there_is_room_for_are_refused() {
    let flight = |most| SingleFlight::<Sim, u32, u32, u32, Restarts, Inline<2>>::max_waiting(SingleFlight::new().storage(), most);
    assert!(flight(2).check().is_ok() && flight(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 3, most: 2 };
    assert_eq!(flight(3).check().map(drop), Err(refused));
    assert_eq!(block_on(flight(3).run(&1, || ready(Ok(1)))), Err(FlightError::Config(refused)));
}

/// In place, room for a key and one who waits for it.
#[test]
fn a_key_takes_as_much_as_it_says() {
    type InPlace<E, const N: usize> = SingleFlight<Tokio, u64, u64, E, Restarts, Inline<N>>;
    fn each<Small, Large>() -> usize {
        (size_of::<Large>() - size_of::<Small>()) / 1_000
    }
    assert_eq!(each::<InPlace<std::convert::Infallible, 1_000>, InPlace<std::convert::Infallible, 2_000>>(), 82);
}
