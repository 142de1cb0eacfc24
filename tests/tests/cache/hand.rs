//! A platform that is moved by hand: its clock counts who reads it, its lock notices who comes back into it.

use std::cell::{Cell, RefCell};
use std::future::{Future, Pending, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aplomb::key::FoldHash;
use aplomb::time::ms;
use aplomb::{Ambient, Cache, Clock, Heap, Instant, ParentWaker, Platform, Sleep};
use aplomb_sim::SimRawMutex;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ORIGIN) };
    static READINGS: Cell<u32> = const { Cell::new(0) };
    static RANDOM: RefCell<fastrand::Rng> = const { RefCell::new(fastrand::Rng::with_seed(7)) };
}

pub(crate) struct Hand;

impl Platform for Hand {
    type Clock = HandClock;
    type RawMutex = SimRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Heap;
    type Children = ParentWaker;

    fn random() -> u64 {
        RANDOM.with_borrow_mut(|random| random.u64(..))
    }
}

/// Each test has its own, as each has its thread.
#[derive(Clone, Copy)]
pub(crate) struct HandClock;

impl Clock for HandClock {
    type Sleep = Never;

    fn now(&self) -> Instant {
        READINGS.set(READINGS.get() + 1);
        NOW.get()
    }

    fn sleep_until(&self, _at: Instant) -> Never {
        Never(pending())
    }
}

impl Ambient for HandClock {
    const CLOCK: Self = Self;
}

/// A cache never sleeps.
pub(crate) struct Never(Pending<()>);

impl Future for Never {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _at: Instant) {}
}

pub(crate) type Plain<K = u32, V = u32, const SHARDS: usize = 1> = Cache<Hand, K, V, &'static str, Heap, FoldHash, Heap, SHARDS>;

/// The clock goes on.
pub(crate) fn pass(time: Duration) {
    NOW.set(NOW.get() + time);
}

/// The clock is set to so many milliseconds.
pub(crate) fn set_clock(millis: u64) {
    NOW.set(Instant::ORIGIN + ms(millis));
}

pub(crate) fn set_to(at: Instant) {
    NOW.set(at);
}

/// The clock, in milliseconds.
pub(crate) fn clock() -> u64 {
    NOW.get().as_nanos() / 1_000_000
}

/// What the clock says; it is not a reading.
pub(crate) fn present() -> Instant {
    NOW.get()
}

/// How often the clock is read meanwhile.
pub(crate) fn readings(act: impl FnOnce()) -> u32 {
    let before = READINGS.get();
    act();
    READINGS.get() - before
}

pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future ends with that is ready at once.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll(&mut Box::pin(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is pending"),
    }
}

/// A fetch that ends with that, at once.
pub(crate) fn with<T>(value: T) -> impl FnOnce() -> std::future::Ready<Result<T, &'static str>> {
    || std::future::ready(Ok(value))
}

/// A fetch that fails at once.
pub(crate) fn fails<T>() -> std::future::Ready<Result<T, &'static str>> {
    std::future::ready(Err("down"))
}

/// A fetch that takes so long.
pub(crate) async fn after<T>(time: Duration, value: T) -> Result<T, &'static str> {
    pass(time);
    Ok(value)
}

/// Nobody is to fetch.
pub(crate) fn never<T>() -> std::future::Ready<Result<T, &'static str>> {
    panic!("it is there")
}

/// Whether it panics, as it should.
pub(crate) fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicU32);

impl Wakes {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
