//! Batchers where a scenario does not reach: beside a model, panics, code of the caller's that calls back in, what is cloned, and how often who waits is polled.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod model;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aplomb::time::{ms, secs};
use aplomb::{BatchError, Batcher, ConfigError, Heap, Inline};
use aplomb_sim::{Sim, block_on, sleep};
use aplomb_tokio::Tokio;

type Names = Batcher<Sim, u32, u32, &'static str>;
type Outcome = Result<u32, BatchError<&'static str>>;

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn at_rest(batcher: &Names) -> bool {
    let now = batcher.snapshot();
    (now.waiting, now.running) == (0, 0)
}

async fn echo(items: Vec<u32>) -> Result<Vec<u32>, &'static str> {
    Ok(items)
}

async fn slow(items: Vec<u32>) -> Result<Vec<u32>, &'static str> {
    sleep(ms(20)).await;
    Ok(items)
}

/// Results that cannot be cloned, of items that can neither.
#[test]
fn results_are_moved() {
    struct Item(u32);
    #[derive(Debug, PartialEq)]
    struct Row(u32);
    let rows: Batcher<Sim, Item, Row> = Batcher::new(2).max_wait(secs(1));
    let load = async |items: Vec<Item>| Ok(items.iter().map(|item| Row(item.0)).collect::<Vec<_>>());
    let both = block_on(futures_lite::future::zip(rows.call_once(Item(1), load), rows.call_once(Item(2), load)));
    assert_eq!(both, (Ok(Row(1)), Ok(Row(2))));
}

#[test]
fn results_may_be_an_array() {
    let pair: Batcher<Sim, u8, u16, &str, Inline<2>> = Batcher::new(2).storage().max_wait(secs(1));
    let sample = async |channels: heapless_vec<u8>| Ok([u16::from(channels[0]), u16::from(channels[1])]);
    let both = block_on(futures_lite::future::zip(pair.call(3, sample), pair.call(4, sample)));
    assert_eq!(both, (Ok(3), Ok(4)));
}

#[allow(non_camel_case_types, reason = "it stands for a type of another crate")]
type heapless_vec<T> = <Inline<2> as aplomb::Storage>::Slots<T>;

/// In place, all that wait or are under way share the places, without those who lead.
#[test]
fn places_run_out_and_come_back() {
    let batcher: Batcher<Sim, u32, u32, &str, Inline<2>> = Batcher::new(2).storage();
    let mut calls: Vec<_> = (0..4).map(|n| Box::pin(batcher.call(n, async |_| pending::<Result<[u32; 2], _>>().await))).collect();
    assert!(calls[..3].iter_mut().all(|call| poll_once(call.as_mut()).is_pending()), "the second leads, and has no place");
    assert_eq!((batcher.snapshot().waiting, batcher.snapshot().running), (1, 1));
    let mut full = pin!(batcher.call(9, async |_| pending::<Result<[u32; 2], _>>().await));
    assert_eq!(poll_once(full.as_mut()), Poll::Ready(Err(BatchError::QueueFull { waiting: 2 })));
    assert!(poll_once(full).is_pending(), "and it never ends again");
    drop(calls.remove(0));
    let mut last = calls.pop().unwrap();
    assert!(poll_once(last.as_mut()).is_pending());
    assert_eq!((batcher.snapshot().waiting, batcher.snapshot().running), (0, 2));
}

/// Panics at its second poll, and holds something until then.
async fn explodes(_: Vec<u32>, _held: Rc<()>) -> Result<Vec<u32>, &'static str> {
    futures_lite::future::yield_now().await;
    panic!("on purpose")
}

#[test]
fn a_panic_is_the_leaders_and_the_others_end() {
    let batcher = Names::new(3).max_wait(Duration::MAX);
    let held = Rc::new(());
    let (mut one, mut two) = (pin!(batcher.call(1, echo)), pin!(batcher.call(2, echo)));
    assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_pending());
    let operation = |items| explodes(items, Rc::clone(&held));
    let mut leads = pin!(batcher.call(3, operation));
    assert!(poll_once(leads.as_mut()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(leads.as_mut()).is_ready())).is_err());
    assert_eq!(Rc::strong_count(&held), 1, "what the operation held is free");
    assert_eq!(poll_once(one), Poll::Ready(Err(BatchError::Abandoned)));
    assert_eq!(poll_once(two), Poll::Ready(Err(BatchError::Abandoned)));
    assert!(poll_once(leads).is_pending() && at_rest(&batcher));
}

#[test]
fn so_is_one_before_there_is_a_future() {
    let batcher = Names::new(2).max_wait(Duration::MAX);
    let mut one = pin!(batcher.call(1, echo));
    assert!(poll_once(one.as_mut()).is_pending());
    let mut leads = pin!(batcher.call(2, |_| -> std::future::Ready<Result<Vec<u32>, _>> { panic!("on purpose") }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(leads.as_mut()).is_ready())).is_err());
    assert_eq!(poll_once(one), Poll::Ready(Err(BatchError::Abandoned)));
    assert!(at_rest(&batcher));
}

/// What weighs items, clones and results panic too, and somebody always gets on.
#[test]
fn whatever_of_a_callers_panics_nobody_hangs() {
    #[derive(Debug)]
    struct Fragile(bool);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(!self.0, "on purpose");
            Self(false)
        }
    }
    let batcher: Batcher<Sim, Fragile, u32, Fragile> = Batcher::new(2).max_wait(Duration::MAX).weigh_by(|item| {
        assert!(!item.0, "on purpose");
        1
    });
    let load = async |items: Vec<Fragile>| Ok(vec![7; items.len()]);
    let mut unweighed = pin!(batcher.call(Fragile(true), load));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(unweighed.as_mut()).is_ready())).is_err());
    assert_eq!((batcher.snapshot().waiting, batcher.snapshot().running), (0, 0));
    // The error for all is cloned for each.
    let mut one = pin!(batcher.call(Fragile(false), load));
    assert!(poll_once(one.as_mut()).is_pending());
    let mut leads = pin!(batcher.call(Fragile(false), async |_| Err::<Vec<u32>, _>(Fragile(true))));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(leads.as_mut()).is_ready())).is_err());
    assert!(matches!(poll_once(one), Poll::Ready(Err(BatchError::Abandoned))));
    assert_eq!((batcher.snapshot().waiting, batcher.snapshot().running), (0, 0));
}

/// A slice of another length than what can be taken out.
#[test]
fn results_that_lie_about_their_number_leave_nobody_behind() {
    struct Lies(Vec<u32>);
    impl AsRef<[u32]> for Lies {
        fn as_ref(&self) -> &[u32] {
            &self.0
        }
    }
    impl IntoIterator for Lies {
        type Item = u32;
        type IntoIter = std::iter::Take<std::vec::IntoIter<u32>>;
        fn into_iter(self) -> Self::IntoIter {
            self.0.into_iter().take(1)
        }
    }
    let batcher = Names::new(2).max_wait(secs(1));
    let load = async |items| Ok(Lies(items));
    let both = block_on(futures_lite::future::zip(batcher.call(1, load), batcher.call(2, load)));
    assert_eq!(both, (Ok(1), Err(BatchError::WrongLength { items: 2, results: 1 })));
}

#[test]
fn an_operation_may_call_back_in() {
    let batcher = Names::new(2).max_wait(secs(1));
    let nested = |items: Vec<u32>| {
        let batcher = &batcher;
        async move {
            let inner = pin!(batcher.call(items[0] + 100, echo));
            let flushed = async {
                assert_eq!(batcher.snapshot().running, 1);
                assert!(batcher.flush());
            };
            let (inner, ()) = futures_lite::future::zip(inner, flushed).await;
            Ok(vec![inner.unwrap(); items.len()])
        }
    };
    let both = block_on(futures_lite::future::zip(batcher.call(1, nested), batcher.call(2, nested)));
    assert_eq!(both, (Ok(101), Ok(101)));
    assert!(at_rest(&batcher));
}

/// An item whose code calls back in.
struct Looks;

/// Its lock would wait for itself for ever.
static LOOKED_AT: Batcher<Tokio, Looks, ()> = Batcher::new(2);

static LOOKS: AtomicU32 = AtomicU32::new(0);

impl Looks {
    fn look() -> Self {
        let _now = LOOKED_AT.snapshot();
        LOOKS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Clone for Looks {
    fn clone(&self) -> Self {
        Self::look()
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        std::mem::forget(Self::look());
    }
}

#[test]
fn no_lock_is_held_where_items_are_cloned_and_dropped() {
    {
        let stuck = async |_: Vec<Looks>| pending::<Result<[(); 2], _>>().await;
        let call = || Box::pin(LOOKED_AT.call(Looks, stuck));
        let (mut follows, mut leads, mut waits) = (call(), call(), call());
        assert!(poll_once(follows.as_mut()).is_pending());
        assert!(poll_once(leads.as_mut()).is_pending() && poll_once(waits.as_mut()).is_pending());
        drop(follows);
        drop(leads);
    }
    assert_eq!(LOOKS.load(Ordering::Relaxed), 5, "one of three items is cloned, the other's of the batch, and all are dropped");
}

struct Counts(AtomicU32);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who waits is woken once, with its result, and the first besides when it may look at the time.
#[test]
fn whoever_waits_is_woken_once() {
    let batcher = Names::new(4).max_wait(Duration::MAX);
    let counts: Vec<Arc<Counts>> = (0..4).map(|_| Arc::new(Counts(AtomicU32::new(0)))).collect();
    let mut calls: Vec<_> = (0..4).map(|n| Box::pin(batcher.call(n, |items| ready(Ok::<Vec<u32>, _>(items))))).collect();
    for (call, count) in calls.iter_mut().zip(&counts) {
        let waker = Waker::from(Arc::clone(count));
        let ended = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(ended.is_ready(), Arc::ptr_eq(count, &counts[3]), "the last one fills the batch");
    }
    assert_eq!(counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1, 1, 0]);
    let ended: Vec<_> = calls.iter_mut().take(3).map(|call| poll_once(call.as_mut())).collect();
    assert_eq!(ended, [0, 1, 2].map(|n| Poll::Ready(Ok(n))));
}

struct Panics(Counts);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        panic!("as it is woken");
    }
}

#[test]
fn whoever_has_a_result_is_woken_though_the_waker_of_one_before_it_panics() {
    let batcher = Names::new(4).max_wait(Duration::MAX);
    let (first, counts) = (Arc::new(Panics(Counts(AtomicU32::new(0)))), Arc::new(Counts(AtomicU32::new(0))));
    let mut calls: Vec<_> = (0..4).map(|n| Box::pin(batcher.call(n, |items| ready(Ok::<Vec<u32>, _>(items))))).collect();
    let [one, two, three, four] = &mut calls[..] else { panic!("four") };
    for (call, waker) in
        [(one, Waker::from(first)), (two, Waker::from(Arc::clone(&counts))), (three, Waker::from(Arc::clone(&counts)))]
    {
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(four.as_mut()).is_ready())).is_err());
    assert_eq!(counts.0.load(Ordering::Relaxed), 2);
    assert!(calls.iter_mut().take(3).zip(0..).all(|(call, n)| poll_once(call.as_mut()) == Poll::Ready(Ok(n))));
}

/// A caller that has its result and is dropped before it looks leaves nothing behind.
#[test]
fn a_result_that_nobody_takes_is_dropped() {
    let rows: Batcher<Sim, u32, Rc<()>> = Batcher::new(2).max_wait(Duration::MAX);
    let row = Rc::new(());
    let load = |_: Vec<u32>| ready(Ok([Rc::clone(&row), Rc::clone(&row)]));
    {
        let (mut one, mut two) = (pin!(rows.call(1, load)), pin!(rows.call(2, load)));
        assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_ready());
        assert_eq!(Rc::strong_count(&row), 2, "one's is still there");
    }
    assert_eq!(Rc::strong_count(&row), 1);
    assert_eq!((rows.snapshot().waiting, rows.snapshot().running), (0, 0));
}

/// One that is to lead after a handover, and is dropped before it is polled.
#[test]
fn one_handover_after_another_loses_nobody() {
    let batcher = Names::new(4).max_wait(secs(1));
    let mut calls: Vec<_> = (0..4).map(|n| Box::pin(batcher.call(n, slow))).collect();
    block_on(async {
        for call in &mut calls {
            assert!(futures_lite::future::poll_once(call).await.is_none());
        }
        assert_eq!(batcher.snapshot().running, 1);
        drop(calls.pop());
        drop(calls.remove(0));
        let last = calls.pop().unwrap();
        drop(calls.pop());
        assert_eq!(last.await, Ok(2));
    });
    assert!(at_rest(&batcher));
}

/// Whether an item goes twice is for its own caller to say, whoever leads.
#[test]
fn what_must_not_go_twice_does_not_though_its_leader_may() {
    let batcher = Names::new(3).max_wait(secs(1));
    let (once, again) = (batcher.call_once(1, slow), batcher.call(2, slow));
    let (mut once, mut again, mut leads) = (Box::pin(once), Box::pin(again), Box::pin(batcher.call(3, slow)));
    block_on(async {
        assert!(poll_once(once.as_mut()).is_pending() && poll_once(again.as_mut()).is_pending());
        assert!(poll_once(leads.as_mut()).is_pending());
        drop(leads);
        assert_eq!(once.await, Err(BatchError::Abandoned));
        assert_eq!(again.await, Ok(2));
    });
    assert!(at_rest(&batcher));
}

#[test]
fn what_may_go_twice_does_though_its_leader_may_not() {
    let batcher = Names::new(3).max_wait(secs(1));
    let started = RefCell::new(vec![]);
    let load = |items: Vec<u32>| {
        started.borrow_mut().push(items.clone());
        slow(items)
    };
    let (once, again) = (batcher.call_once(1, load), batcher.call(2, load));
    let (mut once, mut again, mut leads) = (Box::pin(once), Box::pin(again), Box::pin(batcher.call_once(3, load)));
    block_on(async {
        assert!(poll_once(once.as_mut()).is_pending() && poll_once(again.as_mut()).is_pending());
        assert!(poll_once(leads.as_mut()).is_pending());
        drop(leads);
        assert_eq!(again.await, Ok(2));
        assert_eq!(once.await, Err(BatchError::Abandoned));
    });
    assert_eq!(*started.borrow(), [vec![1, 2, 3], vec![2]]);
    assert!(at_rest(&batcher));
}

/// Who comes before the first in the line has had its turn goes with it.
#[test]
fn what_is_handed_over_is_led_by_who_has_waited_longest() {
    let batcher = Names::new(3).max_wait(secs(1));
    let started = RefCell::new(vec![]);
    let (batcher, noted) = (&batcher, &started);
    let call = |item| {
        let load = move |items: Vec<u32>| {
            noted.borrow_mut().push((item, items.clone()));
            slow(items)
        };
        Box::pin(batcher.call(item, load))
    };
    let (mut one, mut two, mut leads, mut late) = (call(1), call(2), call(3), call(4));
    block_on(async {
        assert!(poll_once(one.as_mut()).is_pending() && poll_once(two.as_mut()).is_pending());
        assert!(poll_once(leads.as_mut()).is_pending());
        drop(leads);
        assert!(poll_once(late.as_mut()).is_pending());
        assert_eq!(one.await, Ok(1));
        assert_eq!((two.await, late.await), (Ok(2), Ok(4)));
    });
    assert_eq!(*started.borrow(), [(3, vec![1, 2, 3]), (1, vec![1, 2, 4])]);
}

/// Clones are made only for those who might have to start again.
#[test]
fn items_of_one_alone_are_not_cloned() {
    struct Counted<'c>(&'c Cell<u32>);
    impl Clone for Counted<'_> {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Self(self.0)
        }
    }
    let clones = Cell::new(0);
    let batcher: Batcher<Sim, Counted<'_>, ()> = Batcher::new(2);
    let load = async |items: Vec<Counted<'_>>| Ok(vec![(); items.len()]);
    let call = || batcher.call(Counted(&clones), load);
    block_on(async {
        assert_eq!(call().await, Ok(()));
        assert_eq!(clones.get(), 0);
        let both = futures_lite::future::zip(call(), call()).await;
        assert_eq!((both, clones.get()), ((Ok(()), Ok(())), 1), "nor is a leader's own");
    });
}

/// From many tasks on several threads, each has its own.
#[test]
fn on_threads_each_has_its_own() {
    static DOUBLES: Batcher<Tokio, u32, u32, &str, Heap> = aplomb::checked!(Batcher::new(16).max_wait(ms(1)).max_concurrent(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let largest = Arc::new(AtomicU32::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..2_000_u32)
            .map(|n| {
                let largest = Arc::clone(&largest);
                let load = move |items: Vec<u32>| {
                    largest.fetch_max(u32::try_from(items.len()).unwrap(), Ordering::Relaxed);
                    async move {
                        tokio::task::yield_now().await;
                        Ok(items.into_iter().map(|n| 2 * n).collect::<Vec<_>>())
                    }
                };
                tokio::spawn(async move {
                    if n % 7 == 0 {
                        // It leaves, wherever it stands by then.
                        let _given_up: Option<Outcome> = futures_lite::future::poll_once(DOUBLES.call(n, load.clone())).await;
                    }
                    DOUBLES.call(n, load).await
                })
            })
            .collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Ok(2 * n));
        }
    });
    assert!(largest.load(Ordering::Relaxed) <= 16);
    let now = DOUBLES.snapshot();
    assert_eq!((now.waiting, now.running), (0, 0));
}

#[test]
fn more_callers_than_there_is_room_for_are_refused() {
    let batcher = |most| Batcher::<Sim, u32, u32, (), Inline<4>>::max_waiting(Batcher::new(2).storage(), most);
    assert!(batcher(4).check().is_ok() && batcher(u32::MAX).check().is_ok());
    assert_eq!(batcher(5).check().map(drop), Err(ConfigError::WaitingPlaces { value: 5, most: 4 }));
}
