//! Timeouts that do not fire, beside tokio's, async-io's and embassy's.

use std::future::ready;
use std::hint::black_box;
use std::time::Duration;

use benches::{Group, YieldOnce};
use embassy_host as _; // embassy's time driver

const AFTER: Duration = Duration::from_hours(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    // On an empty wheel every registration of tokio's wakes its driver: this timer keeps it from being empty, as on a busy server.
    let mut earlier = Box::pin(tokio::time::timeout(Duration::from_hours(1), std::future::pending::<()>()));
    benches::poll_once(earlier.as_mut());

    Group::new("timeout, ready at once")
        .member("aplomb on tokio", || aplomb_tokio::timeout(AFTER, ready(Ok::<u32, u32>(black_box(7)))))
        .member("bare future", || ready(Ok::<u32, u32>(black_box(7))))
        .member("tokio", || tokio::time::timeout(AFTER, ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb on smol", || aplomb_smol::timeout(AFTER, ready(Ok::<u32, u32>(black_box(7)))))
        .member("futures_lite::or with async-io's timer", || {
            futures_lite::future::or(async { Some(ready(Ok::<u32, u32>(black_box(7))).await) }, async {
                async_io::Timer::after(AFTER).await;
                None
            })
        })
        .member("aplomb on embassy", || aplomb_embassy::timeout(AFTER, ready(Ok::<u32, u32>(black_box(7)))))
        .member("embassy with_timeout", || {
            embassy_time::with_timeout(embassy_time::Duration::from_secs(7_200), ready(Ok::<u32, u32>(black_box(7))))
        })
        .run();

    Group::new("timeout, yields once")
        .member("aplomb on tokio", || aplomb_tokio::timeout(AFTER, YieldOnce::new()))
        .member("bare future", YieldOnce::new)
        .member("tokio", || tokio::time::timeout(AFTER, YieldOnce::new()))
        .run();

    Group::new("timeout, yields once, on async-io")
        .member("aplomb on smol", || aplomb_smol::timeout(AFTER, YieldOnce::new()))
        .member("futures_lite::or with async-io's timer", || {
            futures_lite::future::or(async { Some(YieldOnce::new().await) }, async {
                async_io::Timer::after(AFTER).await;
                None
            })
        })
        .run();
}
