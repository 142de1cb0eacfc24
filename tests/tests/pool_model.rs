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
#[derive(Default)]
struct Model {
    concurrency: usize,
    max_queued: usize,
    /// Slots for those who wait.
    slots: usize,
    paused: bool,
    closed: bool,
    running: Vec<u32>,
    /// Have a place, and have not learnt of it; in the order of their calling.
    called: Vec<(i32, u32)>,
    /// In order of adding.
    waiting: Vec<(i32, u32)>,
    /// Had a place that was taken back, and have not been polled since.
    recalled: Vec<u32>,
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

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.called.is_empty() && self.waiting.is_empty()
    }

    fn settle(&mut self) {
        while self.has_place()
            && let Some(highest) = self.waiting.iter().map(|(priority, _)| *priority).max()
        {
            let at = self.waiting.iter().position(|(priority, _)| *priority == highest).unwrap();
            self.called.push(self.waiting.remove(at));
        }
        if self.is_idle() {
            self.idle.append(&mut self.drained);
        }
    }

    /// Who has not started by now waits again, in front.
    fn recall(&mut self) {
        self.recalled.extend(self.called.iter().map(|(_, id)| *id));
        self.waiting.splice(0..0, self.called.drain(..));
    }

    fn leave(&mut self, id: u32) {
        for ids in [&mut self.running, &mut self.cancelled, &mut self.drained, &mut self.idle, &mut self.recalled] {
            ids.retain(|other| *other != id);
        }
        self.called.retain(|(_, other)| *other != id);
        self.waiting.retain(|(_, other)| *other != id);
        self.settle();
    }

    fn has_place_waiting(&self, id: u32) -> bool {
        self.called.iter().any(|(_, other)| *other == id)
    }

    /// Whether it has been woken since it was polled last.
    fn is_told(&self, id: u32) -> bool {
        self.has_place_waiting(id) || [&self.cancelled, &self.idle, &self.recalled].into_iter().any(|ids| ids.contains(&id))
    }
}

/// One who was polled once, and is pending.
struct Pending<'p> {
    id: u32,
    future: Pin<Box<dyn Future<Output = Outcome> + 'p>>,
    started: Rc<Cell<bool>>,
    /// How the job is to end, when it is polled next.
    ends: Rc<Cell<Option<Result<u32, u32>>>>,
    wakes: Arc<Wakes>,
}

/// The same things are done to a pool and to the model, as a seed says.
struct Play<'p, S: PinnedStorage> {
    pool: &'p Pool<Sim, S>,
    model: Model,
    all: Vec<Pending<'p>>,
    rng: fastrand::Rng,
    /// Where we are, for who reads of a failure.
    what: String,
}

impl<S: PinnedStorage> Play<'_, S> {
    fn step(&mut self, id: u32) {
        match self.rng.u32(0..20) {
            0..=6 => self.add(id),
            7..=10 if !self.all.is_empty() => self.poll(),
            11..=13 if !self.all.is_empty() => {
                let one = self.all.swap_remove(self.rng.usize(0..self.all.len()));
                self.model.leave(one.id);
            }
            14 => self.wait_for_idleness(id),
            15 | 16 => {
                self.model.paused = !self.model.paused;
                if self.model.paused {
                    self.pool.pause();
                    self.model.recall();
                } else {
                    self.pool.resume();
                }
                self.model.settle();
            }
            17 => {
                self.model.concurrency = self.rng.usize(1..5);
                if self.model.running.len() + self.model.called.len() > self.model.concurrency {
                    self.model.recall();
                }
                self.pool.set_concurrency(u32::try_from(self.model.concurrency).unwrap()).unwrap();
                self.model.settle();
            }
            18 => {
                self.model.recall();
                assert_eq!(self.pool.cancel_waiting() as usize, self.model.waiting.len(), "{}", self.what);
                self.model.cancelled.extend(self.model.waiting.drain(..).map(|(_, id)| id));
                self.model.settle();
            }
            19 if self.rng.u32(0..20) == 0 => {
                self.model.closed = true;
                self.pool.close();
            }
            _ => {}
        }
    }

    fn add(&mut self, id: u32) {
        let (waits, priority) = (self.rng.u32(0..6) > 0, self.rng.i32(-1..2));
        let (started, ends) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let job = {
            let (started, ends) = (Rc::clone(&started), Rc::clone(&ends));
            move || {
                started.set(true);
                poll_fn(move |_| ends.take().map_or(Poll::Pending, Poll::Ready))
            }
        };
        let call = if waits { self.pool.run(job) } else { self.pool.try_run(job) };
        let mut one = Pending { id, future: Box::pin(call.priority(priority)), started, ends, wakes: Arc::default() };
        let polled = poll(&mut one.future, &one.wakes);
        let (model, what) = (&mut self.model, &self.what);
        let starts = !model.closed && model.waiting.is_empty() && model.has_place();
        assert_eq!(one.started.get(), starts, "{what}: started");
        if model.closed {
            assert_eq!(polled, Poll::Ready(Err(PoolError::Closed)), "{what}");
        } else if starts {
            assert!(polled.is_pending());
            model.running.push(id);
            self.all.push(one);
        } else if !waits {
            assert_eq!(polled, Poll::Ready(Err(PoolError::Busy)), "{what}");
        } else if model.waiting.len() >= model.max_queued || model.taken() == model.slots {
            let waiting = if model.waiting.len() >= model.max_queued { model.waiting.len() } else { model.slots };
            let waiting = u32::try_from(waiting).unwrap();
            assert_eq!(polled, Poll::Ready(Err(PoolError::QueueFull { waiting })), "{what}");
        } else {
            assert!(polled.is_pending(), "{what}: it overtook");
            model.waiting.push((priority, id));
            self.all.push(one);
        }
    }

    fn poll(&mut self) {
        let at = self.rng.usize(0..self.all.len());
        let (one, model, what) = (&mut self.all[at], &mut self.model, &self.what);
        if model.running.contains(&one.id) && self.rng.bool() {
            one.ends.set(Some(if self.rng.bool() { Ok(one.id) } else { Err(one.id) }));
        }
        let ended = one.ends.get();
        let polled = poll(&mut one.future, &one.wakes);
        if let Some(ended) = ended {
            assert_eq!(polled, Poll::Ready(ended.map_err(PoolError::Failed)), "{what}");
        } else if model.has_place_waiting(one.id) {
            assert!(polled.is_pending() && one.started.get(), "{what}: it runs now");
            model.called.retain(|(_, id)| *id != one.id);
            model.running.push(one.id);
        } else if model.cancelled.contains(&one.id) {
            assert_eq!(polled, Poll::Ready(Err(PoolError::Cancelled)), "{what}");
        } else if model.idle.contains(&one.id) {
            assert_eq!(polled, Poll::Ready(Ok(0)), "{what}");
        } else {
            assert!(polled.is_pending(), "{what}");
            assert_eq!(one.started.get(), model.running.contains(&one.id), "{what}: started");
        }
        one.wakes.0.store(0, Ordering::Relaxed);
        model.recalled.retain(|id| *id != one.id);
        if polled.is_ready() {
            let gone = self.all.swap_remove(at).id;
            self.model.leave(gone);
        }
    }

    fn wait_for_idleness(&mut self, id: u32) {
        let (pool, model, what) = (self.pool, &mut self.model, &self.what);
        let drained = async { pool.drained().await.map(|()| 0).map_err(|_full| PoolError::Closed) };
        let mut one =
            Pending { id, future: Box::pin(drained), started: Rc::default(), ends: Rc::default(), wakes: Arc::default() };
        let polled = poll(&mut one.future, &one.wakes);
        if model.is_idle() {
            assert_eq!(polled, Poll::Ready(Ok(0)), "{what}");
        } else if model.taken() == model.slots {
            assert_eq!(polled, Poll::Ready(Err(PoolError::Closed)), "{what}: there was room");
        } else {
            assert!(polled.is_pending(), "{what}");
            model.drained.push(id);
            self.all.push(one);
        }
    }

    fn compare(&self) {
        let (model, what, now) = (&self.model, &self.what, self.pool.snapshot());
        assert_eq!(now.running as usize, model.running.len() + model.called.len(), "{what}");
        assert_eq!(now.waiting as usize, model.waiting.len(), "{what}");
        assert_eq!((now.paused, now.closed), (model.paused, model.closed), "{what}");
        for one in &self.all {
            let told = one.wakes.0.load(Ordering::Relaxed) > 0;
            assert_eq!(told, model.is_told(one.id), "{what}: who was called was woken, and no other: {}", one.id);
        }
    }
}

fn play<S: PinnedStorage>(seed: u64, slots: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    // No more than there is room for, which is refused.
    let most = u32::try_from(slots.min(7)).unwrap();
    let (concurrency, max_queued) = (rng.u32(1..4), rng.u32(0..=most));
    let pool: Pool<Sim, S> = Pool::new(concurrency).storage().max_queued(max_queued);
    let model = Model { concurrency: concurrency as usize, max_queued: max_queued as usize, slots, ..Model::default() };
    let mut play = Play { pool: &pool, model, all: Vec::new(), rng, what: String::new() };
    for id in 0..200 {
        play.what = format!("seed {seed}, step {id}");
        play.step(id);
        play.compare();
    }
    drop(play);
    assert!(pool.snapshot().is_idle(), "seed {seed}: places are neither lost nor made");
}

#[test]
fn it_does_what_the_model_does() {
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..2_000, |seed: u64| seed..seed + 1) {
        play::<Heap>(seed, usize::MAX);
        play::<Inline<4>>(seed, 4);
    }
}
