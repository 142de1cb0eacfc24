//! What a batcher allocates: a batch its items, and a call nothing.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod counting;

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::{Batcher, Heap, Inline, Platform, Storage};
use aplomb_sim::{Manual, ManualClock};
use counting::allocations;

/// All come, one leaves, the last one fills the batch and ends, and so do the others.
fn use_it<P: Platform, S: Storage, F: Future<Output = Result<u32, aplomb::BatchError>>>(
    batcher: &Batcher<P, u32, u32, std::convert::Infallible, S>,
    calls: &mut [Pin<Box<F>>],
) {
    let cx = &mut Context::from_waker(Waker::noop());
    let (last, others) = calls.split_last_mut().unwrap();
    assert!(others.iter_mut().all(|call| call.as_mut().poll(cx).is_pending()));
    assert!(matches!(last.as_mut().poll(cx), Poll::Ready(Ok(_))));
    assert!(others.iter_mut().all(|call| call.as_mut().poll(cx).is_ready()));
    assert_eq!(batcher.snapshot().running, 0);
}

#[test]
fn a_batch_on_the_heap_allocates_its_items_and_what_it_keeps_of_them() {
    let clock = ManualClock::<1>::new();
    let batcher: Batcher<Manual<'_, 1>, u32, u32, _, Heap> = Batcher::with_clock(&clock, 64).max_wait(Duration::MAX);
    for (round, expected) in [(0, None), (1, Some(2)), (2, Some(2))] {
        // The results are the items themselves.
        let mut calls: Vec<_> = (0..64).map(|n| Box::pin(batcher.call(n, |items: Vec<u32>| ready(Ok(items))))).collect();
        let made = allocations(|| use_it(&batcher, &mut calls));
        assert!(expected.is_none_or(|expected| expected == made), "round {round}: {made}");
    }
    let mut calls: Vec<_> = (0..64).map(|n| Box::pin(batcher.call_once(n, |items: Vec<u32>| ready(Ok(items))))).collect();
    assert_eq!(allocations(|| use_it(&batcher, &mut calls)), 1);
}

#[test]
fn a_batch_in_place_allocates_nothing() {
    let clock = ManualClock::<1>::new();
    let batcher: Batcher<Manual<'_, 1>, u32, u32, _, Inline<8>> = Batcher::with_clock(&clock, 8).max_wait(Duration::MAX);
    let mut calls: Vec<_> = (0..8).map(|n| Box::pin(batcher.call(n, |items| ready(Ok(items))))).collect();
    assert_eq!(allocations(|| use_it(&batcher, &mut calls)), 0);
}
