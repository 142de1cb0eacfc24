//! What went wrong in a world, with all that is known of it.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use aplomb::Instant;

use super::tape::Tape;
use super::trace::Trace;

/// So many lines of the timeline are shown; the whole is in [`Failure::trace`].
const TIMELINE: usize = 80;

/// What went wrong.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Explore, FailureKind, sleep};
/// use core::time::Duration;
///
/// let explore = Explore::new().time_limit(Duration::from_secs(60));
/// let failure = explore.try_run(|_| sleep(Duration::from_secs(61))).unwrap_err();
/// assert_eq!(failure.kind().to_string(), "time limit: the next timer is due at 61s, the limit is 60s");
/// assert!(matches!(failure.kind(), FailureKind::TimeLimit { .. }));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A task, or an invariant, panicked.
    Panicked {
        /// The name of the task.
        task: Cow<'static, str>,
        /// What it said.
        message: String,
        /// Where; known within [`Explore`](crate::Explore), elsewhere it was printed when it happened.
        location: Option<String>,
    },
    /// What was to hold [`always`](crate::Sim::always) didn't.
    InvariantBroken {
        /// Where it was stated.
        stated_at: &'static Location<'static>,
    },
    /// Nothing can run, no timer is pending, and tasks have not ended.
    Deadlock,
    /// Time stands still, because something can always run.
    NoProgress {
        /// The task that was polled most.
        task: Cow<'static, str>,
        /// How often it was polled at this instant.
        polls: u32,
        /// The instant.
        at: Instant,
    },
    /// The next timer lies beyond the limit on time.
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// When the next timer is due.
        next: Instant,
    },
    /// The world was polled as often as it may be.
    TooManyPolls {
        /// The limit.
        limit: u64,
    },
    /// A lock was used that another world had used before: most likely a pattern in a `static`.
    SharedBetweenWorlds {
        /// The number of the world that used it first. Worlds are numbered throughout the process.
        owner: u64,
        /// The number of this world.
        world: u64,
        /// The task that used it here.
        task: Option<Cow<'static, str>>,
    },
    /// The same tape led to something else.
    NotDeterministic {
        /// Which event was the first to differ, counted from zero.
        event: usize,
        /// The event in the first run, or that there was none.
        first: String,
        /// The event in the second run, or that there was none.
        second: String,
    },
}

impl FailureKind {
    /// Whether both are the same failure, as far as shrinking is concerned: the numbers in it may differ.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panicked { location: mine, message, .. }, Self::Panicked { location: theirs, message: other, .. }) => {
                if mine.is_some() { mine == theirs } else { message == other }
            }
            (Self::InvariantBroken { stated_at: mine }, Self::InvariantBroken { stated_at: theirs }) => mine == theirs,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { task, message, location } => {
                write!(f, "panic: {task} panicked")?;
                if let Some(location) = location {
                    write!(f, " at {location}")?;
                }
                write!(f, ": {message}")
            }
            Self::InvariantBroken { stated_at } => write!(f, "invariant broken: the one stated at {stated_at} is false"),
            Self::Deadlock => f.write_str("deadlock: nothing can run, no timer is pending, and not all tasks have ended"),
            Self::NoProgress { task, polls, at } => {
                write!(f, "no progress: time stands at {at:?}, where {task} was polled {polls} times")
            }
            Self::TimeLimit { limit, next } => write!(f, "time limit: the next timer is due at {next:?}, the limit is {limit:?}"),
            Self::TooManyPolls { limit } => write!(f, "too many polls: the limit is {limit}"),
            Self::SharedBetweenWorlds { owner, world, task } => {
                let task = task.as_deref().unwrap_or("someone outside all tasks");
                write!(
                    f,
                    "shared between worlds: in world {world}, {task} used a lock that world {owner} had used before. A `static` keeps its \
                     state from one world to the next, so that no seed could be replayed. Build the pattern inside the closure, or make the \
                     static an `aplomb_sim::Fresh`, which has one value for each world"
                )
            }
            Self::NotDeterministic { event, first, second } => write!(
                f,
                "not deterministic: the same tape led to something else. Event {event} was first \"{first}\" and then \"{second}\". Look for \
                 the iteration order of a HashMap, a thread's random generator (`select!` has one), the system's clock, a static or a thread"
            ),
        }
    }
}

/// A task that has not ended, as it stands.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{World, sleep};
/// use core::time::Duration;
///
/// let world = World::new();
/// world.spawn("sleeper", sleep(Duration::from_millis(5)));
/// world.settle()?;
/// let tasks = world.tasks();
/// assert_eq!((&*tasks[0].name, tasks[0].polls), ("sleeper", 1));
/// assert!(tasks[0].to_string().ends_with("polled once, has a timer at 5ms"));
/// # Ok::<(), aplomb_sim::Failure>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskReport {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its number, counted from zero as tasks are spawned.
    pub number: u32,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// How often it was polled.
    pub polls: u64,
    /// Whether it could run.
    pub ready: bool,
    /// Whether it runs in the [background](crate::JoinHandle::background).
    pub background: bool,
    /// What it said it waits for: see [`waiting_for`](crate::waiting_for()).
    pub waits_for: Vec<Cow<'static, str>>,
    /// When its next timer is due.
    pub timer: Option<Instant>,
    /// How many others hold its waker, timers included.
    pub wakers: usize,
}

impl fmt::Display for TaskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if self.background {
            f.write_str(" (in the background)")?;
        }
        write!(f, ", spawned at {}, ", self.spawned_at)?;
        match self.polls {
            0 => f.write_str("never polled")?,
            1 => f.write_str("polled once")?,
            polls => write!(f, "polled {polls} times")?,
        }
        for what in &self.waits_for {
            write!(f, ", waits for {what}")?;
        }
        match self.timer {
            Some(at) => write!(f, ", has a timer at {at:?}")?,
            None if self.ready => f.write_str(", can run")?,
            None if self.wakers == 0 => f.write_str(", nobody holds its waker")?,
            None if self.wakers == 1 => f.write_str(", its waker is held by 1 other")?,
            None => write!(f, ", its waker is held by {} others", self.wakers)?,
        }
        Ok(())
    }
}

/// A world that failed: what, who was there, what had happened, and the tape that leads there again.
///
/// Its `Display` is the whole report.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{FailureKind, World};
///
/// let world = World::new();
/// world.spawn("waiter", core::future::pending::<()>());
/// let failure = world.run().unwrap_err();
/// assert_eq!(*failure.kind(), FailureKind::Deadlock);
/// assert_eq!(failure.tasks()[0].name, "waiter");
/// println!("{failure}");
/// ```
#[derive(Clone)]
pub struct Failure(Box<Details>);

#[derive(Clone)]
struct Details {
    kind: FailureKind,
    tasks: Vec<TaskReport>,
    trace: Trace,
    tape: Tape,
    seed: Option<u64>,
    /// What shrinking made of it, in words.
    remarks: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, tasks: Vec<TaskReport>, trace: Trace, tape: Tape) -> Self {
        Self(Box::new(Details { kind, tasks, trace, tape, seed: None, remarks: Vec::new() }))
    }

    pub(crate) fn with_seed(mut self, seed: Option<u64>) -> Self {
        self.0.seed = seed;
        self
    }

    pub(crate) fn with_remark(mut self, remark: String) -> Self {
        self.0.remarks.push(remark);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &FailureKind {
        &self.0.kind
    }

    /// The tasks that had not ended.
    #[must_use]
    pub fn tasks(&self) -> &[TaskReport] {
        &self.0.tasks
    }

    /// What had happened.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The tape that leads to the failure: the shrunk one, if [`Explore`](crate::Explore) found it.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        &self.0.tape
    }

    /// The seed that found it.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.0.seed
    }
}

impl fmt::Debug for Failure {
    /// As `Display`, so that an `unwrap` in a test tells all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { kind, tasks, trace, tape, seed, remarks } = &*self.0;
        writeln!(f, "{kind}")?;
        if !tasks.is_empty() {
            writeln!(f, "tasks that have not ended:")?;
            for task in tasks {
                writeln!(f, "  {task}")?;
            }
        }
        writeln!(f, "timeline:")?;
        trace.write_timeline(f, TIMELINE)?;
        if let Some(seed) = seed {
            writeln!(f, "seed: {seed}")?;
        }
        if !tape.choices().is_empty() {
            writeln!(f, "tape: {tape}")?;
        }
        for remark in remarks {
            writeln!(f, "{remark}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
