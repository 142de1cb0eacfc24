//! What a run in parallel allocates: for each slot its waker, for eight of them a place for their futures, some tables that double, and nothing for an item.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod counting;

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb_sim::prelude::*;
use counting::allocations;
use futures_lite::future::yield_now;

fn run_to_end(items: u32, limit: usize) {
    let run = parallel(0..items, limit, async |item| {
        yield_now().await;
        Ok::<_, ()>(item)
    });
    let mut run = pin!(run.into_future());
    let results = loop {
        if let Poll::Ready(results) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            break results.unwrap();
        }
    };
    assert!(results.into_iter().eq(0..items));
}

#[test]
fn it_allocates_by_the_slot_and_not_by_the_item() {
    for limit in [1_usize, 10, 16, 100, 1_000] {
        let made = allocations(|| run_to_end(5_000, limit));
        let tables = 12 + 6 * (limit / 16).checked_ilog2().map_or(0, |doublings| doublings + 1);
        assert!(made <= u64::try_from(limit + limit / 8 + limit % 8).unwrap() + u64::from(tables), "{limit} at once: {made}");
        assert_eq!(made, allocations(|| run_to_end(10_000, limit)), "{limit} at once");
    }
}
