//! A task as the executor sees it: its future, its waker, and how it is to die.

use std::borrow::Cow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use aplomb::Instant;

use super::timers::Shared;

pub(crate) type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

/// Puts its task among those that can run, once until it has run. It works on every thread and outlives the world
/// without harm.
pub(crate) struct TaskWaker {
    shared: Arc<Shared>,
    task: u32,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.shared.push_woken(self.task);
        }
    }
}

/// What there is to poll.
pub(crate) enum Body {
    Future(BoxedTask),
    /// The future that `block_on` has on its stack.
    Root,
    /// It is being polled.
    Away,
    Gone,
}

pub(crate) struct Task {
    pub(crate) name: Cow<'static, str>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) body: Body,
    /// Twice the same: one to clear the flag, one to hand out. Absent as soon as the task has ended.
    pub(crate) waker: Option<(Arc<TaskWaker>, Waker)>,
    pub(crate) polls: u64,
    /// Polls at the instant of the last one.
    pub(crate) polls_here: (Instant, u32),
    pub(crate) background: bool,
    /// Aborted while it was being polled.
    pub(crate) aborted: bool,
    pub(crate) doom: Doom,
    /// What it says it waits for, and by which number to find it again.
    pub(crate) labels: Vec<(u64, Cow<'static, str>)>,
}

impl Task {
    pub(crate) fn new(
        number: u32,
        name: Cow<'static, str>,
        spawned_at: &'static Location<'static>,
        body: Body,
        shared: &Arc<Shared>,
    ) -> Self {
        let waker = Arc::new(TaskWaker { shared: Arc::clone(shared), task: number, queued: AtomicBool::new(true) });
        Self {
            name,
            spawned_at,
            body,
            waker: Some((Arc::clone(&waker), Waker::from(waker))),
            polls: 0,
            polls_here: (Instant::ORIGIN, 0),
            background: false,
            aborted: false,
            doom: Doom::Never,
            labels: Vec::new(),
        }
    }

    /// Takes the body and a waker out, for a poll. From here on the task can be woken again.
    pub(crate) fn begin_poll(&mut self, now: Instant) -> Option<(Body, Waker)> {
        let (flag, waker) = self.waker.as_ref()?;
        flag.queued.store(false, Ordering::Release);
        let body = std::mem::replace(&mut self.body, Body::Away);
        self.polls += 1;
        let here = if self.polls_here.0 == now { self.polls_here.1 } else { 0 };
        self.polls_here = (now, here.saturating_add(1));
        Some((body, waker.clone()))
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.body, Body::Gone)
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.waker.as_ref().is_some_and(|(flag, _)| flag.queued.load(Ordering::Acquire))
    }

    /// How many others hold a waker of this task.
    pub(crate) fn wakers_elsewhere(&self) -> usize {
        self.waker.as_ref().map_or(0, |(flag, _)| Arc::strong_count(flag).saturating_sub(2))
    }
}

/// When a task is to be dropped in the midst of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    Never,
    /// As soon as this poll was pending.
    After {
        poll: u64,
    },
    /// When it was woken after this poll, before it gets to know of it. After no poll: before it ever ran.
    Woken {
        poll: u64,
    },
    /// So many polls of other tasks after this one.
    Later {
        poll: u64,
        steps: u32,
    },
}

impl Doom {
    /// Draws one; zero is a long life. The first polls are as likely to be the last as all later ones together.
    pub(crate) fn draw(choose: &mut impl FnMut(u64) -> u64) -> Self {
        let poll = match choose(9) {
            0 => return Self::Never,
            1 => return Self::Woken { poll: 0 },
            magnitude => (1 << (magnitude - 2)) + choose(1 << (magnitude - 2)),
        };
        match choose(3) {
            0 => Self::After { poll },
            1 => Self::Woken { poll },
            _ => Self::Later { poll, steps: 1 + u32::try_from(choose(12)).unwrap_or(0) },
        }
    }

    /// The same fate, for a task that has been polled before.
    pub(crate) fn after(self, polls: u64) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::After { poll } => Self::After { poll: poll + polls },
            Self::Woken { poll } => Self::Woken { poll: poll + polls },
            Self::Later { poll, steps } => Self::Later { poll: poll + polls, steps },
        }
    }
}
