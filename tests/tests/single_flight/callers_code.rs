//! Where and how often a caller's code runs: of its operations, its keys and its values.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::hash::{Hash, Hasher};
use std::pin::pin;

use aplomb::SingleFlight;
use aplomb::key::ToKey;
use aplomb_sim::prelude::SingleFlight as OnSim;
use aplomb_sim::{Sim, block_on, sleep};
use aplomb_tokio::prelude::ms;

use crate::{Flight, Fragile, Gate, at_rest, poll_once};

static CURIOUS: OnSim<Curious, Curious, u32> = OnSim::new();

/// What calls back in whenever its code runs: when it is hashed, made into a key, cloned and dropped.
struct Curious(u32);

fn call_back() {
    CALLS.set(CALLS.get() + 1);
    let _now = CURIOUS.snapshot();
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

impl Hash for Curious {
    fn hash<H: Hasher>(&self, state: &mut H) {
        call_back();
        self.0.hash(state);
    }
}

impl PartialEq for Curious {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Curious {}

impl Clone for Curious {
    fn clone(&self) -> Self {
        call_back();
        Self(self.0)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        call_back();
    }
}

#[test]
fn keys_and_values_may_call_back_in_wherever_their_code_runs() {
    // In a world, whose lock tells of whoever has it already.
    block_on(async { call_back_in_from_everywhere() });
}

fn call_back_in_from_everywhere() {
    let (key, gate) = (Curious(1), RefCell::new(None));
    let mut leads = Box::pin(CURIOUS.run(&key, || Gate(&gate)));
    let mut follows: Vec<_> = (0..3).map(|_| Box::pin(CURIOUS.run(&key, || Gate(&gate)))).collect();
    assert!(poll_once(leads.as_mut()).is_pending());
    assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    drop(follows.remove(0));
    *gate.borrow_mut() = Some(Ok(Curious(7)));
    assert!(poll_once(leads.as_mut()).is_ready());
    // One has it, and the other leaves without having learnt of it.
    assert!(poll_once(follows.remove(0).as_mut()).is_ready());
    drop(follows);
    let mut forgotten = Box::pin(CURIOUS.run(&key, || Gate(&gate)));
    assert!(poll_once(forgotten.as_mut()).is_pending());
    assert!(CURIOUS.forget(&key));
    drop(forgotten);
    assert!(CALLS.get() > 10, "{}", CALLS.get());
    assert_eq!(CURIOUS.snapshot().flights, 0);
}

#[test]
fn an_operation_may_ask_for_another_key_and_leave_it() {
    let flight = Flight::new();
    let got = block_on(async {
        let inner = || async {
            sleep(ms(1)).await;
            let _given_up = poll_once(pin!(flight.run(&3, pending)));
            flight
                .run(&2, || async {
                    sleep(ms(1)).await;
                    Ok(20)
                })
                .await
                .map_err(|_| 0)
        };
        flight.run(&1, inner).await
    });
    assert_eq!(got, Ok(20));
    assert!(at_rest(&flight));
}

/// What can be asked for, and counts how often a key is made of it, which owns something.
#[derive(PartialEq, Eq, Hash)]
struct Counted(Box<u32>);

thread_local! {
    static KEYS_MADE: Cell<u32> = const { Cell::new(0) };
}

impl Borrow<Counted> for (Counted,) {
    fn borrow(&self) -> &Counted {
        &self.0
    }
}

impl ToKey<(Counted,)> for Counted {
    fn to_key(&self) -> (Counted,) {
        KEYS_MADE.set(KEYS_MADE.get() + 1);
        (Counted(self.0.clone()),)
    }
}

#[test]
fn a_key_is_made_by_the_caller_that_leads_only() {
    let flight = SingleFlight::<Sim, (Counted,), u32, u32>::new();
    let key = Counted(Box::new(1));
    let mut leads = Box::pin(flight.run(&key, pending));
    assert!(poll_once(leads.as_mut()).is_pending());
    let mut follows: Vec<_> = (0..5).map(|_| Box::pin(flight.run(&key, || ready(Ok(1))))).collect();
    assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
    drop(leads);
    assert!(follows.iter_mut().all(|call| poll_once(call.as_mut()).is_ready()));
    assert!(!flight.forget(&key));
    assert_eq!(KEYS_MADE.get(), 1, "a hand-over keeps the key");
}

#[test]
fn nothing_is_cloned_for_a_sole_caller_and_once_for_each_other() {
    let (flight, clones, gate) = (SingleFlight::<Sim, u32, Fragile<'_>, u32>::new(), Cell::new(0), RefCell::new(None));
    let value = || Fragile { clones: &clones, panics_at: 0 };
    assert!(poll_once(pin!(flight.run(&1, || ready(Ok(value()))))).is_ready());
    assert_eq!(clones.get(), 0);
    for followers in [1_u32, 8, 9, 20] {
        clones.set(0);
        let mut leads = Box::pin(flight.run(&1, || Gate(&gate)));
        assert!(poll_once(leads.as_mut()).is_pending());
        let mut calls: Vec<_> = (0..followers).map(|_| Box::pin(flight.run(&1, || ready(Ok(value()))))).collect();
        assert!(calls.iter_mut().all(|call| poll_once(call.as_mut()).is_pending()));
        *gate.borrow_mut() = Some(Ok(value()));
        assert!(poll_once(leads.as_mut()).is_ready());
        assert!(calls.iter_mut().all(|call| poll_once(call.as_mut()).is_ready()));
        assert_eq!(clones.get(), followers);
    }
}
