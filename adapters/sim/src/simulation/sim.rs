//! The platform, which is at the same time the way for tasks to talk to their world.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use aplomb::{Heap, Instant, OwnWakers, Platform};

use super::clock::SimClock;
use super::inner::{self, Inner, Invariant};
use super::lock::SimRawMutex;
use super::spawn::JoinHandle;
use super::task::{Body, Doom};
use super::trace::Kind;
use super::waits::{Settle, UntilIdle, YieldNow};
use super::word::SimWord;

/// The simulated platform, and the world that runs on this thread.
///
/// As a type it is what the patterns are filled in with: `RateLimiter<Sim>`. As a value it is what a task says to its
/// world: spawn this, draw that, note it down. It has no size and can be copied; all worlds look the same from
/// inside, and a thread runs one at a time.
///
/// Tasks must be `'static`, though not `Send`: what they share is put into an [`Rc`].
///
/// # Panics
///
/// Its methods panic outside a world.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Explore, Sim, sleep};
/// use core::time::Duration;
/// use std::{cell::Cell, rc::Rc};
///
/// Explore::new().seeds(0..100).run(|sim: Sim| async move {
///     let sum = Rc::new(Cell::new(0));
///     for (name, n) in [("one", 1), ("two", 2)] {
///         let sum = Rc::clone(&sum);
///         sim.spawn(name, async move {
///             sleep(sim.latency(Duration::ZERO..=Duration::from_millis(8))).await;
///             sum.set(sum.get() + n);
///         });
///     }
///     sim.run_until_idle().await;
///     assert_eq!(sum.get(), 3);
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sim;

impl Platform for Sim {
    type Clock = SimClock;
    type RawMutex = SimRawMutex;
    type Word = SimWord;
    type Storage = Heap;
    type Children = OwnWakers<SimRawMutex>;

    /// Any number, from the tape: zero where the tape is plain, and outside a world.
    fn random() -> u64 {
        inner::current().map_or(0, |world| world.draw(super::tape::Draws::any))
    }
}

impl Sim {
    /// Adds a task, which is polled after all that are ready now.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Sim, block_on};
    ///
    /// assert_eq!(block_on(async { Sim.spawn("adder", async { 1 + 1 }).await }), Ok(2));
    /// ```
    #[track_caller]
    pub fn spawn<F>(self, name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        inner::expect_current().spawn(name.into(), future)
    }

    /// The present instant.
    #[must_use]
    pub fn now(self) -> Instant {
        inner::now()
    }

    /// Writes a line into the trace.
    ///
    /// # Examples
    ///
    /// ```
    /// aplomb_sim::block_on(async { aplomb_sim::Sim.note("here we are") });
    /// ```
    #[track_caller]
    pub fn note(self, note: impl Into<Cow<'static, str>>) {
        let world = inner::expect_current();
        let (now, task) = (world.now(), world.polling());
        world.state.borrow_mut().trace.note(now, task, note.into());
    }

    /// Draws a number below `n`; zero is the plainest, and all that is left when `n` is 0 or 1.
    ///
    /// Put the harmless case first: shrinking makes zeroes of whatever the failure does not need.
    ///
    /// # Examples
    ///
    /// ```
    /// aplomb_sim::Explore::new().seeds(0..10).run(|sim| async move {
    ///     let answer = ["ok", "busy", "gone"][usize::try_from(sim.choose(3)).unwrap()];
    ///     sim.note(answer);
    /// });
    /// ```
    #[must_use = "what is drawn and not used makes the tape longer for nothing"]
    #[track_caller]
    pub fn choose(self, n: u64) -> u64 {
        inner::expect_current().draw(|draws| draws.choose(n))
    }

    /// Draws a fault: `true` in `hits` of `of` cases, and never on a plain tape.
    ///
    /// # Examples
    ///
    /// ```
    /// aplomb_sim::block_on(async { assert!(!aplomb_sim::Sim.chance(1, 2)) });
    /// ```
    #[must_use = "what is drawn and not used makes the tape longer for nothing"]
    #[track_caller]
    pub fn chance(self, hits: u64, of: u64) -> bool {
        self.choose(of) >= of.saturating_sub(hits).max(1)
    }

    /// Draws a latency from the shortest to the longest, both included, in sixteen equal steps: the shortest on a
    /// plain tape.
    ///
    /// The steps are coarse on purpose, for the bugs are where two things happen at the same instant. Use
    /// [`choose`](Sim::choose) for any other distribution.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// aplomb_sim::Explore::new().seeds(0..10).run(|sim| async move {
    ///     let latency = sim.latency(Duration::from_millis(1)..=Duration::from_millis(17));
    ///     assert_eq!(latency.as_nanos() % 1_000_000, 0);
    /// });
    /// ```
    #[must_use = "what is drawn and not used makes the tape longer for nothing"]
    #[track_caller]
    pub fn latency(self, range: RangeInclusive<Duration>) -> Duration {
        const STEPS: u32 = 16;
        let (shortest, longest) = range.into_inner();
        let span = longest.saturating_sub(shortest);
        let step = u32::try_from(self.choose(u64::from(STEPS) + 1)).unwrap_or(0);
        // The quotient first where the product would not fit: a span of centuries can bear the rounding.
        let offset = span.checked_mul(step).map_or_else(|| (span / STEPS).saturating_mul(step), |product| product / STEPS);
        shortest.saturating_add(offset)
    }

    /// Lets the tape choose for each task of this name whether it is dropped before it ends, and when.
    ///
    /// It may be dropped before its first poll, or after any later one that left it pending: at once, in place of the
    /// next poll (it was woken, and never gets to know), or some polls of other tasks later. On a plain tape it
    /// lives.
    ///
    /// # Panics
    ///
    /// If no task of this name is running: spawn it first.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Explore, sleep};
    /// use core::time::Duration;
    ///
    /// Explore::new().seeds(0..100).run(|sim| async move {
    ///     sim.spawn("client", sleep(Duration::from_secs(1)));
    ///     sim.drop_at_random("client");
    /// });
    /// ```
    #[track_caller]
    pub fn drop_at_random(self, name: &str) {
        let world = inner::expect_current();
        let named: Vec<u32> = {
            let state = world.state.borrow();
            let running = state.tasks.iter().zip(0..).filter(|(task, _)| task.name == name && !task.is_gone());
            running.map(|(_, number)| number).collect()
        };
        assert!(!named.is_empty(), "drop_at_random: no task {name:?} is running; spawn it first");
        for number in named {
            world.doom(number);
        }
    }

    /// States an invariant: it is checked after every poll from now on, and a world in which it is false fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// aplomb_sim::Explore::new().seeds(0..10).run(|sim| async move {
    ///     let in_use = Rc::new(Cell::new(0));
    ///     let seen = Rc::clone(&in_use);
    ///     sim.always(move || seen.get() <= 2);
    ///     in_use.set(2);
    /// });
    /// ```
    #[track_caller]
    pub fn always(self, invariant: impl FnMut() -> bool + 'static) {
        let stated_at = Location::caller();
        let world = inner::expect_current();
        world.state.borrow_mut().invariants.push(Invariant { holds: Box::new(invariant), stated_at });
    }

    /// Waits until all other tasks have ended, but for those in the [background](JoinHandle::background).
    ///
    /// If they cannot, the world fails as deadlocked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub fn run_until_idle(self) -> UntilIdle {
        UntilIdle::new()
    }

    /// Waits until no other task can run at this instant.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub fn settle(self) -> Settle {
        Settle::new()
    }

    /// Lets the tasks that are ready now run before this one goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub fn yield_now(self) -> YieldNow {
        YieldNow::new()
    }

    /// Sets the clock, forward or backward, without polling anything: what was pending and is due now fires before
    /// the next poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::Instant;
    /// use aplomb_sim::{Sim, block_on, now};
    ///
    /// block_on(async {
    ///     Sim.set_clock(Instant::from_nanos(5));
    ///     assert_eq!(now(), Instant::from_nanos(5));
    /// });
    /// ```
    #[track_caller]
    pub fn set_clock(self, at: Instant) {
        inner::expect_current().set_now(at, Kind::Jumped);
    }
}

/// Adds a task to the world of this thread: short for [`Sim.spawn`](Sim::spawn).
///
/// # Panics
///
/// Outside a world.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{block_on, spawn};
///
/// assert_eq!(block_on(async { spawn("adder", async { 1 + 1 }).await }), Ok(2));
/// ```
#[track_caller]
pub fn spawn<F>(name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Sim.spawn(name, future)
}

impl Inner {
    #[track_caller]
    pub(crate) fn spawn<F>(self: &Rc<Self>, name: Cow<'static, str>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let spawned_at = Location::caller();
        JoinHandle::new(self, future, |future| self.add_task(name, spawned_at, Body::Future(Box::pin(future))))
    }

    /// Draws when the task is to be dropped.
    pub(crate) fn doom(&self, number: u32) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let doom = Doom::draw(&mut |n| state.draws.choose(n));
        if let Some(task) = state.tasks.get_mut(number as usize) {
            // Polls are counted from now on.
            task.doom = doom.after(task.polls);
        }
    }
}
