//! An operation that panics, as it is polled or as it is dropped at its end, and whose future is kept: a task that catches the panic goes on, and what the call held is free all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod anywhere;
mod anywhere_of_limits;
mod chance;
mod limits;
mod sharing;
mod wakers;

use std::future::{Future, Ready};
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::panicking;

type Outcome = Result<u32, &'static str>;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls it until it panics, which it does at the second poll at the latest.
fn panics<F: Future>(mut future: Pin<&mut F>) {
    for _ in 0..2 {
        match catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_pending())) {
            Ok(pending) => assert!(pending, "it panics"),
            Err(_) => return,
        }
    }
    unreachable!("it panics at the second poll at the latest");
}

/// An operation that panics when it is polled again, and holds something until then.
struct Explodes {
    when: When,
    polled: bool,
    _held: Rc<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    Polled,
    /// It has ended by then.
    Dropped,
    Never,
}

const EVER: [When; 2] = [When::Polled, When::Dropped];

fn explodes(when: When, held: &Rc<()>) -> Explodes {
    Explodes { when, polled: false, _held: Rc::clone(held) }
}

impl Future for Explodes {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if !replace(&mut self.polled, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.when {
            When::Polled => panic!("on purpose"),
            When::Dropped => Poll::Ready(Ok(0)),
            When::Never => Poll::Pending,
        }
    }
}

impl Drop for Explodes {
    fn drop(&mut self) {
        assert!(self.when != When::Dropped || panicking(), "on purpose, in a drop");
    }
}

/// One that panics before there is a future.
fn never_starts() -> Ready<Outcome> {
    panic!("on purpose")
}

/// A kept call of each kind holds nothing any more: `free` says so.
fn check<A: Future, B: Future>(name: &str, call: impl Fn(Explodes) -> A, broken: impl FnOnce() -> B, free: impl Fn() -> bool) {
    assert!(free(), "{name}: before");
    for when in EVER {
        let held = Rc::new(());
        let mut kept = pin!(call(explodes(when, &held)));
        panics(kept.as_mut());
        assert!(free(), "{name}: a place is free again");
        assert_eq!(Rc::strong_count(&held), 1, "{name}: so is what the operation held");
        assert!(poll(kept.as_mut()).is_pending(), "{name}: and it never ends");
    }
    let mut unborn = pin!(broken());
    panics(unborn.as_mut());
    assert!(free(), "{name}: also if it never was one");
    assert!(poll(unborn.as_mut()).is_pending(), "{name}: and it never ends");
}
