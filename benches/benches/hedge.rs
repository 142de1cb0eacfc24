//! Hedges around operations that are in time, beside what one writes by hand: the operation, or another after a sleep. Fallbacks around operations that succeed and fail.

use std::future::{Future, ready};
use std::hint::black_box;

use aplomb_tokio::prelude::*;
use benches::{Group, YieldOnce, in_two_threads, poll_to_end};
use futures_lite::future::or;

type Outcome = Result<u32, u32>;

static FIXED: Hedge = checked!(Hedge::after(ms(50)));
static ON_THE_HEAP: Hedge<After, Heap> = checked!(Hedge::after(ms(50)).storage().max_hedges(3));
static FOLLOWED: Hedge<Percentile> = checked!(Hedge::percentile(percent(95)).min_delay(ms(50)));
/// Each call may have its hedge.
static AT_ONCE: Hedge = checked!(Hedge::after(ms(0)).budget(percent(100)));

fn succeeds() -> impl Future<Output = Outcome> {
    ready(Ok(black_box(7)))
}

fn fails() -> impl Future<Output = Outcome> {
    ready(Err(black_box(7)))
}

async fn by_hand<F: Future<Output = Outcome>>(mut operation: impl FnMut() -> F) -> Outcome {
    let first = operation();
    let second = async {
        tokio::time::sleep(ms(50)).await;
        operation().await
    };
    or(first, second).await
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    Group::new("hedge, an operation that is ready")
        .member("aplomb, after 50 ms", || FIXED.run(succeeds))
        .member("bare operation", succeeds)
        .member("aplomb, after 50 ms, hedges on the heap", || ON_THE_HEAP.run(succeeds))
        .member("aplomb, at the 95th percentile", || FOLLOWED.run(succeeds))
        .member("by hand, without a budget", || by_hand(succeeds))
        .run();
    Group::new("hedge, an operation that yields once")
        .member("aplomb, after 50 ms", || FIXED.run(YieldOnce::new))
        .member("bare operation", YieldOnce::new)
        .member("aplomb, after 50 ms, hedges on the heap", || ON_THE_HEAP.run(YieldOnce::new))
        .member("aplomb, at the 95th percentile", || FOLLOWED.run(YieldOnce::new))
        .member("aplomb, a timeout", || timeout(ms(50), YieldOnce::new()))
        .member("by hand, without a budget", || by_hand(YieldOnce::new))
        .run();
    Group::new("hedge, started twice at once, the first wins")
        .member("aplomb", || AT_ONCE.run(YieldOnce::new))
        .member("by hand, without a budget", || or(YieldOnce::new(), YieldOnce::new()))
        .run();
    Group::new("fallback")
        .member("aplomb, a value, not needed", || fallback_value(succeeds(), 1))
        .member("bare operation", succeeds)
        .member("aplomb, a value", || fallback_value(fails(), 1))
        .member("aplomb, another operation", || fallback(fails(), |_| succeeds()))
        .member("by hand", || async {
            match fails().await {
                Err(_) => succeeds().await,
                ok => ok,
            }
        })
        .run();
    in_two_threads(
        "hedge, an operation that is ready, called by two threads",
        &[
            ("aplomb, after 50 ms", &|| _ = poll_to_end(FIXED.run(succeeds))),
            ("aplomb, at the 95th percentile", &|| _ = poll_to_end(FOLLOWED.run(succeeds))),
        ],
    );
}
