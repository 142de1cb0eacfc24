//! Plays a scenario, line by line.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use board::{Executor, time};
use embassy_executor::raw::TaskStorage;
use embassy_time_driver::TICK_HZ;
use heapless::Vec;
use wire::{Action, Entries, Line, Nanos, Order, Scenario, Token};

use crate::arena::{Owned, place};
use crate::patterns::{Ending, SetUp, Subject};
use crate::world::{NANOS_PER_TICK, World};

/// By how many ticks the script falls behind with each line, and by how many at most. A timer is a tick behind, and behind the one before it: what is due at an instant happens before what the script does then.
const PER_LINE: u64 = 10;
const AT_MOST: u64 = 900;

/// A caller: its future, which lives until it ends or the script drops it.
struct Caller {
    id: Token,
    future: RefCell<Option<Ending>>,
    task: RefCell<Option<Waker>>,
}

/// What runs under embassy.
enum Task {
    Caller(&'static Caller, &'static World),
    Drop(Vec<&'static Caller, 4>),
    /// The order lies elsewhere: most tasks are callers, and all are as large as the largest.
    Act(&'static dyn Subject, &'static Order),
    Driver(Owned<dyn Future<Output = ()>>),
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Self::Driver(future) => Pin::new(future).poll(cx),
            Self::Act(subject, order) => {
                subject.act(**order);
                Poll::Ready(())
            }
            Self::Drop(callers) => {
                for caller in callers {
                    let future = caller.future.take();
                    drop(future);
                    let task = caller.task.take();
                    task.into_iter().for_each(Waker::wake);
                }
                Poll::Ready(())
            }
            Self::Caller(caller, world) => {
                let mut future = caller.future.borrow_mut();
                let Some(running) = future.as_mut() else { return Poll::Ready(()) };
                match Pin::new(running).poll(cx) {
                    Poll::Ready(outcome) => {
                        *future = None;
                        world.end(caller.id, &outcome);
                        Poll::Ready(())
                    }
                    Poll::Pending => {
                        caller.task.replace(Some(cx.waker().clone()));
                        Poll::Pending
                    }
                }
            }
        }
    }
}

impl World {
    fn spawn(&self, task: Task) {
        let storage: &'static TaskStorage<Task> = place(TaskStorage::new());
        // One that is new has room for its one task.
        if let Ok(token) = storage.spawn(|| task) {
            self.executor.spawner().spawn(token);
        }
    }

    /// Starts a task that the pattern needs beside its callers.
    pub fn drive(&self, driver: impl Future<Output = ()> + 'static) {
        self.spawn(Task::Driver(Owned::new(driver)));
    }

    /// Lets time go on up to that instant, and all that is due settle.
    fn advance_to(&self, at: Nanos) {
        self.behind.set(AT_MOST.min(self.behind.get() + PER_LINE));
        self.advance(self.tick(at));
    }

    /// Likewise, without what is due at that instant itself, which is late.
    fn advance_before(&self, at: Nanos) {
        self.advance((at / NANOS_PER_TICK).saturating_sub(1));
    }

    /// Of a long time in which nothing is due, only the end is played.
    fn advance(&self, last: u64) {
        const LONG: u64 = 60 * TICK_HZ;
        time::release();
        loop {
            self.executor.settle();
            let next = time::next_alarm().unwrap_or(last).min(last);
            if next > time::now().saturating_add(LONG) {
                time::set(next - TICK_HZ);
            }
            self.executor.run_until(next);
            if time::now() >= last {
                break;
            }
        }
        time::hold();
    }

    fn set_clock(&self, at: Nanos) {
        time::set(self.tick(at));
    }

    /// When the script does what it does at that instant.
    fn tick(&self, at: Nanos) -> u64 {
        at / NANOS_PER_TICK + self.behind.get()
    }
}

/// Plays a scenario.
#[inline(never)]
pub fn play(scenario: Scenario<'static>, set_up: SetUp) {
    time::restart();
    time::hold();
    let world: &'static World = place(World {
        scenario,
        executor: place(Executor::new()),
        starts: Cell::new(0),
        running: Cell::new(0),
        over: Cell::new(false),
        behind: Cell::new(0),
    });
    let Some(subject) = set_up(world) else {
        // The host gives it to another image.
        board::hprintln!("not here");
        return;
    };
    if world.scenario.driver {
        subject.drive(world);
    }
    let mut callers: Vec<&'static Caller, 64> = Vec::new();
    let mut together = false;
    for line in Entries::<Line>::of(world.scenario.lines) {
        if together {
            // Without time for anybody.
        } else if line.first {
            world.advance_before(line.at);
            world.set_clock(line.at);
        } else {
            world.advance_to(line.at);
        }
        match line.action {
            Action::Call(request) => {
                let id = request.id;
                let future = RefCell::new(Some(subject.call(world, request)));
                let caller = &*place(Caller { id, future, task: RefCell::new(None) });
                world.spawn(Task::Caller(caller, world));
                assert!(callers.push(caller).is_ok(), "too many callers");
            }
            Action::Drop(ids) => {
                let leaving = callers.iter().filter(|caller| ids.contains(&caller.id)).copied().collect();
                world.spawn(Task::Drop(leaving));
            }
            Action::Jump(nanos) => {
                let now = world.now().saturating_add_signed(nanos);
                world.set_clock(now);
                world.advance_to(now);
            }
            Action::Do(order) => world.spawn(Task::Act(subject, place(order))),
            Action::Item(item) => subject.feed(item),
        }
        together = line.together;
        if !together {
            world.executor.settle();
        }
    }
    let alive = || callers.iter().any(|caller| caller.future.borrow().is_some()) || subject.is_busy() || world.running.get() > 0;
    finish(world, alive);
    world.over.set(true);
    for caller in &callers {
        let future = caller.future.take();
        drop(future);
    }
}

/// Plays on, from alarm to alarm, until nobody is left, nothing is left to happen, or the end has come.
fn finish(world: &World, alive: impl Fn() -> bool) {
    world.advance_to(world.now());
    while alive() && world.now() < world.scenario.end {
        let Some(next) = time::next_alarm() else { break };
        world.advance_to(next.saturating_mul(NANOS_PER_TICK).min(world.scenario.end));
    }
}
