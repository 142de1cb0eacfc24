//! A world, for those who drive it themselves.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use aplomb::Instant;

use super::failure::{Failure, FailureKind, TaskReport};
use super::inner::{self, Inner, Limits, Order};
use super::spawn::JoinHandle;
use super::tape::{Source, Tape};
use super::task::Body;
use super::trace::{Kind, Trace, TracedTask};

/// A world with a clock, a tape and tasks, driven step by step from outside.
///
/// [`block_on`] and [`Explore`](crate::Explore) are made of it; use it where a test must say when time passes and
/// look at what happened in between. From inside, tasks see it as [`Sim`](crate::Sim).
///
/// Time and tasks are apart: [`settle`](World::settle) runs whatever can run and moves no clock,
/// [`set_clock`](World::set_clock) moves the clock and runs nothing, [`advance_to`](World::advance_to) does both,
/// timer by timer.
///
/// Dropping it drops its tasks.
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use aplomb_sim::{World, sleep};
/// use core::time::Duration;
///
/// let world = World::new();
/// let nap = world.spawn("nap", sleep(Duration::from_millis(3)));
/// world.settle()?;
/// assert_eq!(world.next_timer(), Some(Instant::from_nanos(3_000_000)));
///
/// world.advance_to(Instant::from_nanos(2_999_999))?;
/// assert!(!nap.is_finished());
/// world.advance_to(Instant::from_nanos(3_000_000))?;
/// assert!(nap.is_finished());
/// # Ok::<(), aplomb_sim::Failure>(())
/// ```
pub struct World {
    inner: Rc<Inner>,
}

impl World {
    /// A world at the origin of its clock: tasks run in the order in which they were woken, and every choice is the
    /// plainest.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Source::Plain, Order::Fifo, Limits::default())
    }

    /// A world whose choices are read from `tape`.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Order, Sim, Tape, World};
    ///
    /// let world = World::with_tape(Tape::new([3]), Order::Fifo);
    /// assert_eq!(world.enter(|| Sim.choose(5)), 3);
    /// ```
    #[must_use]
    pub fn with_tape(tape: Tape, order: Order) -> Self {
        Self::with(Source::replay(tape), order, Limits::default())
    }

    /// A world whose choices are made up by `seed`; [`tape`](World::tape) tells them.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Order, Sim, World};
    ///
    /// let drawn = |seed| World::with_seed(seed, Order::Fifo).enter(|| Sim.choose(1_000_000));
    /// assert_eq!(drawn(7), drawn(7));
    /// ```
    #[must_use]
    pub fn with_seed(seed: u64, order: Order) -> Self {
        Self::with(Source::seed(seed), order, Limits::default())
    }

    pub(crate) fn with(source: Source, order: Order, limits: Limits) -> Self {
        Self { inner: Rc::new(Inner::new(source, order, limits)) }
    }

    /// Calls `act` inside the world, outside all tasks: the clock, `Sim` and the simulated locks are those of this
    /// world meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::Instant;
    /// use aplomb_sim::{World, now};
    ///
    /// let world = World::new();
    /// world.set_clock(Instant::from_nanos(9));
    /// assert_eq!(world.enter(now), Instant::from_nanos(9));
    /// ```
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let _entered = inner::enter(Rc::clone(&self.inner));
        act()
    }

    /// Adds a task. It is not polled before the world is driven. The handle can [`abort`](JoinHandle::abort) it.
    #[track_caller]
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn(name.into(), future)
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.now()
    }

    /// When the next timer is due; it lies in the past if the clock was set beyond it.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.inner.shared().next()
    }

    /// Runs all that can run, without moving the clock: timers that are due fire, tasks are polled until none is
    /// ready.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong in it; that tasks are left waiting is no error.
    ///
    /// # Panics
    ///
    /// If it is called from inside the world, as all methods that drive it.
    pub fn settle(&self) -> Result<(), Failure> {
        let _driving = self.inner.begin_driving();
        self.inner.settle().map_err(|kind| self.failure(kind))
    }

    /// Goes to `at`, timer by timer: the clock stops at each instant at which one is due, and all is settled there.
    ///
    /// If `at` has passed, it only settles.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong on the way.
    ///
    /// # Panics
    ///
    /// If it is called from inside the world.
    pub fn advance_to(&self, at: Instant) -> Result<(), Failure> {
        let _driving = self.inner.begin_driving();
        self.advance(at).map_err(|kind| self.failure(kind))
    }

    fn advance(&self, at: Instant) -> Result<(), FailureKind> {
        let world = &self.inner;
        world.settle()?;
        while world.shared().next().is_some_and(|next| next <= at) {
            world.advance_to_next()?;
            world.settle()?;
        }
        if world.now() < at {
            world.set_now(at, Kind::Advanced);
        }
        Ok(())
    }

    /// Settles, goes to the next timer, and settles there; gives its instant, or `None` if there is no timer.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong on the way.
    ///
    /// # Panics
    ///
    /// If it is called from inside the world.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{World, sleep};
    /// use core::time::Duration;
    ///
    /// let world = World::new();
    /// world.spawn("nap", sleep(Duration::from_nanos(7)));
    /// assert_eq!(world.advance_to_next()?.map(|at| at.as_nanos()), Some(7));
    /// assert_eq!(world.advance_to_next()?, None);
    /// # Ok::<(), aplomb_sim::Failure>(())
    /// ```
    pub fn advance_to_next(&self) -> Result<Option<Instant>, Failure> {
        let _driving = self.inner.begin_driving();
        let advance = || {
            self.inner.settle()?;
            if !self.inner.advance_to_next()? {
                return Ok(None);
            }
            let now = self.inner.now();
            self.inner.settle()?;
            Ok(Some(now))
        };
        advance().map_err(|kind| self.failure(kind))
    }

    /// Sets the clock, forward or backward, and polls nothing: what is due then fires when the world is driven next.
    ///
    /// This is a suspended machine that wakes up, or a clock that was set back.
    pub fn set_clock(&self, at: Instant) {
        self.inner.set_now(at, Kind::Jumped);
    }

    /// Runs until all tasks have ended, but for those in the [background](JoinHandle::background); the clock goes to
    /// the next timer whenever nothing can run.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong, a deadlock included.
    ///
    /// # Panics
    ///
    /// If it is called from inside the world.
    pub fn run(&self) -> Result<(), Failure> {
        let _driving = self.inner.begin_driving();
        self.inner.run(None).map_err(|kind| self.failure(kind))
    }

    /// Runs `future` as a task of the name `main`, until it has ended. Other tasks stay as they are then.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong, a deadlock included.
    ///
    /// # Panics
    ///
    /// If it is called from inside the world.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = aplomb_sim::World::new();
    /// let text = String::from("borrowed");
    /// assert_eq!(world.block_on(async { text.len() })?, 8);
    /// # Ok::<(), aplomb_sim::Failure>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Failure> {
        self.block_on_from(Location::caller(), future)
    }

    pub(crate) fn block_on_from<F: Future>(&self, location: &'static Location<'static>, future: F) -> Result<F::Output, Failure> {
        let _driving = self.inner.begin_driving();
        let number = self.inner.add_task(Cow::Borrowed("main"), location, Body::Root);
        let mut output = None;
        let mut future = pin!(future);
        let ran = self.inner.run(Some((number, &mut |cx| {
            let Poll::Ready(value) = future.as_mut().poll(cx) else { return Poll::Pending };
            output = Some(value);
            Poll::Ready(())
        })));
        // The report comes first: it tells what the task was waiting for.
        let failure = ran.map_err(|kind| self.failure(kind));
        self.inner.abort(number);
        failure?;
        let Some(output) = output else { unreachable!("the world ran until its root had ended") };
        Ok(output)
    }

    /// What has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        let state = self.inner.state.borrow();
        let traced = |task: &super::task::Task| TracedTask { name: task.name.clone(), spawned_at: task.spawned_at };
        state.trace.read(state.tasks.iter().map(traced).collect())
    }

    /// The choices made so far. A world without a tape or seed makes none.
    #[must_use]
    pub fn tape(&self) -> Tape {
        self.inner.state.borrow().draws.tape()
    }

    /// The tasks that have not ended.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskReport> {
        let state = self.inner.state.borrow();
        let running = state.tasks.iter().zip(0..).filter(|(task, _)| !task.is_gone());
        running
            .map(|(task, number)| TaskReport {
                name: task.name.clone(),
                number,
                spawned_at: task.spawned_at,
                polls: task.polls,
                ready: task.is_queued(),
                background: task.background,
                waits_for: task.labels.iter().map(|(_, what)| what.clone()).collect(),
                timer: self.inner.shared().of_task(number),
                wakers: task.wakers_elsewhere(),
            })
            .collect()
    }

    /// How often tasks have been polled.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.inner.state.borrow().polls
    }

    pub(crate) fn hash(&self) -> u64 {
        self.inner.state.borrow().trace.hash()
    }

    pub(crate) fn failure(&self, kind: FailureKind) -> Failure {
        Failure::new(kind, self.tasks(), self.trace(), self.tape())
    }

    pub(crate) fn inner(&self) -> &Rc<Inner> {
        &self.inner
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.inner.clear();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.borrow();
        f.debug_struct("World")
            .field("number", &self.inner.number())
            .field("now", &self.now())
            .field("tasks", &state.live)
            .finish_non_exhaustive()
    }
}

/// Runs `future` in a world of its own, in virtual time, and gives its output.
///
/// Tasks run in the order in which they were woken, and every choice is the plainest: examples and ordinary tests are
/// written with it. Tasks that `future` spawned and that have not ended with it are dropped.
///
/// # Panics
///
/// If the world fails. A panic in a task goes on here. For a deadlock, a loop without progress, or a world that has not come
/// to its end after ten million polls, the text names the tasks and what they wait for.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{block_on, now, sleep};
/// use core::time::Duration;
///
/// let hours = block_on(async {
///     sleep(Duration::from_secs(2 * 3600)).await;
///     now().as_nanos() / 3_600_000_000_000
/// });
/// assert_eq!(hours, 2);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let world = World::with(Source::Plain, Order::Fifo, Limits { polls: 10_000_000, ..Limits::default() });
    match world.block_on(future) {
        Ok(output) => output,
        Err(failure) => {
            let panic = world.inner().panic.take();
            match panic {
                Some(payload) => std::panic::resume_unwind(payload),
                None => panic!("{failure}"),
            }
        }
    }
}
