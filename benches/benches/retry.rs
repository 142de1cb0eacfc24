//! Retry, beside backon and tokio-retry.

use std::future::ready;
use std::hint::black_box;
use std::time::Duration;

use aplomb_tokio::prelude::*;
use backon::{ConstantBuilder, ExponentialBuilder, Retryable};
use benches::Group;
use tokio_retry::strategy::{ExponentialBackoff, jitter};

static RETRY: Retry = Retry::new();
static AT_ONCE: Retry<Constant> = Retry::new().backoff(Constant::every(Duration::ZERO)).max_attempts(4);

/// Fails so many times, then succeeds.
fn failing(times: u32) -> impl FnMut() -> std::future::Ready<Result<u32, u32>> {
    let mut left = times;
    move || {
        if left == 0 {
            return ready(Ok(black_box(7)));
        }
        left -= 1;
        ready(Err(left))
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();

    Group::new("retry, the first attempt succeeds")
        .member("aplomb, exponential with jitter", || RETRY.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("bare call", || ready(Ok::<u32, u32>(black_box(7))))
        .member("backon, exponential with jitter", || {
            (|| ready(Ok::<u32, u32>(black_box(7)))).retry(ExponentialBuilder::default().with_jitter())
        })
        .member("tokio-retry, exponential with jitter", || {
            let delays = ExponentialBackoff::from_millis(100).map(jitter).take(3);
            tokio_retry::Retry::start(delays, || ready(Ok::<u32, u32>(black_box(7))))
        })
        .run();

    Group::new("retry, three failures without delay")
        .member("aplomb", || AT_ONCE.run(failing(3)))
        .member("backon, sleeping by yields", || {
            failing(3)
                .retry(ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(3))
                .sleep(|_: Duration| ready(()))
        })
        .run();

    Group::new("backoff, three delays with jitter")
        .member("aplomb", || {
            let mut delays = Exponential::from(ms(100)).max(secs(60)).jitter(Jitter::Full).delays(black_box(7));
            ready((delays.next(), delays.next(), delays.next()))
        })
        .member("backon", || {
            let mut delays = backon::BackoffBuilder::build(ExponentialBuilder::default().with_jitter());
            ready((delays.next(), delays.next(), delays.next()))
        })
        .run();
}
