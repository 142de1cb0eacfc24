//! Beside a model that keeps lists, and looks through them: random scripts, in which only who was woken is polled.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::batcher::{Cause, Event};
use aplomb::storage::Slots;
use aplomb::time::ms;
use aplomb::{BatchError, Batcher, Heap, Inline, Storage};
use aplomb_sim::{Manual, ManualClock};

type Outcome = Result<u32, BatchError<&'static str>>;
/// A start: who leads, with which items, and why then.
type Start = (u32, Vec<u32>, Cause);

/// What one step brought.
#[derive(Debug, Default, PartialEq)]
struct Brought {
    starts: Vec<Start>,
    ends: BTreeMap<u32, Outcome>,
}

#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "they are the names of settings")]
struct Settings {
    max_items: u32,
    max_weight: Option<u64>,
    max_wait: Option<u64>,
    max_concurrent: Option<u32>,
    max_waiting: Option<u32>,
}

fn settings(random: &mut fastrand::Rng, capacity: usize) -> Settings {
    let room = u32::try_from(capacity).unwrap_or(u32::MAX);
    let max_items = random.u32(1..=5).min(room);
    Settings {
        max_items,
        max_weight: random.bool().then(|| random.u64(1..12)),
        max_wait: [None, Some(0), Some(random.u64(1..40)), Some(random.u64(1..40))][random.usize(0..4)],
        max_concurrent: random.bool().then(|| random.u32(1..4)),
        max_waiting: random.bool().then(|| (max_items + random.u32(0..4)).min(room)),
    }
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    id: u32,
    since: u64,
    flushed: bool,
    again: bool,
}

struct Running {
    leader: u32,
    items: Vec<u32>,
    /// Those of them whose callers are there, without the leader.
    followers: Vec<u32>,
}

struct Model {
    settings: Settings,
    capacity: usize,
    now: u64,
    line: Vec<Waiting>,
    running: Vec<Running>,
    weights: BTreeMap<u32, u64>,
    once: BTreeSet<u32>,
    brought: Brought,
}

impl Model {
    fn weight(&self, ids: impl IntoIterator<Item = u32>) -> u64 {
        ids.into_iter().map(|id| self.weights[&id]).sum()
    }

    fn max_weight(&self) -> u64 {
        self.settings.max_weight.unwrap_or(u64::MAX)
    }

    /// How many go into the next batch.
    fn prefix(&self) -> usize {
        let fits = |n: &usize| *n <= self.settings.max_items as usize && self.weight(self.ids(*n)) <= self.max_weight();
        (2..=self.line.len()).take_while(fits).last().unwrap_or(1)
    }

    fn ids(&self, first: usize) -> Vec<u32> {
        self.line[..first].iter().map(|waiting| waiting.id).collect()
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.capacity.min(self.settings.max_concurrent.unwrap_or(u32::MAX) as usize)
    }

    fn cause(&self) -> Option<Cause> {
        let first = self.line.first()?;
        let waited = self.now - first.since;
        if first.again {
            Some(Cause::Handover)
        } else if first.flushed {
            Some(Cause::Flush)
        } else if self.line.len() >= self.settings.max_items as usize {
            Some(Cause::Count)
        } else if self.weight(self.ids(self.line.len())) >= self.max_weight() {
            Some(Cause::Weight)
        } else {
            self.settings.max_wait.filter(|wait| waited >= *wait).map(|_| Cause::Time)
        }
    }

    fn start(&mut self, leader: u32, cause: Cause) {
        let first = self.prefix();
        let items = self.ids(first);
        self.line.drain(..first);
        let followers = items.iter().copied().filter(|id| *id != leader).collect();
        self.brought.starts.push((leader, items.clone(), cause));
        self.running.push(Running { leader, items, followers });
    }

    fn settle(&mut self) {
        while let Some(cause) = self.cause().filter(|_| self.has_room()) {
            self.start(self.line[0].id, cause);
        }
    }

    fn call(&mut self, id: u32, weight: u64, once: bool) {
        self.weights.insert(id, weight);
        if once {
            self.once.insert(id);
        }
        let waiting = self.line.len();
        let seats = waiting + self.running.iter().map(|batch| batch.followers.len()).sum::<usize>();
        let may_not = waiting >= self.settings.max_waiting.unwrap_or(u32::MAX) as usize;
        if may_not || seats >= self.capacity {
            let waiting = u32::try_from(if may_not { waiting } else { seats }).unwrap();
            self.brought.ends.insert(id, Err(BatchError::QueueFull { waiting }));
            return;
        }
        self.line.push(Waiting { id, since: self.now, flushed: false, again: false });
        let by_size = self.cause().filter(|cause| !matches!(cause, Cause::Time | Cause::Handover));
        if let Some(cause) = by_size.filter(|_| self.has_room() && self.prefix() == self.line.len()) {
            self.start(id, cause);
        }
    }

    fn leave(&mut self, id: u32) {
        self.line.retain(|waiting| waiting.id != id);
        for batch in &mut self.running {
            batch.followers.retain(|follower| *follower != id);
        }
        let Some(at) = self.running.iter().position(|batch| batch.leader == id) else { return };
        let batch = self.running.remove(at);
        let (once, again): (Vec<u32>, Vec<u32>) = batch.followers.iter().partition(|id| self.once.contains(id));
        self.brought.ends.extend(once.iter().map(|id| (*id, Err(BatchError::Abandoned))));
        let waiting = |id| Waiting { id, since: self.now, flushed: false, again: true };
        self.line.splice(..0, again.into_iter().map(waiting));
    }

    fn end(&mut self, leader: u32, outcome: &Result<Vec<Result<u32, &'static str>>, &'static str>) {
        let at = self.running.iter().position(|batch| batch.leader == leader).unwrap();
        let Running { items, followers, .. } = self.running.remove(at);
        for (index, id) in items.iter().enumerate().filter(|(_, id)| **id == leader || followers.contains(id)) {
            let end = match outcome {
                Err(error) => Err(BatchError::Failed(*error)),
                Ok(results) if results.len() != items.len() => {
                    Err(BatchError::WrongLength { items: u32::try_from(items.len()).unwrap(), results: results.len() })
                }
                Ok(results) => results[index].map_err(BatchError::Failed),
            };
            self.brought.ends.insert(*id, end);
        }
    }
}

/// Who was woken, in order.
type Woken = Arc<Mutex<VecDeque<u32>>>;

struct Task(u32, Woken);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut woken = self.1.lock().unwrap();
        if !woken.contains(&self.0) {
            woken.push_back(self.0);
        }
    }
}

type Results = Result<Vec<Result<u32, &'static str>>, &'static str>;

/// What the operations of this world do: they end when they are told to.
#[derive(Default)]
struct Operations {
    starts: RefCell<Vec<(u32, Vec<u32>)>>,
    ends: RefCell<BTreeMap<u32, Results>>,
    wakers: RefCell<BTreeMap<u32, Waker>>,
}

impl Operations {
    fn start(self: Rc<Self>, by: u32, items: &[u32]) -> impl Future<Output = Results> + use<> {
        self.starts.borrow_mut().push((by, items.to_vec()));
        poll_fn(move |cx| {
            let ended = self.ends.borrow_mut().remove(&by);
            ended.map_or_else(
                || {
                    self.wakers.borrow_mut().insert(by, cx.waker().clone());
                    Poll::Pending
                },
                Poll::Ready,
            )
        })
    }

    fn end(&self, by: u32, results: Results) {
        self.ends.borrow_mut().insert(by, results);
        self.wakers.borrow_mut().remove(&by).unwrap().wake();
    }
}

thread_local! {
    static CAUSES: RefCell<Vec<Cause>> = const { RefCell::new(Vec::new()) };
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "observers are told so")]
fn note(event: &Event) {
    if let Event::Started { cause, .. } = event {
        CAUSES.with_borrow_mut(|causes| causes.push(*cause));
    }
}

/// An item is its caller's number, and its weight lies in the upper half.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what weighs items is lent them")]
fn weigh(item: &u32) -> u32 {
    *item >> 16
}

fn play<S: Storage>(seed: u64, capacity: usize) {
    let random = &mut fastrand::Rng::with_seed(seed);
    let settings = settings(random, capacity);
    let clock = ManualClock::<256>::new();
    let batcher: Batcher<Manual<'_, 256>, u32, u32, &str, S> = Batcher::with_clock(&clock, settings.max_items);
    let batcher = batcher.observed_by(note as fn(&Event)).weigh_by(weigh);
    let batcher = settings.max_weight.into_iter().fold(batcher, Batcher::max_weight);
    let batcher = batcher.max_wait(settings.max_wait.map_or(std::time::Duration::MAX, ms));
    let batcher = settings.max_concurrent.into_iter().fold(batcher, Batcher::max_concurrent);
    let batcher = settings.max_waiting.into_iter().fold(batcher, Batcher::max_waiting).check().unwrap();
    let mut model = Model {
        settings,
        capacity,
        now: 0,
        line: vec![],
        running: vec![],
        weights: BTreeMap::new(),
        once: BTreeSet::new(),
        brought: Brought::default(),
    };
    let (operations, woken) = (Rc::new(Operations::default()), Woken::default());
    let mut calls: BTreeMap<u32, Pin<Box<dyn Future<Output = Outcome> + '_>>> = BTreeMap::new();
    CAUSES.take();
    for step in 0..120_u32 {
        let mut ends = BTreeMap::new();
        match random.u8(0..12) {
            0..5 => {
                let (id, weight, once) = (step, if random.u8(0..8) == 0 { 20 } else { random.u32(0..5) }, random.u8(0..4) == 0);
                let operations = Rc::clone(&operations);
                let operation = move |items: S::Slots<u32>| {
                    let items: Vec<u32> = items.as_slice().iter().map(|item| *item & 0xffff).collect();
                    operations.start(id, &items)
                };
                let item = weight << 16 | id;
                let call: Pin<Box<dyn Future<Output = Outcome> + '_>> =
                    if once { Box::pin(batcher.call_once(item, operation)) } else { Box::pin(batcher.call(item, operation)) };
                calls.insert(id, call);
                woken.lock().unwrap().push_back(id);
                model.call(id, weight.into(), once);
            }
            5 | 6 if !calls.is_empty() => {
                let id = *calls.keys().nth(random.usize(0..calls.len())).unwrap();
                drop(calls.remove(&id));
                operations.wakers.borrow_mut().remove(&id);
                model.leave(id);
            }
            7 | 8 if !model.running.is_empty() => {
                let batch = &model.running[random.usize(0..model.running.len())];
                let (leader, items) = (batch.leader, batch.items.clone());
                let row = |id: &u32| if id.is_multiple_of(5) { Err("of its own") } else { Ok(1_000 + id) };
                let results = match random.u8(0..6) {
                    0 => Err("down"),
                    1 => Ok(items.iter().skip(1).map(row).collect()),
                    _ => Ok(items.iter().map(row).collect()),
                };
                operations.end(leader, results.clone());
                model.end(leader, &results);
            }
            9 => {
                let any = batcher.flush();
                assert_eq!(any, !model.line.is_empty());
                model.line.iter_mut().for_each(|waiting| waiting.flushed = true);
            }
            _ => {
                let time = random.u64(0..30);
                clock.advance(ms(time));
                model.now += time;
            }
        }
        while let Some(id) = { woken.lock().unwrap().pop_front() } {
            let Some(call) = calls.get_mut(&id) else { continue };
            let waker = Waker::from(Arc::new(Task(id, Arc::clone(&woken))));
            if let Poll::Ready(outcome) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
                ends.insert(id, outcome);
                calls.remove(&id);
            }
        }
        model.settle();
        let starts = operations.starts.take().into_iter().zip(CAUSES.take());
        let starts = starts.map(|((by, items), cause)| (by, items, cause)).collect();
        assert_eq!(Brought { starts, ends }, std::mem::take(&mut model.brought), "seed {seed}, step {step}: {settings:?}");
        let now = batcher.snapshot();
        assert_eq!((now.waiting as usize, now.running), (model.line.len(), model.running.len()), "seed {seed}, step {step}");
    }
}

fn seeds() -> impl Iterator<Item = u64> {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..500, |seed: u64| seed..seed + 1)
}

#[test]
fn on_the_heap_it_does_what_lists_do() {
    seeds().for_each(|seed| play::<Heap>(seed, usize::MAX));
}

#[test]
fn in_place_it_does_what_lists_do() {
    seeds().for_each(|seed| play::<Inline<6>>(seed, 6));
}
