//! Parallel with a limit, beside a model that is slow and obvious.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Future, IntoFuture, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::children::PinnedStorage;
use aplomb::edge::Stream;
use aplomb::parallel::Parallel;
use aplomb::{Heap, Inline, OwnWakers, ParentWaker, Platform};
use aplomb_sim::{SimClock, SimRawMutex};
use futures_lite::{StreamExt, stream};

/// Simulated time, and one way of waking children.
macro_rules! platform {
    ($name:ident, $children:ty) => {
        struct $name;

        impl Platform for $name {
            type Clock = SimClock;
            type RawMutex = SimRawMutex;
            type Word = aplomb::sync::NoWord;
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
    /// When, and with what. None if it was dropped.
    end: Option<(u64, End)>,
}

/// The outcomes, or the one that ended it.
type End = Result<Vec<Result<usize, usize>>, usize>;

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
