//! Streams.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use aplomb_embassy::edge::{Stream, Terms};
use aplomb_embassy::prelude::*;

use crate::{ask, unknown, used};

static LIMITER: RateLimiter<TokenBucket, Inline<4>> = RateLimiter::new(Rate::per_second(3)).storage();

/// Nobody knows when it is over.
struct Source;

impl Stream for Source {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        match unknown() {
            0 => Poll::Ready(None),
            1 => Poll::Pending,
            item => Poll::Ready(Some(item)),
        }
    }
}

pub async fn drained(stream: impl Stream) {
    let mut stream = pin!(stream);
    while let Some(item) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        used(item);
    }
}

pub async fn all() {
    drained(Source.debounce(ms(100))).await;
    drained(Source.throttle_first(ms(100))).await;
    drained(Source.throttle_latest(ms(100))).await;
    drained(Source.audit(ms(100))).await;
    drained(Source.pace(ms(100))).await;
    if let Ok(stream) = Source.edges(Terms::debounce(ms(u64::from(unknown()))).leading(true).max_wait(secs(1))) {
        drained(stream).await;
    }
    drained(Source.rate_limited(&LIMITER)).await;
    drained(Source.parallel(2, ask).stored_in::<Inline<2>>()).await;
}
