//! embassy's executor, for which waiting takes no time of the host's.
//!
//! embassy's own for threads waits by `wfe`, which the emulator takes for a `nop`: it would play every nanosecond of a day.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw};

use crate::time;

static PENDED: AtomicBool = AtomicBool::new(false);

/// embassy calls this when a task can go on.
#[unsafe(export_name = "__pender")]
fn pender(_executor: *mut ()) {
    PENDED.store(true, Ordering::Relaxed);
}

/// An executor of the one thread that there is.
pub struct Executor {
    raw: raw::Executor,
}

impl Executor {
    /// One without tasks.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it wants to be a static")]
    pub fn new() -> Self {
        Self { raw: raw::Executor::new(core::ptr::null_mut()) }
    }

    /// Where tasks are started.
    pub fn spawner(&'static self) -> Spawner {
        self.raw.spawner()
    }

    /// Polls all tasks that can go on, until none can.
    pub fn settle(&'static self) {
        while has_work() {
            PENDED.store(false, Ordering::Relaxed);
            // SAFETY: interrupts poll no executor, and no task can reach this method: it would have to be here already.
            unsafe { self.raw.poll() };
        }
    }

    /// Runs, until that tick has come and all tasks have settled.
    pub fn run_until(&'static self, tick: u64) {
        self.settle();
        while time::now() < tick {
            time::wait_until(tick, has_work);
            self.settle();
        }
    }

    /// Runs for ever, with the tasks that `start` starts.
    pub fn run(&'static self, start: impl FnOnce(Spawner)) -> ! {
        start(self.spawner());
        loop {
            self.run_until(u64::MAX);
        }
    }
}

fn has_work() -> bool {
    PENDED.load(Ordering::Relaxed)
}
