//! So much at once, and no more: semaphore, bulkhead and adaptive limit, beside tokio's and async-lock's semaphores.

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use aplomb_tokio::adaptive_limit::{Aimd, Vegas};
use aplomb_tokio::prelude::*;
use aplomb_tokio::{Clock, Semaphore, TokioClock};
use benches::{Group, YieldOnce, in_two_threads};

static OURS: Semaphore = Semaphore::new(1);
static TOKIO: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
static ASYNC_LOCK: async_lock::Semaphore = async_lock::Semaphore::new(1);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    permits_that_are_free();
    two_threads();
    a_line();
    leaving();
    bulkheads();
    adaptive_limits();
}

fn permits_that_are_free() {
    Group::new("semaphore, acquired and released")
        .member("aplomb", || async { OURS.acquire(1).await.is_ok() })
        .member("tokio", || async { TOKIO.acquire().await.is_ok() })
        .member("async-lock", || async {
            let _permit = ASYNC_LOCK.acquire().await;
            true
        })
        .run();

    Group::new("semaphore, tried and released")
        .member("aplomb", || ready(OURS.try_acquire(1).is_ok()))
        .member("tokio", || ready(TOKIO.try_acquire().is_ok()))
        .member("async-lock", || ready(ASYNC_LOCK.try_acquire().is_some()))
        .run();
}

/// There is a permit for each of them.
fn two_threads() {
    static OURS: Semaphore = Semaphore::new(2);
    static TOKIO: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);
    static ASYNC_LOCK: async_lock::Semaphore = async_lock::Semaphore::new(2);
    in_two_threads(
        "two threads on one semaphore, tried and released",
        &[
            ("aplomb", &|| drop(black_box(OURS.try_acquire(1)))),
            ("tokio", &|| drop(black_box(TOKIO.try_acquire()))),
            ("async-lock", &|| drop(black_box(ASYNC_LOCK.try_acquire()))),
        ],
    );
}

fn a_line() {
    let (mut ours, mut tokio, mut async_lock) = (Line::of(1_000), Line::of(1_000), Line::of(1_000));
    Group::of_many("semaphore, a line of 1,000, each", 1_000)
        .member("aplomb", move || ready(ours.hand_on(|| OURS.acquire(1))))
        .member("tokio", move || ready(tokio.hand_on(|| TOKIO.acquire())))
        .member("async-lock", move || ready(async_lock.hand_on(|| ASYNC_LOCK.acquire())))
        .run();
}

/// One in the middle of those who wait leaves, and another comes: it takes as long however many there are, but for the memory's sake.
fn leaving() {
    static TAKEN: [Semaphore; 2] = [const { Semaphore::new(1) }; 2];
    static TAKEN_TOKIO: [tokio::sync::Semaphore; 2] = [const { tokio::sync::Semaphore::const_new(0) }; 2];
    for semaphore in &TAKEN {
        std::mem::forget(semaphore.try_acquire(1));
    }
    let [few, many] = [(&TAKEN[0], 1_000), (&TAKEN[1], 100_000)].map(|(semaphore, waiters)| {
        let mut line = Line::of(waiters);
        move || ready(line.replace_one(|| semaphore.acquire(1)))
    });
    let [few_tokio, many_tokio] = [(&TAKEN_TOKIO[0], 1_000), (&TAKEN_TOKIO[1], 100_000)].map(|(semaphore, waiters)| {
        let mut line = Line::of(waiters);
        move || ready(line.replace_one(|| semaphore.acquire()))
    });
    Group::new("semaphore, one waiter leaves and one comes")
        .member("aplomb, of 1,000", few)
        .member("aplomb, of 100,000", many)
        .member("tokio, of 1,000", few_tokio)
        .member("tokio, of 100,000", many_tokio)
        .run();
}

fn bulkheads() {
    static BULKHEAD: Bulkhead = checked!(Bulkhead::new(10).max_waiting(100).max_wait(ms(500)));
    static FULL: Bulkhead = checked!(Bulkhead::new(1).max_waiting(0));

    Group::new("bulkhead, a place acquired and released")
        .member("aplomb", || async { BULKHEAD.acquire().await.is_ok() })
        .member("tokio's semaphore", || async { TOKIO.acquire().await.is_ok() })
        .run();

    Group::new("bulkhead, an operation that is ready")
        .member("aplomb", || BULKHEAD.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("bare operation", || ready(Ok::<u32, u32>(black_box(7))))
        .member("tokio's semaphore and the operation", || async {
            let _permit = TOKIO.acquire().await;
            ready(Ok::<u32, u32>(black_box(7))).await
        })
        .run();

    Group::new("bulkhead, an operation that yields once")
        .member("aplomb", || BULKHEAD.run(YieldOnce::new))
        .member("bare operation", YieldOnce::new)
        .member("tokio's semaphore and the operation", || async {
            let _permit = TOKIO.acquire().await;
            YieldOnce::new().await
        })
        .run();

    std::mem::forget(FULL.try_acquire());
    let _none = TOKIO.try_acquire();
    Group::new("bulkhead, no place is free")
        .member("aplomb, the queue is full", || FULL.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb, tried", || FULL.try_run(|| ready(Ok::<u32, u32>(black_box(8)))))
        .member("tokio's semaphore, tried", || ready(TOKIO.try_acquire().is_ok()))
        .run();
}

/// Each call is measured, by two readings of the clock.
fn adaptive_limits() {
    static GRADIENT: AdaptiveLimit = checked!(AdaptiveLimit::new().max_waiting(100).max_wait(ms(500)));
    static VEGAS: AdaptiveLimit<Vegas> = checked!(AdaptiveLimit::new().algorithm(Vegas::new()));
    static AIMD: AdaptiveLimit<Aimd> = checked!(AdaptiveLimit::new().algorithm(Aimd::new(secs(1))));
    static FULL: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(1).max_waiting(0));

    Group::new("adaptive limit, an operation that is ready")
        .member("aplomb, gradient", || GRADIENT.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb, vegas", || VEGAS.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb, aimd", || AIMD.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("two readings of the clock", || {
            let began = black_box(TokioClock.now());
            ready(TokioClock.now() - began)
        })
        .run();

    std::mem::forget(FULL.try_acquire());
    Group::new("adaptive limit, it is reached")
        .member("aplomb, the queue is full", || FULL.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb, tried", || FULL.try_run(|| ready(Ok::<u32, u32>(black_box(8)))))
        .run();
}

/// Places for futures, which are used again and again, and made when they are first needed.
struct Line<F> {
    length: usize,
    places: Vec<Pin<Box<Option<F>>>>,
    /// Who left last.
    last: usize,
}

impl<F: Future> Line<F> {
    const fn of(length: usize) -> Self {
        Self { length, places: Vec::new(), last: 0 }
    }

    fn make_places(&mut self) {
        self.places.resize_with(self.length, || Box::pin(None));
    }

    /// One leaves, always another, and comes again. At first, all come. Says which one it was.
    fn replace_one(&mut self, mut make: impl FnMut() -> F) -> usize {
        let first = self.places.is_empty();
        self.make_places();
        // A prime, which leads everywhere.
        self.last = (self.last + 7_919) % self.length;
        let one = self.last..self.last + 1;
        for place in &mut self.places[if first { 0..self.length } else { one }] {
            place.set(None);
            place.set(Some(make()));
            assert!(poll(place.as_mut()).is_pending());
        }
        self.last
    }

    /// The first has what the others wait for, one after the other. Says how many there were.
    fn hand_on(&mut self, mut make: impl FnMut() -> F) -> usize {
        self.make_places();
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
        self.length
    }
}

fn poll<F: Future>(place: Pin<&mut Option<F>>) -> Poll<F::Output> {
    let future = place.as_pin_mut().expect("a future");
    future.poll(&mut Context::from_waker(Waker::noop()))
}
