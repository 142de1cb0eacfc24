//! How many timers debounce and throttle set.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn, ready};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::edge::{EdgeStream, PaceStream, Share, Stream, Trigger};
use aplomb::sync::LocalRawMutex;
use aplomb::time::ms;
use aplomb::{Clock, Debounce, Heap, Instant, ParentWaker, Platform, Sleep};
use aplomb_sim::{ManualClock, ManualSleep};

type Timers = ManualClock<64>;
type Shared = Share<Result<u32, ()>, Heap>;

/// A clock that counts how often a timer is set.
#[derive(Clone)]
struct Counting<'c> {
    clock: &'c Timers,
    set: Rc<Cell<u32>>,
}

struct CountingSleep<'c> {
    sleep: Pin<Box<ManualSleep<'c, 64>>>,
    set: Rc<Cell<u32>>,
}

impl<'c> Clock for Counting<'c> {
    type Sleep = CountingSleep<'c>;

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn sleep_until(&self, at: Instant) -> CountingSleep<'c> {
        self.set.set(self.set.get() + 1);
        CountingSleep { sleep: Box::pin(self.clock.sleep_until(at)), set: Rc::clone(&self.set) }
    }
}

impl Future for CountingSleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl Sleep for CountingSleep<'_> {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.set.set(self.set.get() + 1);
        self.sleep.as_mut().reset(at);
    }
}

struct CountingPlatform<'c>(PhantomData<&'c ()>);

impl<'c> Platform for CountingPlatform<'c> {
    type Clock = Counting<'c>;
    type RawMutex = LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Heap;
    type Children = ParentWaker;

    fn random() -> u64 {
        4
    }
}

/// Whether something was woken since it was polled last.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future, and whether it is to be polled.
struct Task<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// What it ended with, if it was woken and has ended now.
    fn turn(&mut self) -> Option<F::Output> {
        let waker = Waker::from(Arc::clone(&self.woken));
        while self.woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
        }
        None
    }
}

/// 1,000 times, 10 ms apart, something is done, which may bring one more future; each is polled when it was woken. What they all ended with.
fn burst<F: Future>(clock: &Timers, mut act: impl FnMut(u32) -> Option<F>) -> Vec<F::Output> {
    let (mut tasks, mut outputs) = (Vec::new(), Vec::new());
    for number in 0.. {
        if number < 1_000 {
            tasks.extend(act(number).map(Task::new));
        } else if tasks.is_empty() {
            break;
        }
        // Twice, as the first may be woken by the last.
        for _ in 0..2 {
            tasks.retain_mut(|task| {
                let output = task.turn();
                let stays = output.is_none();
                outputs.extend(output);
                stays
            });
        }
        clock.advance(ms(10));
    }
    outputs
}

/// A burst of 10 s, and a wait of 100 ms, the last 10 of which may have passed when it is waited for.
const WAITS: u32 = 10_000 / 90 + 2;

/// What is fed by hand.
#[derive(Default)]
struct Feed {
    item: Cell<Option<u32>>,
    waker: RefCell<Option<Waker>>,
}

impl Stream for &Feed {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if let Some(item) = self.item.take() {
            return Poll::Ready(Some(item));
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

#[test]
fn a_stream_sets_a_timer_for_each_wait_and_not_for_each_item() {
    let (timers, set, feed) = (Timers::new(), Rc::new(Cell::new(0)), Feed::default());
    let clock = Counting { clock: &timers, set: Rc::clone(&set) };
    let mut newest = Some(async {
        let mut items = pin!(EdgeStream::debounce(clock, ms(100), &feed));
        poll_fn(|cx| items.as_mut().poll_next(cx)).await
    });
    let ended = burst(&timers, |number| {
        feed.item.set(Some(number));
        feed.waker.take().into_iter().for_each(Waker::wake);
        newest.take()
    });
    assert_eq!(ended, [Some(999)]);
    assert!(set.get() <= WAITS, "{} were set", set.get());
}

#[test]
fn a_driver_sets_a_timer_for_each_wait_and_not_for_each_trigger() {
    let (timers, set) = (Timers::new(), Rc::new(Cell::new(0)));
    let clock = Counting { clock: &timers, set: Rc::clone(&set) };
    let knob: Debounce<CountingPlatform<'_>, Trigger<u32>> = Debounce::with_clock(clock, ms(100));
    let mut next = Some(knob.next());
    let ended = burst(&timers, |number| {
        knob.trigger(number);
        next.take()
    });
    assert_eq!(ended, [Ok(999)]);
    assert!(set.get() <= WAITS, "{} were set", set.get());
}

#[test]
fn those_who_share_set_a_timer_for_each_wait_and_not_for_each_call() {
    let (timers, set) = (Timers::new(), Rc::new(Cell::new(0)));
    let clock = Counting { clock: &timers, set: Rc::clone(&set) };
    let save: Debounce<CountingPlatform<'_>, Shared> = Debounce::with_clock(clock, ms(100));
    let ended = burst(&timers, |number| Some(save.call(move || ready(Ok(number)))));
    assert!(ended.len() == 1_000 && ended.iter().all(|ended| *ended == Ok(999)));
    assert!(set.get() <= WAITS, "{} were set", set.get());
}

/// Each caller is the newest for a while, and the one before it ends at once, with its timer.
#[test]
fn those_who_are_superseded_set_a_timer_each() {
    let (timers, set) = (Timers::new(), Rc::new(Cell::new(0)));
    let clock = Counting { clock: &timers, set: Rc::clone(&set) };
    let save: Debounce<CountingPlatform<'_>> = Debounce::with_clock(clock, ms(100));
    let ended = burst(&timers, |number| Some(save.call(move || ready(Ok::<_, ()>(number)))));
    assert_eq!(ended.iter().flatten().collect::<Vec<_>>(), [&999]);
    assert_eq!(set.get(), 1_000);
}

#[test]
fn no_interval_takes_no_timer() {
    let (timers, set) = (Timers::new(), Rc::new(Cell::new(0)));
    timers.advance(ms(5));
    let clock = Counting { clock: &timers, set: Rc::clone(&set) };
    let mut all = Box::pin(PaceStream::with_clock(clock, ms(0), futures_lite::stream::iter(0..100)));
    for number in 0..100 {
        assert_eq!(all.as_mut().poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(number)));
    }
    assert_eq!(set.get(), 0);
}
