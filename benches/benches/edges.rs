//! Debounce, throttle, polling and waterfall, beside futures-rx, the usual recipe on tokio, and code by hand.

use std::future::ready;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use aplomb_tokio::WaterfallError;
use aplomb_tokio::prelude::*;
use aplomb_tokio::time::Clock;
use benches::{Group, poll_once};
use futures_lite::stream::{self, Stream, StreamExt};
use futures_rx::RxExt;

const ITEMS: u32 = 10_000;
const KEYSTROKES: u32 = 1_000;
static ALONE: Debounce = Debounce::new(secs(3_600));
static BURST: Debounce = Debounce::new(secs(3_600));
static SEARCH: Debounce = Debounce::new(secs(3_600));
static SHARED: Debounce<Share<Result<u32, ()>>> = Debounce::shared(secs(3_600));
static CROWD: Debounce<Share<Result<u32, ()>>> = Debounce::shared(secs(3_600));
static KNOB: Throttle<Trigger<u32>> = Throttle::triggered(secs(3_600));

/// So many items that are ready, through something.
async fn drain(items: impl Stream<Item = u32>) -> u32 {
    let mut items = pin!(items);
    let mut newest = 0;
    while let Some(item) = items.next().await {
        newest = item;
    }
    newest
}

/// A call takes the place of the one before, which learns of it.
fn supersede<F: Future>(calls: &mut [Pin<Box<Option<F>>>; 2], call: F) {
    calls.swap(0, 1);
    calls[0].set(Some(call));
    calls.iter_mut().filter_map(|call| call.as_mut().as_pin_mut()).for_each(|call| poll_once(call));
}

/// One keystroke after another, with a turn for the tasks of the runtime after each.
async fn burst(mut keystroke: impl FnMut()) {
    for _ in 0..KEYSTROKES {
        keystroke();
        tokio::task::yield_now().await;
    }
}

/// Polls once, and drops.
struct Once<F>(Option<F>);

impl<F: Future> Future for Once<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if let Some(future) = self.0.take() {
            poll_once(pin!(future));
        }
        Poll::Ready(())
    }
}

impl<F> Unpin for Once<F> {}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let runtime: &'static _ = Box::leak(Box::new(runtime));
    let _entered = runtime.enter();
    let items = || stream::iter(0..ITEMS).map(black_box);

    Group::of_many("throttle, an item of a stream that is ready", ITEMS)
        .member("aplomb", move || drain(items().throttle_first(secs(3_600))))
        .member("bare stream", move || drain(items()))
        .member("futures-rx", move || drain(items().throttle(|_| tokio::time::sleep(secs(3_600)))))
        .run();

    Group::of_many("debounce, an item of a stream that is ready", ITEMS)
        .member("aplomb", move || drain(EdgeStreamExt::debounce(items(), secs(3_600))))
        .member("bare stream", move || drain(items()))
        .member("futures-rx, a new sleep for each", move || drain(RxExt::debounce(items(), |_| tokio::time::sleep(secs(3_600)))))
        .run();

    // Something is pending from here on.
    let mut shared = Box::pin(SHARED.call(|| ready(Ok(7))));
    poll_once(shared.as_mut());
    let mut crowd: Vec<_> = (0..40_000).map(|_| Box::pin(CROWD.call(|| ready(Ok(7))))).collect();
    for call in &mut crowd {
        poll_once(call.as_mut());
    }
    let mut calls = [Box::pin(None), Box::pin(None)];
    Group::new("debounce, a call up to its first wait")
        .member("aplomb, reject, with a timer of its own", || Once(Some(ALONE.call(|| ready(Ok::<u32, ()>(black_box(7)))))))
        .member("aplomb, reject, in a pending burst", move || {
            supersede(&mut calls, BURST.call(|| ready(Ok::<u32, ()>(black_box(7)))));
            ready(())
        })
        .member("aplomb, share, in a pending burst", || Once(Some(SHARED.call(|| ready(Ok(black_box(7)))))))
        .member("aplomb, share, with 40,000 others", || Once(Some(CROWD.call(|| ready(Ok(black_box(7)))))))
        .member("reading the clock", || {
            black_box(aplomb_tokio::TokioClock.now());
            ready(())
        })
        .run();

    let mut pending: Option<tokio::task::JoinHandle<u32>> = None;
    Group::of_many("debounce, a keystroke of a burst, as tasks", KEYSTROKES)
        .member("aplomb, spawn a call", move || {
            runtime.block_on(burst(|| drop(tokio::spawn(SEARCH.call(|| ready(Ok::<u32, ()>(black_box(7))))))));
            ready(())
        })
        .member("abort and spawn", move || {
            runtime.block_on(burst(|| {
                let search = async {
                    tokio::time::sleep(secs(3_600)).await;
                    black_box(7)
                };
                if let Some(older) = pending.replace(tokio::spawn(search)) {
                    older.abort();
                }
            }));
            ready(())
        })
        .member("the runtime's turn alone", move || {
            runtime.block_on(burst(|| ()));
            ready(())
        })
        .run();

    Group::new("throttle, a trigger")
        .member("aplomb", || {
            KNOB.trigger(black_box(7));
            ready(())
        })
        .member("reading the clock", || {
            black_box(aplomb_tokio::TokioClock.now());
            ready(())
        })
        .run();

    polling_and_waterfall();
}

fn polling_and_waterfall() {
    Group::new("polling, four attempts without delay")
        .member("aplomb", || {
            let mut left = 4;
            let attempt = move || {
                left -= 1;
                ready(Ok::<u32, u32>(black_box(left)))
            };
            std::future::IntoFuture::into_future(poll_until(attempt, |left| *left == 0).every(secs(0)))
        })
        .member("a loop", || async {
            let mut left = black_box(4);
            while left > 0 {
                left = black_box(left - 1);
            }
            left
        })
        .run();

    Group::new("waterfall, three steps that are ready")
        .member("aplomb", || {
            let step = |input: u32| ready(Ok::<u32, u32>(black_box(input) + 1));
            waterfall(step).then(step).then(step).run(black_box(1))
        })
        .member("three awaits", || async {
            let step = |input: u32| ready(Ok::<u32, u32>(black_box(input) + 1));
            let first = step(black_box(1)).await?;
            let second = step(first).await?;
            step(second).await
        })
        .member("three awaits, and which failed", || async {
            let step = |input: u32| ready(Ok::<u32, u32>(black_box(input) + 1));
            let failed = |step| move |error| WaterfallError { step, name: None, error };
            let first = step(black_box(1)).await.map_err(failed(0))?;
            let second = step(first).await.map_err(failed(1))?;
            step(second).await.map_err(failed(2))
        })
        .run();
}
