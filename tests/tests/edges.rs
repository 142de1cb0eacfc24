//! Debounce, throttle and polling on real threads, and where a scenario does not reach.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb_tokio::prelude::*;
use futures_lite::StreamExt;

/// Statics, as servers have them.
static SEARCH: Debounce = checked!(Debounce::new(ms(5)));
static SAVE: Debounce<Share<Result<u32, &'static str>>> = checked!(Debounce::shared(ms(5)));

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spawned() {
    let calls: Vec<_> = (0..50).map(|n| tokio::spawn(SEARCH.call(move || async move { Ok::<_, ()>(n) }))).collect();
    let (mut started, mut superseded) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => started += 1,
            Err(error) if error.is_superseded() => superseded += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(started >= 1);
    assert_eq!(started + superseded, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_calls_are_spawned_and_all_end() {
    let runs = std::sync::Arc::new(AtomicU32::new(0));
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let runs = runs.clone();
            tokio::spawn(SAVE.call(move || async move {
                runs.fetch_add(1, Ordering::Relaxed);
                Ok(n)
            }))
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap().unwrap());
    }
    results.dedup();
    assert!(results.len() <= runs.load(Ordering::Relaxed) as usize, "each run has its sharers");
}

/// Two threads trigger at once, and the newest value wins: `run` sees the last of both.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_from_threads_lose_nothing() {
    static KNOB: Throttle<Trigger<(u32, u32)>> = checked!(Throttle::triggered(ms(1)));
    const LAST: u32 = 20_000;
    let triggering = |thread| std::thread::spawn(move || (1..=LAST).for_each(|number| KNOB.trigger((thread, number))));
    let threads = [triggering(0), triggering(1)];
    let (mut seen, mut newest) = ([0; 2], 0);
    // Whoever has waited a while after both were done has seen the last.
    loop {
        let finished = threads.iter().all(std::thread::JoinHandle::is_finished);
        match tokio::time::timeout(Duration::from_millis(100), KNOB.next()).await {
            Ok(value) => {
                let (thread, number) = value.unwrap();
                let before = std::mem::replace(&mut seen[usize::try_from(thread).unwrap()], number);
                assert!(number > before, "{number} came after {before}");
                newest = number;
            }
            Err(_) if finished => break,
            Err(_) => {}
        }
    }
    assert_eq!(newest, LAST);
}

#[tokio::test(start_paused = true)]
async fn one_task_drives_and_the_other_is_told() {
    static KNOB: Debounce<Trigger<u32>> = checked!(Debounce::triggered(ms(5)));
    let first = tokio::spawn(KNOB.next());
    tokio::task::yield_now().await;
    assert_eq!(KNOB.next().await, Err(aplomb::edge::DriveError::Busy));
    KNOB.trigger(7);
    assert_eq!(first.await.unwrap(), Ok(7));
    KNOB.trigger(8);
    assert_eq!(KNOB.next().await, Ok(8), "the first has made way");
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_always_ready_let_others_have_their_turn() {
    let others = tokio::spawn(async {});
    let mut numbers = pin!(futures_lite::stream::iter(0..1_000_000).throttle_first(secs(1)));
    assert_eq!(numbers.next().await, Some(0));
    assert_eq!(numbers.next().await, None);
    assert!(others.is_finished());
}

#[tokio::test]
async fn more_callers_that_share_than_there_is_room_for_are_refused() {
    type Shares = Share<Result<u32, ()>, Inline<4>>;
    let debounce = |most| Debounce::<Shares>::shared(ms(5)).max_waiting(most);
    assert!(debounce(4).check().is_ok() && debounce(u32::MAX).check().is_ok());
    let refused = ConfigError::WaitingPlaces { value: 5, most: 4 };
    assert_eq!((debounce(5).config_error(), debounce(5).check().err()), (Some(refused), Some(refused)));
    let throttle = Throttle::<Shares>::shared(ms(5)).max_waiting(5);
    assert_eq!(throttle.call(|| async { panic!("started") }).await, Err(EdgeError::Config(refused)));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_shared_operation_hands_over() {
    static SHARED: Debounce<Share<Result<u32, ()>>> = checked!(Debounce::shared(ms(5)));
    let first = tokio::spawn(SHARED.call(|| async { Ok(1) }));
    tokio::task::yield_now().await;
    let second = tokio::spawn(SHARED.call(|| async { panic!("as it is meant to") }));
    assert!(second.await.unwrap_err().is_panic());
    assert_eq!(first.await.unwrap(), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn polling_is_spawned() {
    let mut left = 3;
    let job = poll_until(
        move || {
            left -= 1;
            let left = left;
            async move { Ok::<_, std::io::Error>(left) }
        },
        |left| *left == 0,
    );
    assert_eq!(tokio::spawn(async { job.every(secs(2)).await }).await.unwrap().unwrap(), 0);
}
