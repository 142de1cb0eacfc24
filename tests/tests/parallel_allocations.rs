//! What a run in parallel allocates: for each slot its waker, for eight of them a place for their futures, or for each, if they are large; some tables that double, and nothing for an item.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod counting;

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::children::PinnedStorage;
use aplomb::parallel::{Array, Parallel};
use aplomb::{Inline, Platform};
use aplomb_embassy::Embassy;
use aplomb_sim::{Sim, parallel};
use aplomb_smol::Smol;
use aplomb_tokio::Tokio;
use counting::allocations;
// A program has one time driver.
use embassy_host as _;
use futures_lite::future::yield_now;

fn run_to_end<const LARGE: usize>(items: u32, limit: usize) {
    let run = parallel(0..items, limit, async |item| {
        let carried = [0_u8; LARGE];
        yield_now().await;
        assert!(carried.iter().all(|byte| *byte == 0));
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

/// How many allocations a run with operations of that size makes, whatever the number of its items.
fn made<const LARGE: usize>(limit: usize) -> usize {
    let made = allocations(|| run_to_end::<LARGE>(2_000, limit));
    assert_eq!(made, allocations(|| run_to_end::<LARGE>(4_000, limit)), "{limit} at once");
    usize::try_from(made).unwrap()
}

#[test]
fn it_allocates_by_the_slot_and_not_by_the_item() {
    for limit in [1_usize, 7, 10, 16, 100, 1_000] {
        let tables = 10 + 6 * (limit / 16).checked_ilog2().map_or(0, |doublings| doublings as usize + 1);
        let wakers = limit;
        let (small, large) = (made::<0>(limit), made::<2_000>(limit));
        assert!(small <= wakers + limit / 8 + limit % 8 + tables, "{limit} at once: {small}");
        assert!(large <= wakers + limit + tables, "{limit} large ones at once: {large}");
    }
}

/// In place, only wakers are left, where the platform has its own.
#[test]
fn in_place_it_allocates_for_wakers_only() {
    fn made<P: Platform, S: PinnedStorage, const N: usize>(limit: usize) -> u64 {
        let operation = async |item| {
            yield_now().await;
            Ok::<u32, ()>(item)
        };
        let run = Parallel::<P, _, _, _, _, _, _, Array<N>>::of_array([7; N], limit, operation).stored_in::<S>();
        let mut run = pin!(run.into_future());
        allocations(|| while run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {})
    }

    assert_eq!((made::<Sim, Inline<2>, 4>(2), made::<Sim, Inline<16>, 20>(16)), (2 + 5, 16 + 5));
    assert_eq!((made::<Tokio, Inline<2>, 4>(2), made::<Smol, Inline<2>, 4>(2)), (2 + 5, 2 + 5));
    assert_eq!((made::<Embassy, Inline<2>, 4>(2), made::<Embassy, Inline<16>, 20>(16)), (0, 0));
}

#[test]
fn those_that_are_ready_share_one_place_and_one_waker() {
    let ready = |items| {
        let run = parallel(0..items, 100, async |item| Ok::<_, ()>(item));
        let mut run = pin!(run.into_future());
        allocations(|| assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()))
    };
    assert_eq!((ready(1), ready(200)), (9, 9));
}
