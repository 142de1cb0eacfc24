//! Memoized functions where a scenario does not reach.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::ratio::{Ratio, percent};
use aplomb::time::secs;
use aplomb::{Cache, ConfigError, FlightError, Memoize, Platform};
use aplomb_embassy::Embassy;
use aplomb_sim::prelude::memoize;
use aplomb_sim::{Sim, World, block_on};
use aplomb_tokio::Tokio;
// A program has one time driver.
use embassy_host as _;

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A function that can be called by a path, a closure, and an async closure, each in a place of its own.
#[test]
fn functions_of_any_shape() {
    async fn length(text: String) -> Result<usize, ()> {
        Ok(text.len())
    }
    let (by_path, factor) = (memoize(length), 3);
    let by_closure = memoize(|text: String| ready(Ok::<_, ()>(factor * text.len())));
    let by_async_closure = memoize(async |text: String| Ok::<_, ()>(text));
    block_on(async {
        assert_eq!(by_path.call("four").await, Ok(4));
        assert_eq!(by_closure.call("four").await, Ok(12));
        assert_eq!(by_async_closure.call("four").await.as_deref(), Ok("four"));
    });
    assert_eq!((by_path.peek("four"), by_closure.forget("four"), by_closure.forget("four")), (Some(4), Some(12), None));
    assert!(format!("{by_path:?}").contains("len: 1"));
}

/// As the function of Fibonacci, which calls itself for what it needs.
#[test]
fn a_function_may_call_itself() {
    type Fibonacci = Memoize<Sim, fn(u64) -> Pin<Box<dyn Future<Output = Result<u64, ()>>>>, u64, u64, ()>;
    thread_local! {
        static FIBONACCI: &'static Fibonacci = Box::leak(Box::new(Fibonacci::new(fibonacci)));
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }
    fn fibonacci(n: u64) -> Pin<Box<dyn Future<Output = Result<u64, ()>>>> {
        CALLS.set(CALLS.get() + 1);
        let of = FIBONACCI.with(|of| *of);
        Box::pin(async move {
            match n {
                0 | 1 => Ok(n),
                n => Ok(of.call(&(n - 1)).await.unwrap() + of.call(&(n - 2)).await.unwrap()),
            }
        })
    }
    World::new().enter(|| {
        let mut call = Box::pin(FIBONACCI.with(|of| of.call(&90)));
        assert_eq!(poll(&mut call), Poll::Ready(Ok(2_880_067_194_370_816_120)));
        assert_eq!(CALLS.get(), 91, "each once");
    });
}

/// While it is kept, the next one calls.
#[test]
fn a_function_that_panics_is_called_by_the_next() {
    let (breaks, gate) = (Cell::new(true), Rc::new(Cell::new(false)));
    let function = memoize(|n: u32| {
        assert!(n != 2 || !breaks.get(), "as it was told");
        let gate = Rc::clone(&gate);
        let breaks = &breaks;
        poll_fn(move |_| {
            assert!(!gate.get() || !breaks.get(), "as it was told");
            if gate.get() { Poll::Ready(Ok::<_, ()>(n)) } else { Poll::Pending }
        })
    });
    let mut made = Box::pin(function.call(&2));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut made))).is_err());
    let (mut leads, mut follows) = (Box::pin(function.call(&1)), Box::pin(function.call(&1)));
    assert!(poll(&mut leads).is_pending() && poll(&mut follows).is_pending());
    gate.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut leads))).is_err());
    breaks.set(false);
    assert_eq!(poll(&mut follows), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut Box::pin(function.call(&2))), Poll::Ready(Ok(2)));
    assert!(poll(&mut made).is_pending() && poll(&mut leads).is_pending(), "they have ended");
    assert_eq!((function.snapshot().fetching, function.len()), (0, 2));
}

/// The function gets keys of its own, each the one that was asked for.
#[test]
fn a_key_is_handed_to_the_function_only_where_it_is_called() {
    let called = RefCell::new(Vec::new());
    let function = memoize(|key: String| {
        called.borrow_mut().push(key.clone());
        ready(if key.is_empty() { Err("empty") } else { Ok(key) })
    });
    block_on(async {
        for key in ["a", "b", "a", "", "", "b"] {
            let expected = if key.is_empty() { Err(FlightError::Failed("empty")) } else { Ok(key.to_owned()) };
            assert_eq!(function.call(key).await, expected);
        }
    });
    assert_eq!(*called.borrow(), ["a", "b", "", ""], "errors are not kept");
    let told = function.snapshot();
    assert_eq!((told.hits, told.misses, told.fetches, told.errors, told.len), (2, 4, 4, 2, 2));
}

#[test]
fn as_many_values_are_kept_as_there_is_room_for() {
    let square = memoize(|n: u64| ready(Ok::<_, ()>(n * n))).capacity(10);
    block_on(async {
        for n in 0..5_000 {
            assert_eq!(square.call(&n).await, Ok(n * n));
            assert!(square.len() <= 10);
        }
    });
    assert_eq!(square.peek(&4_999), Some(4_999 * 4_999));
    assert_eq!(square.snapshot().evicted, 4_990);
    square.clear();
    assert!(square.is_empty());
}

/// It stands in a `static` on every platform.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_static() {
    type Squares<P> = Memoize<P, fn(u32) -> std::future::Ready<Result<u32, ()>>, u32, u32, ()>;
    fn square(n: u32) -> std::future::Ready<Result<u32, ()>> {
        ready(Ok(n * n))
    }
    static ON_TOKIO: Squares<Tokio> = Memoize::new(square);
    static ON_EMBASSY: Squares<Embassy> = Memoize::new(square);
    fn check<P: Platform>(squares: &'static Squares<P>) {
        assert_eq!(poll(&mut Box::pin(squares.call(&7))), Poll::Ready(Ok(49)));
        assert_eq!(squares.peek(&7), Some(49));
    }
    check(&ON_TOKIO);
    check(&ON_EMBASSY);
    assert_eq!(tokio::spawn(ON_TOKIO.call(&8)).await.unwrap(), Ok(64));
}

/// Nobody would fetch them anew, and errors would be kept, which is promised not to happen.
#[test]
fn what_a_memoized_function_cannot_honour_is_refused() {
    let kept = |cache: Cache<Sim, u32, u32, ()>| Memoize::kept_in(|n: u32| ready(Ok::<_, ()>(n)), cache);
    let cache = || Cache::new().ttl(secs(60));
    let settings = [
        (cache().stale_while_revalidate(secs(1)), "stale_while_revalidate"),
        (cache().refresh_ahead(secs(1)), "refresh_ahead"),
        (cache().early_refresh(Ratio::ONE), "early_refresh"),
        (cache().error_ttl(secs(1)), "error_ttl"),
    ];
    for (cache, setting) in settings {
        let refused = kept(cache).capacity(10).check().map(drop).unwrap_err();
        assert_eq!(refused, ConfigError::Memoized { setting });
        assert_eq!(refused.to_string(), format!("{setting} is set, must not be where a memoized function's values are kept"));
    }
    let unchecked = kept(cache().error_ttl(secs(1)));
    let refused = ConfigError::Memoized { setting: "error_ttl" };
    assert_eq!(block_on(unchecked.call(&1)), Err(FlightError::Config(refused)));
    assert!(kept(cache().stale_if_error(secs(1)).time_to_idle(secs(9)).ttl_jitter(percent(10))).check().is_ok());
}
