//! What the interpreter needs of a runtime: to start tasks, and to move the clock.

use std::future::Future;
use std::pin::Pin;

use aplomb::{Ambient, Platform};

use crate::trace::Tolerance;

/// A task of a scenario.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A runtime, with a clock that a scenario can move. All instants are nanoseconds since the scenario began.
pub(crate) trait Stage {
    /// The platform whose patterns are played.
    type Platform: Platform<Clock: Ambient + Copy> + 'static;

    /// How exact its timers are.
    const TOLERANCE: Tolerance;

    /// Whether the clock can be moved while nothing is polled: forward, and back.
    const JUMPS: Jumps;

    /// Whether tasks are polled in the order in which they were woken.
    const IN_ORDER: bool = true;

    /// Whether a timer is over at its very instant.
    const IS_EXACT: bool = true;

    /// The present instant.
    fn now(&self) -> u64;

    /// Starts a task. It is polled when the stage next settles.
    fn spawn(&self, task: Task);

    /// Polls all tasks that can go on, until none can. The clock stands still, where that is possible.
    async fn settle(&self);

    /// Moves the clock to `at`, by way of every timer that is due up to there; each settles before the next.
    async fn advance_to(&self, at: u64);

    /// As [`advance_to`](Stage::advance_to), but without the timers of `at` itself: those come when the stage advances again.
    async fn advance_before(&self, at: u64);

    /// Sets the clock, and polls nothing.
    async fn set_clock(&self, at: u64);
}

/// Which jumps of the clock a runtime can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Jumps {
    /// None: the clock is the system's.
    None,
    /// Forward only.
    Forward,
    /// Forward and back.
    Both,
}
