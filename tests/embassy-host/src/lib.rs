//! embassy on the host, in virtual time: its own executor, its own integrated timer queue, and a time driver whose clock a test sets.
//!
//! A program has one time driver, and features unify across a workspace; so everything here that needs embassy's time on the host links this crate, and none enables a driver of
//! `embassy-time`. Clock and queue are those of the thread, so that tests run in parallel.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;

use embassy_executor::raw;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct VirtualTime;

embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime);

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue::new()) };
    static PENDED: Cell<bool> = const { Cell::new(false) };
}

impl Driver for VirtualTime {
    fn now(&self) -> u64 {
        TICKS.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        QUEUE.with_borrow_mut(|queue| queue.schedule_wake(at, waker));
    }
}

/// embassy calls this when a task of an executor can go on.
#[unsafe(export_name = "__pender")]
fn pender(_executor: *mut ()) {
    PENDED.set(true);
}

/// An executor of this thread, with the thread's clock at zero.
///
/// embassy's tasks and executors live for ever; so each host, and each task, leaks what it is made of.
pub struct Host {
    executor: &'static raw::Executor,
}

impl Host {
    /// A host whose clock stands at zero, and whose timer queue is empty.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it resets the thread's clock")]
    pub fn new() -> Self {
        TICKS.set(0);
        QUEUE.replace(Queue::new());
        Self { executor: Box::leak(Box::new(raw::Executor::new(std::ptr::null_mut()))) }
    }

    /// Starts a task.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, future: F) {
        let storage: &'static raw::TaskStorage<F> = Box::leak(Box::new(raw::TaskStorage::new()));
        // A storage that is new has room for its one task.
        if let Ok(token) = storage.spawn(|| future) {
            self.executor.spawner().spawn(token);
        }
    }

    /// Polls all tasks that can go on, until none can.
    pub fn settle(&self) {
        while PENDED.take() {
            // SAFETY: this is the thread that made the executor, since that is not `Send`, and no task can reach this method.
            unsafe { self.executor.poll() };
        }
    }

    /// The present tick.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        TICKS.get()
    }

    /// Sets the clock, forward or back, and polls nothing.
    pub fn set_ticks(&self, ticks: u64) {
        TICKS.set(ticks);
    }

    /// Wakes the tasks whose time has come; says when the next one's comes.
    #[must_use]
    pub fn fire(&self) -> Option<u64> {
        let next = QUEUE.with_borrow_mut(|queue| queue.next_expiration(TICKS.get()));
        (next != u64::MAX).then_some(next)
    }

    /// Fires and settles, until nothing more happens at this tick; says when the next timer is due.
    #[must_use]
    pub fn fire_and_settle(&self) -> Option<u64> {
        loop {
            let next = self.fire();
            if !PENDED.get() {
                return next;
            }
            self.settle();
        }
    }
}

/// Runs a future as a task of embassy's, in virtual time.
///
/// # Panics
///
/// If it can never end: it waits, and no timer is set.
pub fn block_on<F: Future + 'static>(future: F) -> F::Output
where
    F::Output: 'static,
{
    let host = Host::new();
    let output = Rc::new(Cell::new(None));
    let ended = Rc::clone(&output);
    host.spawn(async move { ended.set(Some(future.await)) });
    loop {
        let next = host.fire_and_settle();
        if let Some(output) = output.take() {
            return output;
        }
        host.set_ticks(next.expect("the future waits for ever: no timer is set"));
    }
}
