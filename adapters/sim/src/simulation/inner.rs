//! The state of a world, and which world runs on this thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use aplomb::Instant;

use super::failure::FailureKind;
use super::tape::{Draws, Source};
use super::task::Task;
use super::timers::Shared;
use super::trace::{Kind, NOBODY, Recorder};

/// In which order tasks run that can run at the same time.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Explore, Order};
///
/// Explore::new().seeds(0..10).order(Order::Fifo).run(|sim| async move { sim.note("always the same, unless I draw") });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Whoever was woken first.
    Fifo,
    /// Whoever the tape names: no order that tasks can be woken in is taken for granted.
    #[default]
    Random,
}

/// How far a world may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) polls: u64,
    pub(crate) polls_per_instant: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::MAX, polls: u64::MAX, polls_per_instant: 100_000 }
    }
}

pub(crate) struct Invariant {
    pub(crate) holds: Box<dyn FnMut() -> bool>,
    pub(crate) stated_at: &'static Location<'static>,
}

/// A world. Tasks reach it through the thread, its owner through a [`World`](crate::World).
pub(crate) struct Inner {
    shared: Arc<Shared>,
    now: Cell<Instant>,
    /// The task that is being polled or dropped.
    polling: Cell<u32>,
    driven: Cell<bool>,
    /// What went wrong in a place that could not stop.
    fault: RefCell<Option<FailureKind>>,
    pub(crate) panic: RefCell<Option<Box<dyn Any + Send>>>,
    pub(crate) limits: Cell<Limits>,
    pub(crate) state: RefCell<State>,
}

/// Of all this, nothing is borrowed while a caller's code runs.
pub(crate) struct State {
    pub(crate) tasks: Vec<Task>,
    pub(crate) ready: VecDeque<u32>,
    pub(crate) order: Order,
    pub(crate) draws: Draws,
    pub(crate) trace: Recorder,
    pub(crate) invariants: Vec<Invariant>,
    /// Tasks to be dropped after so many more polls.
    pub(crate) doomed: Vec<(u32, u32)>,
    pub(crate) waiting_to_settle: Vec<Waker>,
    pub(crate) waiting_for_idle: Vec<Waker>,
    /// Tasks that have not ended, without those in the background.
    pub(crate) live: usize,
    pub(crate) polls: u64,
    /// The instant of the last poll, and how many there were at it.
    pub(crate) polls_here: (Instant, u32),
    pub(crate) labels: u64,
    /// The world's own instances of [`Fresh`](crate::Fresh) values.
    pub(crate) fresh: Vec<(usize, Rc<dyn Any>)>,
    pub(crate) woken: Vec<u32>,
}

impl Inner {
    pub(crate) fn new(source: Source, order: Order, limits: Limits) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Self {
            shared: Arc::new(Shared::new(NUMBERS.fetch_add(1, Ordering::Relaxed))),
            now: Cell::new(Instant::ORIGIN),
            polling: Cell::new(NOBODY),
            driven: Cell::new(false),
            fault: RefCell::new(None),
            panic: RefCell::new(None),
            limits: Cell::new(limits),
            state: RefCell::new(State {
                tasks: Vec::new(),
                ready: VecDeque::new(),
                order,
                draws: Draws::new(source),
                trace: Recorder::new(),
                invariants: Vec::new(),
                doomed: Vec::new(),
                waiting_to_settle: Vec::new(),
                waiting_for_idle: Vec::new(),
                live: 0,
                polls: 0,
                polls_here: (Instant::ORIGIN, 0),
                labels: 0,
                fresh: Vec::new(),
                woken: Vec::new(),
            }),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.shared.number()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    pub(crate) fn polling(&self) -> u32 {
        self.polling.get()
    }

    pub(crate) fn set_polling(&self, task: u32) {
        self.polling.set(task);
    }

    /// Moves the clock, by the way of the world or by hand.
    pub(crate) fn set_now(&self, at: Instant, kind: Kind) {
        self.now.set(at);
        self.record(kind, NOBODY, 0);
    }

    pub(crate) fn record(&self, kind: Kind, task: u32, argument: u64) {
        self.state.borrow_mut().trace.record(self.now(), kind, task, argument);
    }

    /// Draws on behalf of the caller, who sees it in the trace.
    pub(crate) fn draw(&self, draw: impl FnOnce(&mut Draws) -> u64) -> u64 {
        let mut state = self.state.borrow_mut();
        let choice = draw(&mut state.draws);
        state.trace.record(self.now(), Kind::Drawn, self.polling(), choice);
        choice
    }

    pub(crate) fn report(&self, kind: FailureKind) {
        self.fault.borrow_mut().get_or_insert(kind);
    }

    pub(crate) fn take_fault(&self) -> Option<FailureKind> {
        self.fault.borrow_mut().take()
    }

    /// Marks the world as being driven, until the guard is dropped.
    pub(crate) fn begin_driving(self: &Rc<Self>) -> Driving {
        assert!(!self.driven.replace(true), "a world cannot be driven from inside: await something instead");
        Driving { world: Rc::clone(self), _entered: enter(Rc::clone(self)) }
    }
}

pub(crate) struct Driving {
    world: Rc<Inner>,
    _entered: Entered,
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.world.driven.set(false);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// Makes a world that of this thread, until the guard is dropped. Worlds nest.
pub(crate) fn enter(world: Rc<Inner>) -> Entered {
    NUMBER.set(world.number());
    Entered { previous: CURRENT.replace(Some(world)) }
}

pub(crate) struct Entered {
    previous: Option<Rc<Inner>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        NUMBER.set(self.previous.as_ref().map_or(0, |world| world.number()));
        CURRENT.set(self.previous.take());
    }
}

/// The world of this thread.
pub(crate) fn current() -> Option<Rc<Inner>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The world of this thread, for calls that make no sense outside one.
#[track_caller]
pub(crate) fn expect_current() -> Rc<Inner> {
    let Some(world) = current() else {
        panic!("no simulated world runs on this thread: use aplomb_sim::block_on, Explore or World::enter");
    };
    world
}

pub(crate) fn current_number() -> u64 {
    NUMBER.try_with(Cell::get).unwrap_or(0)
}

pub(crate) fn now() -> Instant {
    CURRENT.try_with(|current| current.borrow().as_ref().map(|world| world.now())).ok().flatten().unwrap_or(Instant::ORIGIN)
}

/// Says that a lock which belongs to the world `owner` is used by this one.
pub(crate) fn report_shared(owner: u64) {
    if let Some(world) = current() {
        let task = world.state.try_borrow().ok().and_then(|state| {
            let task = state.tasks.get(world.polling() as usize)?;
            Some(task.name.clone())
        });
        world.report(FailureKind::SharedBetweenWorlds { owner, world: world.number(), task });
    }
}
