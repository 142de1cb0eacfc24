//! What happened in a world: recorded in few bytes, read on demand.

use std::borrow::Cow;
use std::panic::Location;

use aplomb::Instant;

/// Of more events than this, the first half is forgotten. The hash remembers them.
const KEPT: usize = 1 << 16;

/// The number of a task that is none.
pub(crate) const NOBODY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Spawned,
    Polled,
    Ended,
    Panicked,
    /// By the task whose number is the argument; [`NOBODY`] is the world outside.
    Woken,
    Fired,
    Dropped,
    Noted,
    Drawn,
    Advanced,
    Jumped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    at: Instant,
    argument: u64,
    task: u32,
    kind: Kind,
}

/// The pen.
#[derive(Debug)]
pub(crate) struct Recorder {
    entries: Vec<Entry>,
    forgotten: u64,
    hash: u64,
    notes: Vec<Cow<'static, str>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), forgotten: 0, hash: 0x9E37_79B9_7F4A_7C15, notes: Vec::new() }
    }

    #[inline]
    pub(crate) fn record(&mut self, at: Instant, kind: Kind, task: u32, argument: u64) {
        self.mix(at.as_nanos());
        self.mix(argument ^ u64::from(task).rotate_left(32) ^ (kind as u64).rotate_left(24));
        if self.entries.len() == KEPT {
            self.entries.drain(..KEPT / 2);
            self.forgotten += KEPT as u64 / 2;
        }
        self.entries.push(Entry { at, argument, task, kind });
    }

    pub(crate) fn note(&mut self, at: Instant, task: u32, note: Cow<'static, str>) {
        self.mix_text(&note);
        self.record(at, Kind::Noted, task, self.notes.len() as u64);
        self.notes.push(note);
    }

    /// Lets a text, such as the name of a task, count in the hash.
    pub(crate) fn mix_text(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(text.len() as u64);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn read(&self, tasks: Vec<TracedTask>) -> Trace {
        Trace { entries: self.entries.clone(), forgotten: self.forgotten, hash: self.hash, notes: self.notes.clone(), tasks }
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(23) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TracedTask {
    pub(crate) name: Cow<'static, str>,
    pub(crate) spawned_at: &'static Location<'static>,
}

/// Everything that happened in a world, in order.
///
/// It is shown as a timeline, and written as JSON lines or as Chrome trace events, which <https://ui.perfetto.dev>
/// opens. Of a long world the last 32,768 to 65,536 events are kept; the [hash](Trace::hash) is over all of them.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Sim, World, What, sleep};
/// use core::time::Duration;
///
/// let world = World::new();
/// world.spawn("sleeper", async {
///     sleep(Duration::from_millis(5)).await;
///     Sim.note("awake");
/// });
/// world.run()?;
/// let trace = world.trace();
/// assert!(trace.events().any(|event| event.what == What::Noted("awake")));
/// assert!(trace.to_string().contains("5ms"));
/// # Ok::<(), aplomb_sim::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trace {
    entries: Vec<Entry>,
    forgotten: u64,
    hash: u64,
    notes: Vec<Cow<'static, str>>,
    tasks: Vec<TracedTask>,
}

impl Trace {
    /// A hash over all that happened: two runs with equal hashes did the same.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events happened before the first that was kept.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The events that were kept.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> + '_ {
        self.entries.iter().map(|entry| Event {
            at: entry.at,
            task: self.name(entry.task),
            number: (entry.task != NOBODY).then_some(entry.task),
            what: self.what(entry),
        })
    }

    /// The first event of which `other` knows another version.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<usize> {
        let same = self.events().zip(other.events()).take_while(|(mine, theirs)| mine == theirs).count();
        (same < self.entries.len() || same < other.entries.len()).then_some(same)
    }

    pub(crate) fn tasks(&self) -> &[TracedTask] {
        &self.tasks
    }

    fn name(&self, task: u32) -> Option<&str> {
        self.tasks.get(task as usize).map(|task| &*task.name)
    }

    fn what(&self, entry: &Entry) -> What<'_> {
        match entry.kind {
            Kind::Spawned => What::Spawned,
            Kind::Polled => What::Polled,
            Kind::Ended => What::Ended,
            Kind::Panicked => What::Panicked,
            Kind::Woken => What::Woken { by: u32::try_from(entry.argument).ok().and_then(|by| self.name(by)) },
            Kind::Fired => What::Fired,
            Kind::Dropped => What::Dropped,
            Kind::Noted => {
                let note = usize::try_from(entry.argument).ok().and_then(|index| self.notes.get(index));
                What::Noted(note.map_or("", |note| note))
            }
            Kind::Drawn => What::Drawn(entry.argument),
            Kind::Advanced => What::Advanced,
            Kind::Jumped => What::Jumped,
        }
    }
}

/// Something that happened.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{What, World};
///
/// let world = World::new();
/// world.spawn("a", async {});
/// world.run()?;
/// let trace = world.trace();
/// let last = trace.events().last();
/// assert!(last.is_some_and(|event| event.task == Some("a") && event.what == What::Ended));
/// # Ok::<(), aplomb_sim::Failure>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'t> {
    /// When, on the world's clock.
    pub at: Instant,
    /// The name of the task that it happened to or that did it, unless it came from outside.
    pub task: Option<&'t str>,
    /// The number of that task: tasks are counted from zero as they are spawned, and may have equal names.
    pub number: Option<u32>,
    /// What it was.
    pub what: What<'t>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'t> {
    /// The task came into the world.
    Spawned,
    /// The task is polled.
    Polled,
    /// The task's future was ready.
    Ended,
    /// The task panicked.
    Panicked,
    /// The task's waker was called.
    Woken {
        /// The task that was polled or dropped meanwhile; `None` for a timer and for callers outside.
        by: Option<&'t str>,
    },
    /// A timer of the task was due.
    Fired,
    /// The task was dropped before it ended.
    Dropped,
    /// The task said this.
    Noted(&'t str),
    /// The task drew this number from the tape.
    Drawn(u64),
    /// Nothing could run, and the clock went to the next timer.
    Advanced,
    /// The clock was set by hand.
    Jumped,
}
