//! Calls made into batches: beside the same by hand, with a channel, a task that reads from it, and a channel back for each call.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use aplomb_tokio::prelude::*;
use benches::Group;
use tokio::sync::{mpsc, oneshot};

static OURS: Batcher<u64, u64> = checked!(Batcher::new(100).max_wait(std::time::Duration::MAX));
static BY_TURNS: Batcher<u64, u64> = checked!(Batcher::new(100));
static TIMED: Batcher<u64, u64> = checked!(Batcher::new(100).max_wait(secs(1)));

/// As many as a batch has.
const CALLERS: u32 = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    Group::of_many("a batch of 100, each, with a box", CALLERS)
        .member("aplomb", || ready(land(|item| OURS.call(item, double))))
        .member("aplomb, nothing kept for a second start", || ready(land(|item| OURS.call_once(item, double))))
        .member("aplomb, what comes in a turn", || ready(land(|item| BY_TURNS.call(item, double))))
        .member("aplomb, with a time to wait", || ready(land(|item| TIMED.call(item, double))))
        .member("by hand: mpsc, recv_many, oneshot", || ready(by_hand()))
        .run();
}

async fn double(mut items: Vec<u64>) -> Result<Vec<u64>, Infallible> {
    for item in &mut items {
        *item *= 2;
    }
    Ok(items)
}

/// All come, the batch runs, and all have their results.
fn land<F: Future>(call: impl Fn(u64) -> F) -> u32 {
    let calls: Vec<Pin<Box<F>>> = (0..u64::from(CALLERS)).map(|item| Box::pin(call(item))).collect();
    poll_all(calls, || ())
}

fn poll_all<F: Future>(mut calls: Vec<Pin<Box<F>>>, mut between: impl FnMut()) -> u32 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut ended = 0;
    while ended < CALLERS {
        // An `async fn` must not be polled after its end.
        calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
        ended = CALLERS - u32::try_from(calls.len()).unwrap_or(CALLERS);
        between();
    }
    ended
}

type Sent = (u64, oneshot::Sender<u64>);

fn by_hand() -> u32 {
    let (sender, mut receiver) = mpsc::channel::<Sent>(CALLERS as usize);
    let calls = (0..u64::from(CALLERS)).map(|item| Box::pin(ask(&sender, item))).collect();
    let mut worker = pin!(async move {
        let mut batch = Vec::with_capacity(CALLERS as usize);
        while receiver.recv_many(&mut batch, CALLERS as usize).await > 0 {
            let items = batch.iter().map(|(item, _)| *item).collect();
            let Ok(results) = double(items).await;
            for ((_, back), result) in batch.drain(..).zip(results) {
                // Whoever asked may be gone.
                let _gone = back.send(result);
            }
        }
    });
    let mut cx = Context::from_waker(Waker::noop());
    poll_all(calls, || _ = worker.as_mut().poll(&mut cx))
}

async fn ask(sender: &mpsc::Sender<Sent>, item: u64) -> Option<u64> {
    let (back, result) = oneshot::channel();
    sender.send((item, back)).await.ok()?;
    result.await.ok()
}
