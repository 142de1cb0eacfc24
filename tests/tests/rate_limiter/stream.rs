//! Items of a stream, each at the cost of a permit: when they come, what becomes of them, and what a dropped stream costs.

use std::cell::Cell;

use aplomb_sim::prelude::*;
use futures_lite::future::{poll_once, zip};
use futures_lite::{Stream as _, StreamExt, stream};

fn now() -> u64 {
    aplomb_sim::now().as_nanos() / 1_000_000
}

fn ten_a_second() -> RateLimiter {
    RateLimiter::with_burst(Rate::per_second(10), 1)
}

#[test]
fn items_come_at_the_rate_and_are_taken_when_the_one_before_has_gone() {
    let (limiter, taken) = (ten_a_second(), Cell::new(0));
    aplomb_sim::block_on(async {
        let mut items = stream::iter(1..=3).map(|item| (taken.set(item), item).1).rate_limited(&limiter);
        for item in 1..=3 {
            assert_eq!(items.next().await, Some(Ok(item)));
            assert_eq!((now(), taken.get()), (100 * (item - 1), item));
        }
        assert_eq!((items.next().await, items.next().await), (None, None));
        assert_eq!(limiter.snapshot().available, 0, "its end costs nothing, and no time has passed");
    });
}

#[test]
fn it_stands_in_the_queue_like_everybody() {
    let limiter = ten_a_second();
    aplomb_sim::block_on(async {
        let items = stream::iter(0..3).rate_limited(&limiter).map(|item| (item.unwrap(), now()));
        let others = async {
            limiter.acquire(1).await.unwrap();
            now()
        };
        let (items, other) = zip(items.collect::<Vec<_>>(), others).await;
        assert_eq!(items, [(0, 0), (1, 100), (2, 300)]);
        assert_eq!(other, 200);
    });
}

#[test]
fn an_item_that_waits_costs_no_permit_when_the_stream_is_dropped() {
    let limiter = ten_a_second();
    aplomb_sim::block_on(async {
        limiter.acquire(1).await.unwrap();
        let mut items = Box::pin(stream::iter([7]).rate_limited(&limiter));
        assert!(poll_once(items.next()).await.is_none());
        assert_eq!(limiter.snapshot().waiting, 1);
        drop(items);
        assert_eq!(limiter.snapshot().waiting, 0);
        aplomb_sim::sleep(ms(100)).await;
        assert!(limiter.try_acquire(1).is_ok());
    });
}

#[test]
fn without_room_to_wait_it_says_so_and_keeps_the_item() {
    let limiter = ten_a_second().max_waiting(0);
    let full = RateLimitError::QueueFull { waiting: 0, retry_after: Some(ms(100)) };
    aplomb_sim::block_on(async {
        let mut items = stream::iter(0..3).rate_limited(&limiter);
        assert_eq!((items.next().await, items.next().await), (Some(Ok(0)), Some(Err(full))));
        assert_eq!(items.size_hint(), (1, None));
        aplomb_sim::sleep(ms(100)).await;
        assert!(matches!(poll_once(items.next()).await, Some(Some(Ok(1)))), "whoever has waited meanwhile need not wait again");
        assert_eq!(items.next().await, Some(Err(full)));
        assert_eq!((items.next().await, now()), (Some(Ok(2)), 200), "when there are permits, as it said");
        assert_eq!((items.next().await, items.size_hint()), (None, (0, Some(0))));
    });
}

/// Whoever polls on and on is told once for each time that it may be worth another try, and others have their turn.
#[test]
fn without_room_to_wait_nobody_is_kept_from_his_turn() {
    let limiter = ten_a_second().max_waiting(0);
    aplomb_sim::block_on(async {
        limiter.try_acquire(1).unwrap();
        let (mut errors, mut served) = (0, 0);
        let polls = async {
            let mut items = stream::iter(0..5).rate_limited(&limiter);
            while let Some(item) = items.next().await {
                *if item.is_ok() { &mut served } else { &mut errors } += 1;
            }
        };
        let others = async {
            // They take the permit at the same instant, and before it.
            for turn in 1..=3 {
                aplomb_sim::sleep(ms(100)).await;
                assert_eq!((limiter.try_acquire(1).is_ok(), now()), (true, 100 * turn));
            }
        };
        zip(others, polls).await;
        assert_eq!((served, errors, now()), (5, 8, 800));
    });
}

#[test]
fn where_a_call_has_to_end_first_it_lets_others_have_their_turn() {
    let limiter: RateLimiter = RateLimiter::new(Rate::per_second(10)).max_concurrent(1).max_waiting(0);
    aplomb_sim::block_on(async {
        let permit = limiter.try_acquire(1).unwrap();
        let mut items = stream::iter([7]).rate_limited(&limiter);
        let full = RateLimitError::QueueFull { waiting: 0, retry_after: None };
        for _ in 0..3 {
            assert_eq!(items.next().await, Some(Err(full)));
            assert!(poll_once(items.next()).await.is_none(), "first the others");
        }
        drop(permit);
        assert_eq!((items.next().await, items.next().await, now()), (Some(Ok(7)), None, 0));
    });
}

#[test]
fn where_no_permit_ever_comes_it_ends_with_the_reason() {
    let limiter: RateLimiter = RateLimiter::new(Rate::per_second(0));
    aplomb_sim::block_on(async {
        let mut items = stream::iter(0..2).rate_limited(&limiter);
        assert!(matches!(items.next().await, Some(Err(RateLimitError::Config(_)))));
        assert_eq!((items.next().await, items.size_hint()), (None, (0, Some(0))));
    });
}
