//! Parallel with a limit, beside futures-buffered and futures-util.

use std::cell::RefCell;
use std::future::{Future, IntoFuture, Ready, ready};
use std::hint::black_box;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb_tokio::prelude::*;
use benches::{Group, allocations, poll_once, poll_to_end};
use futures_buffered::BufferedStreamExt;
use futures_lite::stream::{self, Stream, StreamExt};

const ITEMS: u32 = 20_000;

/// Small, so that it is not the results that are measured.
type Outcome = Result<u8, u8>;

fn ready_at_once(item: u32) -> Ready<Outcome> {
    ready(Ok(black_box(item.to_le_bytes()[0])))
}

fn yields_once(item: u32) -> Yields {
    Yields { item: item.to_le_bytes()[0], yielded: false }
}

/// Pending once, then ready.
struct Yields {
    item: u8,
    yielded: bool,
}

impl Future for Yields {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if mem::replace(&mut self.yielded, true) {
            return Poll::Ready(Ok(self.item));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn sum(results: impl Stream<Item = Outcome>) -> u8 {
    let mut results = std::pin::pin!(results);
    let mut sum = 0_u8;
    while let Some(result) = results.next().await {
        sum = sum.wrapping_add(result.unwrap_or_default());
    }
    sum
}

/// One kind of operation, with one limit.
fn through<Fut>(name: &'static str, limit: usize, operation: fn(u32) -> Fut)
where
    Fut: Future<Output = Outcome> + 'static,
{
    let items = move || stream::iter(0..ITEMS).map(operation);
    Group::of_many(name, ITEMS)
        .member("aplomb, awaited", move || parallel(0..ITEMS, limit, operation).into_future())
        .member("aplomb, awaited, completion order", move || {
            parallel(0..ITEMS, limit, operation).completion_order().into_future()
        })
        .member("futures-buffered, collected", move || items().buffered_ordered(limit).collect::<Vec<_>>())
        .member("futures-buffered, unordered, collected", move || items().buffered_unordered(limit).collect::<Vec<_>>())
        .member("futures-util, collected", move || futures_util::StreamExt::buffered(items(), limit).collect::<Vec<_>>())
        .member("futures-util, unordered, collected", move || {
            futures_util::StreamExt::buffer_unordered(items(), limit).collect::<Vec<_>>()
        })
        .member("aplomb, stream", move || sum(parallel(0..ITEMS, limit, operation).map(|result| result.map_err(|_| 0))))
        .member("aplomb, stream, completion order", move || {
            sum(parallel(0..ITEMS, limit, operation).completion_order().map(|result| result.map_err(|_| 0)))
        })
        .member("futures-buffered, stream", move || sum(items().buffered_ordered(limit)))
        .member("futures-util, stream", move || sum(futures_util::StreamExt::buffered(items(), limit)))
        .run();
}

/// Wakes one of so many sleepers, and polls whoever waits for them.
fn wake_one(name: &'static str, sleepers: usize) {
    let ours = Sleepers::new(sleepers);
    let buffered = Sleepers::new(sleepers);
    let util = Sleepers::new(sleepers);
    let (first, second, third) = (ours.clone(), buffered.clone(), util.clone());
    let waits = ours.among(parallel(0..sleepers, sleepers, move |index| first.sleep(index)).into_future());
    let buffer = stream::iter(0..sleepers).map(move |index| second.sleep(index)).buffered_unordered(sleepers);
    let waits_buffered = buffered.among(buffer.collect::<Vec<_>>());
    let buffer =
        futures_util::StreamExt::buffer_unordered(stream::iter(0..sleepers).map(move |index| third.sleep(index)), sleepers);
    let waits_util = util.among(buffer.collect::<Vec<_>>());
    Group::new(name).member("aplomb", waits).member("futures-buffered", waits_buffered).member("futures-util", waits_util).run();
}

/// Operations that never end, and by whom they are woken.
#[derive(Clone)]
struct Sleepers(Rc<RefCell<Vec<Option<Waker>>>>);

impl Sleepers {
    fn new(number: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![None; number])))
    }

    fn sleep(&self, index: usize) -> Sleeper {
        Sleeper { index, sleepers: self.clone() }
    }

    /// What wakes the next of them, and polls their task.
    fn among<F: Future + 'static>(&self, task: F) -> impl FnMut() -> Ready<()> + 'static {
        let mut task = Box::pin(task);
        poll_once(task.as_mut());
        let (sleepers, mut next) = (self.clone(), 0);
        move || {
            let waker = sleepers.0.borrow_mut()[next].take();
            waker.into_iter().for_each(Waker::wake);
            poll_once(task.as_mut());
            next = (next + 7) % sleepers.0.borrow().len();
            ready(())
        }
    }
}

struct Sleeper {
    index: usize,
    sleepers: Sleepers,
}

impl Future for Sleeper {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.sleepers.0.borrow_mut()[self.index] = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn main() {
    through("parallel, ready, 10 at once", 10, ready_at_once);
    through("parallel, ready, 100 at once", 100, ready_at_once);
    through("parallel, ready, 1,000 at once", 1_000, ready_at_once);
    through("parallel, yields once, 10 at once", 10, yields_once);
    through("parallel, yields once, 100 at once", 100, yields_once);
    through("parallel, yields once, 1,000 at once", 1_000, yields_once);
    wake_one("one wake among 10 sleepers", 10);
    wake_one("one wake among 1,000 sleepers", 1_000);

    if std::env::args().any(|arg| arg == "--row") {
        return;
    }
    println!();
    for limit in [10, 100, 1_000] {
        let made = |items: u32| allocations(|| _ = black_box(poll_to_end(parallel(0..items, limit, yields_once).into_future())));
        println!("allocations, {limit} at once: {} for {ITEMS} items, {} for twice as many", made(ITEMS), made(2 * ITEMS));
    }
}
