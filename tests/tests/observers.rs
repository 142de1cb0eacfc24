//! What patterns in statics tell their observers: outside the lock, and only what concerns somebody who had to wait or was turned away.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::bulkhead::{self, Bulkhead};
use aplomb::time::ms;
use aplomb::{BulkheadError, Heap, checked};
use aplomb_sim::Sim;
use futures_lite::future::zip;

/// Events, as they come.
struct Seen<E>(RefCell<Vec<E>>);

impl<E: Copy> Seen<E> {
    fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn note(&self, event: &E) {
        self.0.borrow_mut().push(*event);
    }

    fn take(&self) -> Vec<E> {
        self.0.take()
    }
}

async fn works(takes: u64) -> Result<(), ()> {
    aplomb_sim::sleep(ms(takes)).await;
    Ok(())
}

#[test]
fn a_bulkhead_tells_who_waits_and_who_is_turned_away() {
    use bulkhead::Event::{Admitted, Rejected, Waiting};
    let seen = Seen::new();
    let built = Bulkhead::<Sim>::new(1).max_waiting(1).max_wait(ms(50));
    let bulkhead: Bulkhead<Sim, Heap, _> = built.observed_by(|event: &bulkhead::Event| seen.note(event));
    let call = |takes| bulkhead.run(move || works(takes));
    aplomb_sim::block_on(async {
        assert_eq!(call(1).await, Ok(()));
        assert_eq!(seen.take(), [], "of one who finds a place, nothing");
        let ((first, second), third) = zip(zip(call(20), call(1)), call(1)).await;
        assert!(first.is_ok() && second.is_ok() && third.is_err());
        let full = Rejected { reason: BulkheadError::QueueFull { waiting: 1 } };
        assert_eq!(seen.take(), [Waiting { waiting: 1 }, full, Admitted { waited: ms(20) }]);
        let (_, late) = zip(call(100), bulkhead.acquire()).await;
        assert!(late.is_err());
        let timed_out = Rejected { reason: BulkheadError::TimedOut { after: ms(50) } };
        assert_eq!(seen.take(), [Waiting { waiting: 1 }, timed_out]);
        let held = bulkhead.try_acquire();
        assert!(bulkhead.try_acquire().is_err() && bulkhead.try_run(|| works(1)).await.is_err());
        assert_eq!(seen.take(), [Rejected { reason: BulkheadError::Busy }; 2]);
        drop(held);
        bulkhead.close();
        assert!(call(1).await.is_err());
        assert_eq!(seen.take(), [Rejected { reason: BulkheadError::Closed }]);
    });
}

#[test]
fn a_bulkhead_may_be_looked_at_by_its_observer() {
    thread_local! {
        static STATES: RefCell<Vec<(u32, u32)>> = const { RefCell::new(Vec::new()) };
    }
    static DB: Bulkhead<Sim, Heap, fn(&bulkhead::Event)> =
        checked!(Bulkhead::<Sim>::new(1).observed_by(look as fn(&bulkhead::Event)));
    fn look(_: &bulkhead::Event) {
        let now = DB.snapshot();
        STATES.with_borrow_mut(|states| states.push((now.running, now.waiting)));
    }
    aplomb_sim::block_on(async { zip(DB.run(|| works(5)), DB.run(|| works(5))).await });
    assert_eq!(STATES.take(), [(1, 1), (1, 0)]);
}

#[test]
fn a_place_is_given_back_if_the_observer_panics() {
    let bulkhead: Bulkhead<Sim, Heap, _> = Bulkhead::<Sim>::new(1).observed_by(|event: &bulkhead::Event| {
        assert!(!matches!(event, bulkhead::Event::Admitted { .. }), "on purpose");
    });
    let mut cx = Context::from_waker(Waker::noop());
    aplomb_sim::block_on(async {
        let held = bulkhead.try_acquire();
        let mut waits = pin!(bulkhead.acquire());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(catch_unwind(AssertUnwindSafe(|| waits.as_mut().poll(&mut cx).is_ready())).is_err());
        assert_eq!(bulkhead.snapshot().running, 0);
        assert!(matches!(waits.poll(&mut cx), Poll::Pending));
    });
}
