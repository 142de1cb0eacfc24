//! Panics in a caller's code.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::future::{Future, Ready, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::key::ToKey;
use aplomb::{FlightError, SingleFlight};
use aplomb_sim::Sim;
use aplomb_sim::prelude::SingleFlight as OnSim;

use crate::{Flight, Fragile, Gate, Surviving, at_rest, poll_once};

/// Whether polling it panics.
fn panics<F: Future + ?Sized>(future: Pin<&mut F>) -> bool {
    catch_unwind(AssertUnwindSafe(|| poll_once(future).is_ready())).is_err()
}

#[test]
fn one_whose_operation_panics_hands_over_whether_its_future_is_kept_or_dropped() {
    fn check<Fut: Future<Output = Result<u32, u32>>>(operation: impl Fn() -> Fut) {
        for is_kept in [true, false] {
            let (flight, opens) = (Flight::new(), Cell::new(false));
            let mut call = Box::pin(flight.run(&1, || {
                let running = operation();
                let (mut running, opens) = (Box::pin(running), &opens);
                poll_fn(move |cx| if opens.get() { running.as_mut().poll(cx) } else { Poll::Pending })
            }));
            if catch_unwind(AssertUnwindSafe(|| poll_once(call.as_mut()).is_ready())).is_ok() {
                let (mut next, mut last) = (Box::pin(flight.run(&1, || ready(Ok(2)))), Box::pin(flight.run(&1, || ready(Ok(3)))));
                assert!(poll_once(next.as_mut()).is_pending() && poll_once(last.as_mut()).is_pending());
                opens.set(true);
                assert!(panics(call.as_mut()));
                if is_kept {
                    assert!(poll_once(call.as_mut()).is_pending(), "it has had its turn");
                } else {
                    drop(call);
                }
                assert_eq!(poll_once(next.as_mut()), Poll::Ready(Ok(2)));
                assert_eq!(poll_once(last.as_mut()), Poll::Ready(Ok(2)));
            }
            assert!(at_rest(&flight), "kept: {is_kept}");
        }
    }
    check(|| async { panic!("while it runs") });
    check(|| poll_fn(|_| panic!("without a future of its own")));
    check(|| -> Ready<Result<u32, u32>> { panic!("while it is made") });
}

#[test]
fn an_operation_that_survives_and_panics_is_started_anew() {
    for is_kept in [true, false] {
        let flight = Surviving::surviving();
        let opens = Arc::new(AtomicU32::new(0));
        let operation = |value| {
            let opens = Arc::clone(&opens);
            move || {
                poll_fn(move |_| match opens.load(Ordering::Relaxed) {
                    0 => Poll::Pending,
                    1 => panic!("while it runs"),
                    _ => Poll::Ready(Ok(value)),
                })
            }
        };
        let mut leads = Box::pin(flight.run(&1, operation(1)));
        let (mut goes_on, mut anew) = (Box::pin(flight.run(&1, operation(2))), Box::pin(flight.run(&1, operation(3))));
        assert!(poll_once(leads.as_mut()).is_pending());
        assert!(poll_once(goes_on.as_mut()).is_pending() && poll_once(anew.as_mut()).is_pending());
        drop(leads);
        opens.store(1, Ordering::Relaxed);
        assert!(panics(goes_on.as_mut()));
        if !is_kept {
            drop(goes_on);
        }
        opens.store(2, Ordering::Relaxed);
        assert_eq!(poll_once(anew.as_mut()), Poll::Ready(Ok(3)), "what panicked is not polled again");
        assert!(at_rest(&flight));
    }
}

/// It panics as it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as it is dropped");
    }
}

/// It has been in the line, and leaves it though the future is kept.
#[test]
fn an_operation_that_panics_as_it_is_dropped_at_a_deadline_leads_no_more() {
    let bomb = || {
        let bomb = Bomb;
        move || {
            let _bomb = bomb;
            ready(Ok(2))
        }
    };
    aplomb_sim::block_on(async {
        let (flight, by) = (Flight::new(), aplomb_sim::prelude::deadline(aplomb::time::ms(50)));
        let mut leads = Box::pin(flight.run(&1, pending));
        let mut late = Box::pin(flight.run(&1, bomb()).deadline_at(by));
        let mut last = Box::pin(flight.run(&1, || ready(Ok(3))));
        assert!(poll_once(leads.as_mut()).is_pending() && poll_once(late.as_mut()).is_pending());
        assert!(poll_once(last.as_mut()).is_pending());
        let surviving = Surviving::surviving();
        let mut begins = Box::pin(surviving.run(&1, pending));
        let mut survives = Box::pin(surviving.run(&1, bomb()).deadline_at(by));
        let mut goes_on = Box::pin(surviving.run(&1, || ready(Ok(4))));
        assert!(poll_once(begins.as_mut()).is_pending() && poll_once(survives.as_mut()).is_pending());
        assert!(poll_once(goes_on.as_mut()).is_pending());
        aplomb_sim::sleep(aplomb::time::ms(50)).await;
        assert!(panics(late.as_mut()) && panics(survives.as_mut()));
        drop(leads);
        assert_eq!(poll_once(last.as_mut()), Poll::Ready(Ok(3)));
        assert_eq!(surviving.snapshot().waiting, 1);
        drop((begins, goes_on));
        assert!(at_rest(&flight) && surviving.snapshot().flights == 0);
        assert!(poll_once(late.as_mut()).is_ready() && poll_once(survives.as_mut()).is_ready(), "they are late all the same");
    });
}

#[test]
fn a_clone_that_panics_leaves_those_who_have_none_to_start_anew() {
    for is_kept in [true, false] {
        let (flight, clones, gate) = (SingleFlight::<Sim, u32, Fragile<'_>, u32>::new(), Cell::new(0), RefCell::new(None));
        let mut leads = Box::pin(flight.run(&1, || Gate(&gate)));
        assert!(poll_once(leads.as_mut()).is_pending());
        let sound = || ready(Ok(Fragile { clones: &clones, panics_at: 0 }));
        let mut followers: Vec<_> = (0..20).map(|_| Box::pin(flight.run(&1, sound))).collect();
        assert!(followers.iter_mut().all(|follower| poll_once(follower.as_mut()).is_pending()));
        *gate.borrow_mut() = Some(Ok(Fragile { clones: &clones, panics_at: 12 }));
        assert!(panics(leads.as_mut()));
        if !is_kept {
            drop(leads);
        }
        assert!(followers.iter_mut().all(|follower| poll_once(follower.as_mut()).is_ready()));
        assert!(at_rest(&flight));
    }
}

static EXPLOSIVE: OnSim<Explosive, u32, u32> = OnSim::new();

/// A key that calls back in and panics when it is dropped, if it is the first.
struct Explosive(u32);

type Call = Pin<Box<dyn Future<Output = Result<u32, FlightError<u32>>>>>;

thread_local! {
    static OTHER: RefCell<Option<Call>> = const { RefCell::new(None) };
}

impl Borrow<u32> for Explosive {
    fn borrow(&self) -> &u32 {
        &self.0
    }
}

impl ToKey<Explosive> for u32 {
    fn to_key(&self) -> Explosive {
        Explosive(*self)
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        if self.0 == 1 {
            OTHER.set(Some(Box::pin(EXPLOSIVE.run(&2, pending))));
            OTHER.with_borrow_mut(|other| assert!(poll_once(other.as_mut().unwrap().as_mut()).is_pending()));
            panic!("a key that must not be dropped");
        }
    }
}

/// By then another flight may be where its own was.
#[test]
fn a_key_whose_drop_panics_does_not_take_another_ones_flight_along() {
    let mut call = Box::pin(EXPLOSIVE.run(&1, || ready(Ok(7))));
    assert!(panics(call.as_mut()));
    drop(call);
    assert_eq!(EXPLOSIVE.snapshot().flights, 1, "that of the other one");
    OTHER.set(None);
    assert_eq!(EXPLOSIVE.snapshot().flights, 0);
}

/// Counts, and panics if it is told to.
struct Woken {
    count: AtomicU32,
    panics: bool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "as it is woken");
    }
}

#[test]
fn whoever_has_the_outcome_is_woken_though_the_waker_of_one_before_it_panics() {
    let (flight, gate) = (Flight::new(), RefCell::new(None));
    let mut leads = Box::pin(flight.run(&1, || Gate(&gate)));
    assert!(poll_once(leads.as_mut()).is_pending());
    let wakers: Vec<_> = (0..5).map(|at| Arc::new(Woken { count: AtomicU32::new(0), panics: at == 1 })).collect();
    let mut follow: Vec<_> = wakers.iter().map(|_| Box::pin(flight.run(&1, || Gate(&gate)))).collect();
    for (call, waker) in follow.iter_mut().zip(&wakers) {
        assert!(call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker)))).is_pending());
    }
    gate.replace(Some(Ok(1)));
    assert!(panics(leads.as_mut()));
    assert!(wakers.iter().all(|waker| waker.count.load(Ordering::Relaxed) == 1));
    assert!(follow.iter_mut().all(|call| poll_once(call.as_mut()) == Poll::Ready(Ok(1))));
    drop((leads, follow));
    assert!(at_rest(&flight));
}
