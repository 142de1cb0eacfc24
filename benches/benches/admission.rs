//! So much at once, and no more: semaphore and bulkhead, beside tokio's and async-lock's semaphores.

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use aplomb_tokio::Semaphore;
use benches::Group;

const WAITERS: u32 = 1_000;

static OURS: Semaphore = Semaphore::new(1);
static TOKIO: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
static ASYNC_LOCK: async_lock::Semaphore = async_lock::Semaphore::new(1);

fn main() {
    permits_that_are_free();
    a_line();
}

fn permits_that_are_free() {
    Group::new("semaphore, acquired and released")
        .member("aplomb", || async { black_box(OURS.acquire(1).await).is_ok() })
        .member("tokio", || async { black_box(TOKIO.acquire().await).is_ok() })
        .member("async-lock", || async {
            black_box(ASYNC_LOCK.acquire().await);
            true
        })
        .run();

    Group::new("semaphore, tried and released")
        .member("aplomb", || ready(black_box(OURS.try_acquire(1)).is_ok()))
        .member("tokio", || ready(black_box(TOKIO.try_acquire()).is_ok()))
        .member("async-lock", || ready(black_box(ASYNC_LOCK.try_acquire()).is_some()))
        .run();
}

fn a_line() {
    let (mut ours, mut tokio, mut async_lock) = (Line::of(WAITERS), Line::of(WAITERS), Line::of(WAITERS));
    Group::of_many("semaphore, a line of 1,000, each", WAITERS)
        .member("aplomb", move || ready(ours.hand_on(|| OURS.acquire(1))))
        .member("tokio", move || ready(tokio.hand_on(|| TOKIO.acquire())))
        .member("async-lock", move || ready(async_lock.hand_on(|| ASYNC_LOCK.acquire())))
        .run();
}

/// Places for futures, which are used again and again.
struct Line<F> {
    places: Vec<Pin<Box<Option<F>>>>,
}

impl<F: Future> Line<F> {
    fn of(places: u32) -> Self {
        Self { places: (0..places).map(|_| Box::pin(None)).collect() }
    }

    /// The first has what the others wait for, one after the other.
    fn hand_on(&mut self, mut make: impl FnMut() -> F) {
        for place in &mut self.places {
            place.set(Some(make()));
        }
        let mut held = None;
        for place in &mut self.places {
            if let Poll::Ready(first) = poll(place.as_mut()) {
                held = Some(first);
            }
        }
        for place in self.places.iter_mut().skip(1) {
            drop(held.take());
            let Poll::Ready(next) = poll(place.as_mut()) else { panic!("not handed on") };
            held = Some(next);
        }
    }
}

fn poll<F: Future>(place: Pin<&mut Option<F>>) -> Poll<F::Output> {
    let future = place.as_pin_mut().expect("a future");
    future.poll(&mut Context::from_waker(Waker::noop()))
}
