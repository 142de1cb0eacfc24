//! Tasks as their spawner sees them.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::inner::Inner;

/// What a task has come to, shared between it and its handle.
struct Outcome<T> {
    result: RefCell<Option<Result<T, Aborted>>>,
    finished: std::cell::Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Outcome<T> {
    fn settle(&self, result: Result<T, Aborted>) {
        if !self.finished.replace(true) {
            *self.result.borrow_mut() = Some(result);
            let waker = self.waker.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

pin_project! {
    /// The future of a task, which leaves its output with the handle.
    pub(crate) struct Spawned<F: Future> {
        #[pin]
        future: F,
        outcome: Rc<Outcome<F::Output>>,
    }

    impl<F: Future> PinnedDrop for Spawned<F> {
        fn drop(this: Pin<&mut Self>) {
            this.outcome.settle(Err(Aborted));
        }
    }
}

impl<F: Future> Future for Spawned<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.future.poll(cx).map(|output| this.outcome.settle(Ok(output)))
    }
}

/// The task was dropped before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aborted: the task was dropped before it ended")
    }
}

impl std::error::Error for Aborted {}

/// A spawned task: a future of its output, and a way to drop it.
///
/// A task that panics fails its world, so that only [`Aborted`] is left to go wrong.
///
/// # Cancel safety
///
/// Dropping the handle detaches the task, which runs on. The output goes to whoever polls the handle when the task
/// has ended; polling by reference (`&mut handle`) and dropping that loses nothing.
///
/// # Panics
///
/// Polling it again after it gave its output panics.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Aborted, block_on, sleep, spawn};
/// use core::time::Duration;
///
/// block_on(async {
///     let answer = spawn("deep thought", async {
///         sleep(Duration::from_secs(1)).await;
///         42
///     });
///     assert_eq!(answer.await, Ok(42));
///
///     let endless = spawn("endless", sleep(Duration::MAX));
///     endless.abort();
///     assert_eq!(endless.await, Err(Aborted));
/// });
/// ```
pub struct JoinHandle<T> {
    world: Weak<Inner>,
    number: u32,
    outcome: Rc<Outcome<T>>,
}

impl<T: 'static> JoinHandle<T> {
    /// Pairs a future with the handle of the task that it is going to be.
    pub(crate) fn new<F: Future<Output = T>>(world: &Rc<Inner>, future: F, spawn: impl FnOnce(Spawned<F>) -> u32) -> Self {
        let outcome = Rc::new(Outcome { result: None.into(), finished: false.into(), waker: None.into() });
        let number = spawn(Spawned { future, outcome: Rc::clone(&outcome) });
        Self { world: Rc::downgrade(world), number, outcome }
    }
}

impl<T> JoinHandle<T> {
    /// Drops the task's future: at once or, if the task aborts itself, at the end of its poll. A task that has ended
    /// is left alone.
    pub fn abort(&self) {
        if let Some(world) = self.world.upgrade() {
            let _entered = super::inner::enter(Rc::clone(&world));
            world.abort(self.number);
        }
    }

    /// Whether the task has ended or was dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outcome.finished.get()
    }

    /// The output, if the task has ended and nobody took it yet: for those who drive a [`World`](crate::World) from
    /// outside.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = aplomb_sim::World::new();
    /// let task = world.spawn("four", async { 4 });
    /// assert_eq!(task.try_take(), None);
    /// world.settle()?;
    /// assert_eq!(task.try_take(), Some(Ok(4)));
    /// # Ok::<(), aplomb_sim::Failure>(())
    /// ```
    #[must_use]
    pub fn try_take(&self) -> Option<Result<T, Aborted>> {
        self.outcome.result.borrow_mut().take()
    }

    /// The number of the task: tasks are counted from zero as they are spawned.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Makes it a task that nobody waits for: a world ends without it, and that it waits for ever is no deadlock.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Explore, sleep};
    /// use core::time::Duration;
    ///
    /// Explore::new().seeds(0..3).run(|sim| async move {
    ///     sim.spawn("server", sleep(Duration::MAX)).background();
    /// });
    /// ```
    pub fn background(&self) {
        if let Some(world) = self.world.upgrade() {
            let waiting = {
                let mut state = world.state.borrow_mut();
                let state = &mut *state;
                if let Some(task) = state.tasks.get_mut(self.number as usize)
                    && !task.is_gone()
                    && !task.background
                {
                    task.background = true;
                    state.live -= 1;
                }
                std::mem::take(&mut state.waiting_for_idle)
            };
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Lets the tape choose whether, and at which await point, the task is dropped: as
    /// [`Sim::drop_at_random`](crate::Sim::drop_at_random), for this task alone.
    pub fn drop_at_random(&self) {
        if let Some(world) = self.world.upgrade() {
            world.doom(self.number);
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Aborted>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.try_take() {
            return Poll::Ready(result);
        }
        assert!(!self.is_finished(), "a JoinHandle was polled after it had given its output");
        let known = self.outcome.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !known {
            let old = self.outcome.waker.replace(Some(cx.waker().clone()));
            drop(old);
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("number", &self.number).field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
