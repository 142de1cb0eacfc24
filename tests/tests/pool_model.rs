//! The pool does what a slow and obvious one does.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::children::PinnedStorage;
use aplomb::{Heap, Inline, Pool, PoolError};
use aplomb_sim::Sim;

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Outcome = Result<u32, PoolError<u32>>;

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

/// What a pool is, slow and obvious.
struct Model {
    concurrency: usize,
    max_queued: usize,
    /// Slots for those who wait.
    slots: usize,
    paused: bool,
    closed: bool,
    running: Vec<u32>,
    /// Have a place, and have not learnt of it.
    called: Vec<u32>,
    /// In order of adding.
    waiting: Vec<(i32, u32)>,
    cancelled: Vec<u32>,
    /// Wait for idleness.
    drained: Vec<u32>,
    /// Have seen it, and have not learnt of it.
    idle: Vec<u32>,
}

impl Model {
    fn taken(&self) -> usize {
        self.called.len() + self.waiting.len() + self.cancelled.len() + self.drained.len() + self.idle.len()
    }

    fn has_place(&self) -> bool {
        !self.paused && self.running.len() + self.called.len() < self.concurrency
    }

    fn settle(&mut self) {
        while self.has_place()
            && let Some(highest) = self.waiting.iter().map(|(priority, _)| *priority).max()
        {
            let at = self.waiting.iter().position(|(priority, _)| *priority == highest).unwrap();
            self.called.push(self.waiting.remove(at).1);
        }
        if self.running.is_empty() && self.called.is_empty() && self.waiting.is_empty() {
            self.idle.append(&mut self.drained);
        }
    }

    fn leave(&mut self, id: u32) {
        for ids in [&mut self.running, &mut self.called, &mut self.cancelled, &mut self.drained, &mut self.idle] {
            ids.retain(|other| *other != id);
        }
        self.waiting.retain(|(_, other)| *other != id);
        self.settle();
    }

    fn is_called(&self, id: u32) -> bool {
        [&self.called, &self.cancelled, &self.idle].into_iter().any(|ids| ids.contains(&id))
    }
}

/// One who was polled once, and is pending.
struct Pending<'p> {
    id: u32,
    future: Pin<Box<dyn Future<Output = Outcome> + 'p>>,
    /// How the job is to end, when it is polled next.
    ends: Rc<Cell<Option<Result<u32, u32>>>>,
    wakes: Arc<Wakes>,
}

/// Does the same things to a pool and to the model, as a seed says.
fn play<S: PinnedStorage>(seed: u64, slots: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (concurrency, max_queued) = (rng.u32(1..4), rng.usize(0..8));
    let pool: Pool<Sim, S> = Pool::new(concurrency).max_queued(max_queued);
    let mut model = Model {
        concurrency: concurrency as usize,
        max_queued,
        slots,
        paused: false,
        closed: false,
        running: Vec::new(),
        called: Vec::new(),
        waiting: Vec::new(),
        cancelled: Vec::new(),
        drained: Vec::new(),
        idle: Vec::new(),
    };
    let mut all: Vec<Pending<'_>> = Vec::new();
    for id in 0..200 {
        let what = format!("seed {seed}, step {id}");
        match rng.u32(0..20) {
            0..=6 => {
                let (waits, priority) = (rng.u32(0..6) > 0, rng.i32(-1..2));
                let (started, ends) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
                let job = {
                    let (started, ends) = (Rc::clone(&started), Rc::clone(&ends));
                    move || {
                        started.set(true);
                        poll_fn(move |_| ends.take().map_or(Poll::Pending, Poll::Ready))
                    }
                };
                let call = if waits { pool.run(job) } else { pool.try_run(job) };
                let mut one = Pending { id, future: Box::pin(call.priority(priority)), ends, wakes: Arc::default() };
                let polled = poll(&mut one.future, &one.wakes);
                let starts = !model.closed && model.waiting.is_empty() && model.has_place();
                assert_eq!(started.get(), starts, "{what}: started");
                if model.closed {
                    assert_eq!(polled, Poll::Ready(Err(PoolError::Closed)), "{what}");
                } else if starts {
                    assert!(polled.is_pending());
                    model.running.push(id);
                    all.push(one);
                } else if !waits || model.waiting.len() >= model.max_queued || model.taken() == model.slots {
                    let waiting = model.waiting.len();
                    assert_eq!(polled, Poll::Ready(Err(PoolError::QueueFull { waiting })), "{what}");
                } else {
                    assert!(polled.is_pending(), "{what}: it overtook");
                    model.waiting.push((priority, id));
                    all.push(one);
                }
            }
            7..=10 if !all.is_empty() => {
                let at = rng.usize(0..all.len());
                let one = &mut all[at];
                let runs = model.running.contains(&one.id);
                if runs && rng.bool() {
                    one.ends.set(Some(if rng.bool() { Ok(one.id) } else { Err(one.id) }));
                }
                let ended = one.ends.get();
                let polled = poll(&mut one.future, &one.wakes);
                if let Some(ended) = ended {
                    assert_eq!(polled, Poll::Ready(ended.map_err(PoolError::Failed)), "{what}");
                } else if model.called.contains(&one.id) {
                    assert!(polled.is_pending(), "{what}: it runs now");
                    one.wakes.0.store(0, Ordering::Relaxed);
                    model.called.retain(|id| *id != one.id);
                    model.running.push(one.id);
                } else if model.cancelled.contains(&one.id) {
                    assert_eq!(polled, Poll::Ready(Err(PoolError::Cancelled)), "{what}");
                } else if model.idle.contains(&one.id) {
                    assert_eq!(polled, Poll::Ready(Ok(0)), "{what}");
                } else {
                    assert!(polled.is_pending(), "{what}");
                }
                if polled.is_ready() {
                    model.leave(all.swap_remove(at).id);
                }
            }
            11..=13 if !all.is_empty() => {
                let one = all.swap_remove(rng.usize(0..all.len()));
                model.leave(one.id);
                drop(one);
            }
            14 => {
                let mut one: Pending<'_> = Pending {
                    id,
                    future: Box::pin(async { pool.drained().await.map(|()| 0).map_err(|_full| PoolError::Closed) }),
                    ends: Rc::default(),
                    wakes: Arc::default(),
                };
                let polled = poll(&mut one.future, &one.wakes);
                if model.running.is_empty() && model.called.is_empty() && model.waiting.is_empty() {
                    assert_eq!(polled, Poll::Ready(Ok(0)), "{what}");
                } else if model.taken() == model.slots {
                    assert_eq!(polled, Poll::Ready(Err(PoolError::Closed)), "{what}: there was room");
                } else {
                    assert!(polled.is_pending(), "{what}");
                    model.drained.push(id);
                    all.push(one);
                }
            }
            15 | 16 => {
                model.paused = !model.paused;
                if model.paused {
                    pool.pause()
                } else {
                    pool.resume()
                }
                model.settle();
            }
            17 => {
                model.concurrency = rng.usize(1..5);
                pool.set_concurrency(u32::try_from(model.concurrency).unwrap()).unwrap();
                model.settle();
            }
            18 => {
                assert_eq!(pool.cancel_waiting(), model.waiting.len(), "{what}");
                model.cancelled.extend(model.waiting.drain(..).map(|(_, id)| id));
                model.settle();
            }
            19 if rng.u32(0..20) == 0 => {
                model.closed = true;
                pool.close();
            }
            _ => {}
        }
        let now = pool.snapshot();
        assert_eq!(now.running as usize, model.running.len() + model.called.len(), "{what}");
        assert_eq!(now.waiting, model.waiting.len(), "{what}");
        assert_eq!((now.paused, now.closed), (model.paused, model.closed), "{what}");
        for one in &all {
            let told = one.wakes.0.load(Ordering::Relaxed) > 0;
            assert_eq!(told, model.is_called(one.id), "{what}: who was called was woken, and no other: {}", one.id);
        }
    }
    drop(all);
    let now = pool.snapshot();
    assert!(now.is_idle(), "seed {seed}: places are neither lost nor made");
}

#[test]
fn it_does_what_the_model_does() {
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..2_000, |seed: u64| seed..seed + 1) {
        play::<Heap>(seed, usize::MAX);
        play::<Inline<4>>(seed, 4);
    }
}
