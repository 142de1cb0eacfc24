//! What no scenario can say of parallel: panics, who is polled, what there is no room for.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, IntoFuture, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aplomb::edge::Stream;
use aplomb::parallel::{Parallel, ParallelError, Progress};
use aplomb::{ConfigError, Inline, Platform};
use aplomb_embassy::Embassy;
use aplomb_sim::Sim;
use aplomb_tokio::Tokio;
// A program has one time driver.
use embassy_host as _;
use futures_lite::StreamExt;
use futures_lite::future::poll_once;

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Dropped with it, at the latest.
struct Guard<'d>(&'d Cell<u32>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_panic_drops_the_rest_and_goes_through() {
    fn check<P: Platform>(panics: impl Fn(u32) -> bool, at_start: bool) {
        let dropped = Cell::new(0);
        let polls = Cell::new(0);
        let operation = |item: u32| {
            let (guard, bad) = (Guard(&dropped), panics(item));
            assert!(!(at_start && bad), "wanted");
            let polls = &polls;
            async move {
                let _guard = guard;
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    assert!(!(bad && polls.get() > 5), "wanted");
                    cx.waker().wake_by_ref();
                    Poll::<()>::Pending
                })
                .await;
                Ok::<u32, ()>(item)
            }
        };
        let mut run = Box::pin(Parallel::<P, _, _, _>::of_items(0..10, 4, operation).into_future());
        let mut cx = Context::from_waker(Waker::noop());
        let panicked = std::iter::repeat_with(|| catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut cx).is_pending())))
            .take(5)
            .any(|polled| polled.is_err());
        assert!(panicked, "the panic went missing");
        assert_eq!(dropped.get(), 4, "what ran was dropped at once");
        let before = polls.get();
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!(polls.get(), before, "nothing is polled any more");
    }
    std::panic::set_hook(Box::new(|_| {}));
    check::<Tokio>(|item| item == 2, false);
    check::<Embassy>(|item| item == 2, false);
    check::<Tokio>(|item| item == 3, true);
    check::<Embassy>(|item| item == 3, true);
    let _ = std::panic::take_hook();
}

/// Also when it is the one that has panicked, at its first poll, and keeps what it held: it is no `async` block.
#[test]
fn one_that_panics_at_once_is_dropped_with_the_rest() {
    fn check<P: Platform>(bad: u32) {
        let dropped = Cell::new(0);
        let operation = |item: u32| {
            let guard = Guard(&dropped);
            poll_fn(move |_| {
                let _held = &guard;
                assert!(item != bad, "wanted");
                Poll::<Result<u32, ()>>::Pending
            })
        };
        let mut run = Box::pin(Parallel::<P, _, _, _>::of_items(0..10, 4, operation).into_future());
        let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()));
        assert!(polled.is_err());
        assert_eq!(dropped.get(), bad + 1);
    }
    std::panic::set_hook(Box::new(|_| {}));
    for bad in 0..4 {
        check::<Tokio>(bad);
        check::<Embassy>(bad);
    }
    let _ = std::panic::take_hook();
}

#[test]
fn one_among_a_thousand_is_polled_when_it_is_woken() {
    let wakers = Rc::new(RefCell::new(vec![None::<Waker>; 1_000]));
    let polls = Cell::new(0);
    let operation = |index: usize| {
        let (wakers, polls) = (Rc::clone(&wakers), &polls);
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            wakers.borrow_mut()[index] = Some(cx.waker().clone());
            Poll::<Result<(), ()>>::Pending
        })
    };
    let mut run = Box::pin(Parallel::<Tokio, _, _, _>::of_items(0..1_000, 1_000, operation).into_future());
    let mut cx = Context::from_waker(Waker::noop());
    // A poll starts so many, and lets the others have their turn.
    while polls.get() < 1_000 {
        assert!(run.as_mut().poll(&mut cx).is_pending());
    }
    for index in [500, 0, 999] {
        polls.set(0);
        let waker = wakers.borrow_mut()[index].take();
        waker.unwrap().wake();
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!(polls.get(), 1);
    }
}

#[test]
fn items_without_end_leave_the_others_their_turn() {
    let started = Cell::new(0);
    let operation = |_: u32| {
        started.set(started.get() + 1);
        ready(Ok::<(), ()>(()))
    };
    let mut run = Box::pin(Parallel::<Sim, _, _, _>::of_items(0.., 4, operation).into_future());
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 1..=3 {
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!(started.get(), 256 * polls);
    }
}

/// Nor do results that come before their turn keep the others waiting.
#[test]
fn a_slow_head_leaves_the_others_their_turn() {
    let (started, head) = (Cell::new(0), RefCell::new(None));
    let operation = |item: u32| {
        started.set(started.get() + 1);
        let (head, mut waits) = (&head, item == 0);
        poll_fn(move |cx| {
            if std::mem::take(&mut waits) {
                *head.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok::<u32, ()>(item))
        })
    };
    let mut results = Box::pin(Parallel::<Sim, _, _, _>::of_items(0..1_000, 1_000, operation));
    let told = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&told));
    for (most, again) in [(257, 1), (513, 1), (769, 1), (1_000, 0)] {
        assert!(results.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!((started.get(), told.0.swap(0, Ordering::Relaxed)), (most, again));
    }
    let head = head.take().unwrap();
    head.wake();
    let all = aplomb_sim::block_on(results.map(Result::unwrap).collect::<Vec<_>>());
    assert!(all.into_iter().eq(0..1_000));
}

#[test]
fn more_items_than_room_for_results_is_an_error() {
    let echo = |item: usize| ready(Ok::<usize, Infallible>(item));
    let full = ParallelError::Full { capacity: 16 };
    let of = |items: std::ops::Range<usize>| aplomb_embassy::parallel(items, 3, echo);
    aplomb_sim::block_on(async {
        assert_eq!(*of(0..16).await.unwrap(), *(0..16).collect::<Vec<_>>());
        let started = Cell::new(0);
        let counts = |item: usize| {
            started.set(started.get() + 1);
            echo(item)
        };
        let known = aplomb_embassy::parallel(0..17, 3, counts).await;
        assert_eq!((known.unwrap_err(), started.get()), (full, 0), "what is known before is refused before");
        let unknown = aplomb_embassy::parallel((0..100).filter(|item| item % 2 == 0), 3, counts).await;
        assert_eq!((unknown.unwrap_err(), started.get()), (full, 17));
        assert!(full.is_rejected() && full.index().is_none());
        assert_eq!(full.to_string(), "full: there is room for 16 results, and there are more items");
    });
}

#[test]
fn a_limit_beyond_the_places_is_refused() {
    let echo = |item: u32| ready(Ok::<u32, ()>(item));
    let of = |limit| Parallel::<Sim, _, _, _>::of_items([1, 2, 3], limit, echo).stored_in::<Inline<4>>();
    let refused = ConfigError::Limit { value: 5, most: 4 };
    assert_eq!(of(5).check().unwrap_err(), refused);
    assert_eq!(refused.to_string(), "limit is 5, must be at most 4, the number of places");
    assert_eq!(of(0).check().unwrap_err().to_string(), "limit is 0, must be at least 1");
    assert!(of(4).check().is_ok());
    aplomb_sim::block_on(async {
        assert_eq!(of(5).await, Err(ParallelError::Config(refused)));
        let mut stream = of(5);
        assert_eq!(stream.size_hint().0, 1);
        assert_eq!(stream.next().await, Some(Err(ParallelError::Config(refused))));
        assert_eq!(stream.next().await, None);
        assert_eq!(of(4).await, Ok(vec![1, 2, 3]));
        assert_eq!(Parallel::<Sim, _, _, _>::of_items([1, 2], usize::MAX, echo).await, Ok(vec![1, 2]), "no limit at all");
    });
}

#[test]
fn progress_is_told_of_each_start_and_each_end() {
    let mut told = Vec::new();
    let operation = |item: u32| async move {
        aplomb_sim::sleep(Duration::from_millis(item.into())).await;
        if item == 2 { Err(item) } else { Ok(item) }
    };
    let outcome = aplomb_sim::block_on(async {
        let parallel = Parallel::<Sim, _, _, _>::of_items([4, 1, 2, 4], 2, operation);
        parallel.on_progress(|progress: &Progress| told.push(*progress)).await
    });
    assert_eq!(outcome, Err(ParallelError::Failed { index: 2, error: 2 }));
    let counts: Vec<_> = told.iter().map(|told| (told.started, told.succeeded, told.failed)).collect();
    assert_eq!(counts, [(1, 0, 0), (2, 0, 0), (2, 1, 0), (3, 1, 0), (3, 1, 1)]);
    assert!(told.iter().all(|told| told.total == Some(4)));
}

/// An iterator that says nothing of how many there are, and lies about it after its end.
#[test]
fn once_all_have_been_started_their_number_is_known() {
    struct Items(u32);

    impl Iterator for Items {
        type Item = u32;

        fn next(&mut self) -> Option<u32> {
            self.0 += 1;
            (self.0 <= 2).then_some(self.0)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            if self.0 > 2 { (7, Some(7)) } else { (0, None) }
        }
    }

    let mut totals = Vec::new();
    let operation = async |item: u32| {
        aplomb_sim::sleep(Duration::from_millis(item.into())).await;
        Ok::<_, ()>(item)
    };
    aplomb_sim::block_on(async {
        let parallel = Parallel::<Sim, _, _, _>::of_items(Items(0), 4, operation);
        parallel.on_progress(|progress: &Progress| totals.push(progress.total)).await.unwrap();
    });
    assert_eq!(totals, [None, None, Some(2), Some(2)]);
}

#[test]
fn one_within_another() {
    let sum = aplomb_sim::block_on(async {
        let outer = aplomb_sim::parallel(1..=3_u64, 2, |row| async move {
            let cells = aplomb_sim::parallel(1..=4_u64, 2, move |column| async move {
                aplomb_sim::sleep(Duration::from_nanos(row * column)).await;
                Ok::<u64, ParallelError<()>>(row * column)
            });
            Ok::<u64, ParallelError<ParallelError<()>>>(cells.await?.into_iter().sum())
        });
        outer.await.unwrap().into_iter().sum::<u64>()
    });
    assert_eq!(sum, 60);
}

/// What is told it when it has begun already, it can't heed without losing items: it says so.
#[test]
fn settings_come_before_the_first_item() {
    aplomb_sim::block_on(async {
        let nap = async |time: u64| {
            aplomb_sim::sleep(Duration::from_millis(time)).await;
            Ok::<_, u64>(time)
        };
        let begun = async || {
            let mut parallel = aplomb_sim::parallel([10, 30, 5, 7, 9], 2, nap);
            assert_eq!(parallel.next().await, Some(Ok(10)));
            parallel
        };
        let begun_error = ParallelError::Config(aplomb::ConfigError::Begun);
        assert_eq!(begun().await.await, Err(begun_error) as Result<Vec<u64>, _>);
        assert_eq!(begun().await.completion_order().next().await, Some(Err(begun_error)));
        assert_eq!(begun().await.keep_going().next().await, Some(Err(begun_error)));
        assert_eq!(begun().await.on_progress(|_| {}).next().await, Some(Err(begun_error)));
        let mut told = begun().await.keep_going();
        assert!(told.next().await.is_some());
        assert_eq!(told.next().await, None);
        // Nor after its end, though nothing was started.
        let over = async |items: Vec<u64>, limit| {
            let mut parallel = aplomb_sim::parallel(items, limit, nap);
            while parallel.next().await.is_some() {}
            parallel
        };
        assert_eq!(poll_once(over(vec![], 2).await.into_future()).await, Some(Err(begun_error)));
        assert_eq!(over(vec![1], 0).await.keep_going().next().await, Some(Err(begun_error)));
    });
}
