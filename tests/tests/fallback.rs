//! Fallbacks poll by poll.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::fallback::{Alternative, fallback, fallback_value};
use aplomb::time::ms;
use aplomb::{TimeoutError, infallible};
use aplomb_sim::prelude::timeout;
use aplomb_sim::sleep;

type Outcome = Result<u32, &'static str>;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_the_operation_held_is_free_before_the_alternative_is_made() {
    let held = Rc::new(());
    let operation = {
        let held = Rc::clone(&held);
        async move {
            sleep(ms(10)).await;
            if Rc::strong_count(&held) == 2 { Err("down") } else { Ok(0) }
        }
    };
    let alternative = |error| {
        assert_eq!((error, Rc::strong_count(&held)), ("down", 1));
        ready(Ok(7))
    };
    assert_eq!(aplomb_sim::block_on(fallback(operation, alternative)), Ok(7));
}

#[test]
fn nothing_is_made_that_is_not_needed() {
    let made = Cell::new(0);
    let call = |outcome: Outcome| {
        fallback(ready(outcome), |_| {
            made.set(made.get() + 1);
            ready(Ok(7))
        })
    };
    let mut never_polled = Box::pin(call(Err("down")));
    assert_eq!(made.get(), 0);
    assert_eq!((poll(pin!(call(Ok(1)))), made.get()), (Poll::Ready(Ok(1)), 0));
    assert_eq!((poll(never_polled.as_mut()), made.get()), (Poll::Ready(Ok(7)), 1));
    assert!(poll(never_polled.as_mut()).is_pending(), "it never ends again");
    let mut refused = pin!(call(Err("gone")).fallback_if(|error| *error == "down"));
    assert_eq!((poll(refused.as_mut()), made.get()), (Poll::Ready(Err("gone")), 1));
    assert!(poll(refused).is_pending());
}

#[test]
fn an_alternative_may_be_used_up() {
    let kept = String::from("kept");
    let ended = poll(pin!(fallback(ready(Err::<String, _>("down")), move |_| ready(Ok(kept)))));
    assert_eq!(ended, Poll::Ready(Ok("kept".into())));
}

#[test]
fn what_lies_outside_of_a_timeout_replaces_it() {
    let late = timeout(ms(10), infallible(pending::<u32>()));
    let answer = fallback_value(late, 7).fallback_if(TimeoutError::is_timeout);
    assert_eq!(aplomb_sim::block_on(answer), Ok(7));
}

#[test]
fn one_in_another_has_the_last_word() {
    let inner = fallback(ready(Outcome::Err("one")), |_| ready(Err("two")));
    let outer = fallback(inner, |error| ready(if error == "two" { Ok(3) } else { Err(error) }));
    assert_eq!(poll(pin!(outer)), Poll::Ready(Ok(3)));
}

/// As of a layer, which has it for many calls.
#[test]
fn by_reference_an_alternative_serves_again_and_again() {
    fn begin<A: Alternative<u32, &'static str>>(alternative: A, error: &'static str) -> Outcome {
        let Poll::Ready(outcome) = poll(pin!(alternative.begin(error)?)) else { return Err("pending") };
        outcome
    }
    let prefix = String::from("not ");
    let closure = move |error: &'static str| ready(Ok::<_, &'static str>(u32::try_from(prefix.len() + error.len()).unwrap()));
    assert_eq!((begin(&closure, "four"), begin(&closure, "three")), (Ok(8), Ok(9)));
}
