//! Parallel with a limit: beside a model that is slow and obvious, and what no scenario can say.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Future, IntoFuture, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::children::PinnedStorage;
use aplomb::edge::Stream;
use aplomb::parallel::{Parallel, ParallelError, Progress};
use aplomb::{ConfigError, Heap, Inline, OwnWakers, ParentWaker, Platform};
use aplomb_sim::{SimClock, SimRawMutex};
use futures_lite::{StreamExt, stream};

/// Simulated time, and one way of waking children.
macro_rules! platform {
    ($name:ident, $children:ty) => {
        struct $name;

        impl Platform for $name {
            type Clock = SimClock;
            type RawMutex = SimRawMutex;
            type Storage = Heap;
            type Children = $children;

            fn random() -> u64 {
                0
            }
        }
    };
}

platform!(Own, OwnWakers<SimRawMutex>);
platform!(Parent, ParentWaker);

/// One item: how long its operation takes, in nanoseconds, and whether it ends well.
#[derive(Debug, Clone, Copy)]
struct Item {
    takes: u64,
    ends_well: bool,
}

/// What is tried.
#[derive(Debug, Clone)]
struct Trial {
    items: Vec<Item>,
    limit: usize,
    fails_fast: bool,
    in_order: bool,
    dropped_at: Option<u64>,
    /// When somebody polls it without cause.
    nagged_at: Vec<u64>,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    /// When, and which item.
    starts: Vec<(u64, usize)>,
    /// When, and which items that had not ended.
    drops: BTreeSet<(u64, usize)>,
    peak: usize,
    /// When, and with what: the outcomes, or the one that ended it. None if it was dropped.
    end: Option<(u64, Result<Vec<Result<usize, usize>>, usize>)>,
}

impl Trial {
    fn any(random: &mut fastrand::Rng) -> Self {
        let longest = 1_000_000_000;
        let item = |random: &mut fastrand::Rng| Item {
            takes: if random.u8(..4) == 0 { 0 } else { random.u64(1..longest) },
            ends_well: random.u8(..12) > 0,
        };
        let number = random.usize(..30);
        Self {
            items: (0..number).map(|_| item(random)).collect(),
            limit: random.usize(1..=8),
            fails_fast: random.bool(),
            in_order: random.bool(),
            dropped_at: random.bool().then(|| random.u64(..2 * longest)),
            nagged_at: (0..random.usize(..10)).map(|_| random.u64(..3 * longest)).collect(),
        }
    }

    /// As the docs have it, step by step.
    fn model(&self) -> Report {
        let (mut now, mut next, mut running) = (0, 0, Vec::<(u64, usize)>::new());
        let mut report = Report { starts: Vec::new(), drops: BTreeSet::new(), peak: 0, end: None };
        let mut ended = Vec::new();
        loop {
            while next < self.items.len() && running.len() < self.limit {
                report.starts.push((now, next));
                running.push((now + self.items[next].takes, next));
                report.peak = report.peak.max(running.len());
                next += 1;
                // Who is ready at once is gone at once.
                if let Some(error) = self.end_those_due(now, &mut running, &mut ended) {
                    return report.failed(now, &running, error);
                }
            }
            let Some(soonest) = running.iter().map(|(due, _)| *due).min() else {
                if self.in_order {
                    ended.sort_unstable();
                }
                let outcomes = ended.iter().map(|index| if self.items[*index].ends_well { Ok(*index) } else { Err(*index) });
                report.end = Some((now, Ok(outcomes.collect())));
                return report;
            };
            if let Some(at) = self.dropped_at.filter(|at| *at < soonest) {
                report.drops = running.iter().map(|(_, index)| (at, *index)).collect();
                return report;
            }
            now = soonest;
            if let Some(error) = self.end_those_due(now, &mut running, &mut ended) {
                return report.failed(now, &running, error);
            }
        }
    }

    fn end_those_due(&self, now: u64, running: &mut Vec<(u64, usize)>, ended: &mut Vec<usize>) -> Option<usize> {
        while let Some(position) = running.iter().position(|(due, _)| *due == now) {
            let (_, index) = running.remove(position);
            if self.fails_fast && !self.items[index].ends_well {
                return Some(index);
            }
            ended.push(index);
        }
        None
    }

    /// What really happens.
    fn play<P: Platform<Storage = Heap>, S: PinnedStorage>(&self) -> Report {
        let log = Rc::new(Log::default());
        let items = self.items.iter().copied().enumerate();
        let parallel = Parallel::<P, _, _, _>::of_items(items, self.limit, |(index, item)| Operation::start(&log, index, item));
        let parallel = parallel.stored_in::<S>();
        let parallel = if self.in_order { parallel } else { parallel.completion_order() };
        let end = aplomb_sim::block_on(async {
            if self.fails_fast {
                let outcome = self.watch(parallel).await;
                let all = |values: Vec<usize>| values.into_iter().map(Ok).collect();
                outcome.map(|(at, outcome)| (at, outcome.map(all).map_err(|error| error.index().unwrap())))
            } else {
                let outcome = self.watch(parallel.keep_going()).await;
                outcome.map(|(at, outcome)| (at, Ok(outcome.unwrap())))
            }
        });
        assert_eq!(log.running.get(), 0, "something was left behind");
        Report { starts: log.starts.take(), drops: log.drops.take(), peak: log.peak.get(), end }
    }

    /// Polls it, now and then without cause, and drops it when it is time.
    async fn watch<F: IntoFuture>(&self, parallel: F) -> Option<(u64, F::Output)> {
        let mut drop_it = pin!(async {
            match self.dropped_at {
                Some(at) => aplomb_sim::sleep(Duration::from_nanos(at)).await,
                None => pending().await,
            }
        });
        let mut nags: Vec<_> = self.nagged_at.iter().map(|at| Box::pin(aplomb_sim::sleep(Duration::from_nanos(*at)))).collect();
        let mut parallel = Box::pin(parallel.into_future());
        poll_fn(|cx| {
            nags.retain_mut(|nag| nag.as_mut().poll(cx).is_pending());
            if let Poll::Ready(outcome) = parallel.as_mut().poll(cx) {
                assert!(parallel.as_mut().poll(cx).is_pending(), "it went on after its end");
                return Poll::Ready(Some((now(), outcome)));
            }
            drop_it.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

impl Report {
    fn failed(mut self, now: u64, running: &[(u64, usize)], index: usize) -> Self {
        self.drops = running.iter().map(|(_, index)| (now, *index)).collect();
        self.end = Some((now, Err(index)));
        self
    }
}

#[derive(Default)]
struct Log {
    starts: RefCell<Vec<(u64, usize)>>,
    drops: RefCell<BTreeSet<(u64, usize)>>,
    running: Cell<usize>,
    peak: Cell<usize>,
}

/// An operation that keeps a log.
struct Operation {
    log: Rc<Log>,
    index: usize,
    item: Item,
    sleep: Option<Pin<Box<aplomb_sim::SimSleep>>>,
    ended: bool,
}

impl Operation {
    fn start(log: &Rc<Log>, index: usize, item: Item) -> Self {
        log.starts.borrow_mut().push((now(), index));
        log.running.set(log.running.get() + 1);
        log.peak.set(log.peak.get().max(log.running.get()));
        Self { log: Rc::clone(log), index, item, sleep: None, ended: false }
    }
}

impl Future for Operation {
    type Output = Result<usize, usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.ended, "polled after its end");
        if self.item.takes > 0 {
            let takes = Duration::from_nanos(self.item.takes);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(aplomb_sim::sleep(takes)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.ended = true;
        Poll::Ready(if self.item.ends_well { Ok(self.index) } else { Err(self.index) })
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.log.running.set(self.log.running.get() - 1);
        if !self.ended {
            self.log.drops.borrow_mut().insert((now(), self.index));
        }
    }
}

fn now() -> u64 {
    aplomb_sim::now().as_nanos()
}

/// Reproduces a failure with `APLOMB_SEED`.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..count, |seed: u64| seed..seed + 1)
}

#[test]
fn it_does_what_the_model_does() {
    for seed in seeds(1_000) {
        let trial = Trial::any(&mut fastrand::Rng::with_seed(seed));
        let expected = trial.model();
        assert_eq!(trial.play::<Own, Heap>(), expected, "seed {seed}, own wakers on the heap: {trial:?}");
        assert_eq!(trial.play::<Own, Inline<8>>(), expected, "seed {seed}, own wakers in place: {trial:?}");
        assert_eq!(trial.play::<Parent, Heap>(), expected, "seed {seed}, the parent's waker on the heap: {trial:?}");
        assert_eq!(trial.play::<Parent, Inline<13>>(), expected, "seed {seed}, the parent's waker in place: {trial:?}");
    }
}

/// Whoever takes the items of the stream takes its time: no more are started than may be, none is lost, and all come in their order.
#[test]
fn a_stream_holds_no_more_than_its_limit() {
    fn check<P: Platform<Storage = Heap>, S: PinnedStorage>(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let trial = Trial::any(&mut random);
        let log = Rc::new(Log::default());
        let items = stream::iter(trial.items.clone().into_iter().enumerate());
        let out = Parallel::<P, _, _, _>::of_stream(items, trial.limit, |(index, item)| Operation::start(&log, index, item));
        let out = out.stored_in::<S>().keep_going();
        let mut out = Box::pin(if trial.in_order { out } else { out.completion_order() });
        let total = trial.items.len();
        aplomb_sim::block_on(async {
            let mut came = Vec::new();
            loop {
                assert_eq!(out.size_hint(), (total - came.len(), Some(total - came.len())), "seed {seed}");
                let Some(outcome) = out.next().await else { break };
                came.push(outcome.unwrap_or_else(|error| error.index().unwrap()));
                let (started, limit) = (log.starts.borrow().len(), trial.limit);
                // In completion order nothing is kept; but one that comes out was started.
                let most = came.len() + if trial.in_order { limit - 1 } else { limit };
                assert!(started <= most, "seed {seed}: {started} were started, {} came, limit {limit}", came.len());
                assert!(log.running.get() <= limit, "seed {seed}");
                aplomb_sim::sleep(Duration::from_nanos(random.u64(..1_000_000_000))).await;
            }
            if !trial.in_order {
                came.sort_unstable();
            }
            assert_eq!(came, (0..total).collect::<Vec<_>>(), "seed {seed}");
            assert!(out.next().await.is_none());
        });
    }
    for seed in seeds(300) {
        check::<Own, Heap>(seed);
        check::<Own, Inline<8>>(seed);
        check::<Parent, Heap>(seed);
        check::<Parent, Inline<8>>(seed);
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
    fn check<P: Platform<Storage = Heap>>(panics: impl Fn(u32) -> bool, at_start: bool) {
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
    check::<Own>(|item| item == 2, false);
    check::<Parent>(|item| item == 2, false);
    check::<Own>(|item| item == 3, true);
    check::<Parent>(|item| item == 3, true);
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
    let mut run = Box::pin(Parallel::<aplomb_tokio::Tokio, _, _, _>::of_items(0..1_000, 1_000, operation).into_future());
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
    let mut run = Box::pin(Parallel::<Own, _, _, _>::of_items(0.., 4, operation).into_future());
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 1..=3 {
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!(started.get(), 256 * polls);
    }
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
    let of = |limit| Parallel::<Own, _, _, _>::of_items([1, 2, 3], limit, echo).stored_in::<Inline<4>>();
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
        assert_eq!(Parallel::<Own, _, _, _>::of_items([1, 2], usize::MAX, echo).await, Ok(vec![1, 2]), "no limit at all");
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
        let parallel = Parallel::<Own, _, _, _>::of_items([4, 1, 2, 4], 2, operation);
        parallel.on_progress(|progress: &Progress| told.push(*progress)).await
    });
    assert_eq!(outcome, Err(ParallelError::Failed { index: 2, error: 2 }));
    let counts: Vec<_> = told.iter().map(|told| (told.started, told.succeeded, told.failed)).collect();
    assert_eq!(counts, [(1, 0, 0), (2, 0, 0), (2, 1, 0), (3, 1, 0), (3, 1, 1)]);
    assert!(told.iter().all(|told| told.total == Some(4)));
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
