//! One run for all who ask for the same: beside `singleflight-async` and `async_singleflight`.

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use aplomb_tokio::prelude::*;
use benches::{Group, YieldOnce};

static OURS: SingleFlight<u64, u32, u32> = SingleFlight::new();
static SURVIVING: SingleFlight<u64, u32, u32, Survives> = SingleFlight::surviving();

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    keys_of_their_own();
    one_key("single flight, 100 callers of a key, each", 100);
    one_key("single flight, 10,000 callers of a key, each", 10_000);
}

/// Peers that live as long as the program, as a `static` does.
fn peers() -> (&'static singleflight_async::SingleFlight<u64, u32>, &'static async_singleflight::Group<u64, u32, u32>) {
    (Box::leak(Box::default()), Box::leak(Box::default()))
}

fn keys_of_their_own() {
    let (theirs, group) = peers();
    let keys = || {
        let mut key = 0_u64;
        move || {
            key += 1;
            black_box(key)
        }
    };
    let (mut a, mut b, mut c, mut d) = (keys(), keys(), keys(), keys());
    Group::new("single flight, a key of its own")
        .member("aplomb", move || {
            let key = a();
            async move { OURS.run(&key, || ready(Ok(7))).await }
        })
        .member("aplomb, surviving", move || {
            let key = b();
            async move { SURVIVING.run(&key, || ready(Ok(7))).await }
        })
        .member("singleflight-async", move || {
            let key = c();
            async move { theirs.work(key, || ready(7)).await }
        })
        .member("async_singleflight", move || {
            let key = d();
            async move { group.work(&key, ready(Ok(7))).await }
        })
        .run();
}

/// All come, then the leader's operation ends, and all have its result.
fn one_key(name: &'static str, callers: u32) {
    let (theirs, group) = peers();
    Group::of_many(name, callers)
        .member("aplomb", move || ready(land(callers, || OURS.run(&7, YieldOnce::new))))
        .member("aplomb, surviving", move || ready(land(callers, || SURVIVING.run(&7, YieldOnce::new))))
        .member("singleflight-async", move || {
            ready(land(callers, || theirs.work(7, || async { YieldOnce::new().await.unwrap_or(0) })))
        })
        .member("async_singleflight", move || ready(land(callers, || group.work(&7, YieldOnce::new()))))
        .run();
}

fn land<F: Future>(callers: u32, call: impl Fn() -> F) -> u32 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut calls: Vec<Pin<Box<F>>> = (0..callers).map(|_| Box::pin(call())).collect();
    let mut ended = 0;
    while ended < callers {
        for call in &mut calls {
            if call.as_mut().poll(&mut cx).is_ready() {
                ended += 1;
            }
        }
    }
    ended
}
