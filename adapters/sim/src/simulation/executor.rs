//! What makes a world go: one poll after the other, and the clock when there is none.

use std::borrow::Cow;
use std::mem;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::Instant;

use super::catch::{Caught, catch};
use super::failure::FailureKind;
use super::inner::Inner;
use super::task::{Body, Doom, Task};
use super::trace::{Kind, NOBODY};

/// Polls the future that `block_on` has on its stack.
pub(crate) type PollRoot<'r> = &'r mut dyn FnMut(&mut Context<'_>) -> Poll<()>;

/// Whether something could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Ran,
    Idle,
}

impl Inner {
    pub(crate) fn add_task(&self, name: Cow<'static, str>, spawned_at: &'static Location<'static>, body: Body) -> u32 {
        let mut state = self.state.borrow_mut();
        let Ok(number) = u32::try_from(state.tasks.len()) else { panic!("a world holds at most 4,294,967,295 tasks") };
        state.trace.mix_text(&name);
        state.trace.record(self.now(), Kind::Spawned, number, 0);
        state.tasks.push(Task::new(number, name, spawned_at, body, self.shared()));
        state.ready.push_back(number);
        state.live += 1;
        number
    }

    /// Runs until the root has ended or, without one, until all tasks have that are not in the background.
    pub(crate) fn run(&self, mut root: Option<(u32, PollRoot<'_>)>) -> Result<(), FailureKind> {
        loop {
            let done = {
                let state = self.state.borrow();
                match &root {
                    Some((number, _)) => state.tasks.get(*number as usize).is_none_or(Task::is_gone),
                    None => state.live == 0,
                }
            };
            if done {
                return self.take_fault().map_or(Ok(()), Err);
            }
            let poll_root = root.as_mut().map(|(_, poll)| &mut **poll as PollRoot<'_>);
            if self.step(poll_root)? == Step::Idle && !self.advance_to_next()? {
                return Err(FailureKind::Deadlock);
            }
        }
    }

    /// Runs all that can run at this instant.
    pub(crate) fn settle(&self) -> Result<(), FailureKind> {
        while self.step(None)? == Step::Ran {}
        Ok(())
    }

    /// Goes to the next timer, if there is one.
    pub(crate) fn advance_to_next(&self) -> Result<bool, FailureKind> {
        let Some(next) = self.shared().next() else { return Ok(false) };
        let limit = self.limits.get().time;
        if next > Instant::ORIGIN + limit {
            return Err(FailureKind::TimeLimit { limit, next });
        }
        self.set_now(next, Kind::Advanced);
        Ok(true)
    }

    /// Polls one task, if one is ready; timers that are due fire before.
    pub(crate) fn step(&self, root: Option<PollRoot<'_>>) -> Result<Step, FailureKind> {
        self.fire_due();
        self.collect_woken(NOBODY);
        let Some(task) = self.choose_ready() else {
            let waiting = mem::take(&mut self.state.borrow_mut().waiting_to_settle);
            let step = if waiting.is_empty() { Step::Idle } else { Step::Ran };
            waiting.into_iter().for_each(Waker::wake);
            // What was done from outside may have used a lock of another world.
            return self.take_fault().map_or(Ok(step), Err);
        };
        self.poll(task, root)?;
        self.drop_doomed()?;
        self.check()?;
        Ok(Step::Ran)
    }

    /// Drops a task's future now, or after the poll that it is in.
    pub(crate) fn abort(&self, number: u32) {
        let body = {
            let mut state = self.state.borrow_mut();
            let Some(task) = state.tasks.get_mut(number as usize) else { return };
            match task.body {
                Body::Gone => return,
                Body::Away => {
                    task.aborted = true;
                    return;
                }
                Body::Future(_) | Body::Root => {}
            }
            let body = mem::replace(&mut task.body, Body::Gone);
            state.trace.record(self.now(), Kind::Dropped, number, 0);
            body
        };
        drop(body);
        self.retire(number);
    }

    fn fire_due(&self) {
        while let Some((task, waker)) = self.shared().take_due(self.now()) {
            self.record(Kind::Fired, task, 0);
            waker.wake();
        }
    }

    /// Takes over who was woken, by whom.
    fn collect_woken(&self, by: u32) {
        let mut state = self.state.borrow_mut();
        let mut woken = mem::take(&mut state.woken);
        self.shared().take_woken(&mut woken);
        for task in woken.drain(..) {
            if state.tasks.get(task as usize).is_some_and(|task| !task.is_gone()) {
                state.trace.record(self.now(), Kind::Woken, task, u64::from(by));
                state.ready.push_back(task);
            }
        }
        state.woken = woken;
    }

    fn choose_ready(&self) -> Option<u32> {
        use crate::Order;

        let mut state = self.state.borrow_mut();
        loop {
            let index = match state.order {
                Order::Fifo => 0,
                Order::Random => {
                    let count = state.ready.len() as u64;
                    usize::try_from(state.draws.choose(count)).unwrap_or(0)
                }
            };
            let number = state.ready.remove(index)?;
            if state.tasks.get(number as usize).is_some_and(|task| !task.is_gone()) {
                return Some(number);
            }
        }
    }

    fn poll(&self, number: u32, root: Option<PollRoot<'_>>) -> Result<(), FailureKind> {
        let doomed = {
            let state = self.state.borrow();
            let Some(task) = state.tasks.get(number as usize) else { return Ok(()) };
            task.doom == Doom::Woken { poll: task.polls }
        };
        if doomed {
            return self.drop_task(number);
        }
        let Some((mut body, waker)) = self.begin_poll(number)? else { return Ok(()) };
        self.set_polling(number);
        let polled = catch(|| {
            let cx = &mut Context::from_waker(&waker);
            match (&mut body, root) {
                (Body::Future(future), _) => future.as_mut().poll(cx),
                (Body::Root, Some(root)) => root(cx),
                (Body::Root | Body::Away | Body::Gone, _) => Poll::Pending,
            }
        });
        self.set_polling(NOBODY);
        drop(waker);
        match polled {
            Ok(Poll::Pending) => self.put_back(number, body)?,
            Ok(Poll::Ready(())) => {
                self.end(number, Kind::Ended);
                // The future goes before those who waited for it run.
                self.drop_body(number, body)?;
            }
            Err(caught) => {
                self.end(number, Kind::Panicked);
                // What a panic left behind may panic again; it has been heard.
                let _ = catch(|| drop(body));
                return Err(self.panicked(number, caught));
            }
        }
        self.collect_woken(number);
        Ok(())
    }

    /// Counts a poll, and takes out what there is to poll.
    fn begin_poll(&self, number: u32) -> Result<Option<(Body, Waker)>, FailureKind> {
        let now = self.now();
        let limits = self.limits.get();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.polls += 1;
        if state.polls > limits.polls {
            return Err(FailureKind::TooManyPolls { limit: limits.polls });
        }
        let here = if state.polls_here.0 == now { state.polls_here.1 } else { 0 };
        state.polls_here = (now, here.saturating_add(1));
        if state.polls_here.1 > limits.polls_per_instant {
            let busiest = state.tasks.iter().filter(|task| task.polls_here.0 == now).max_by_key(|task| task.polls_here.1);
            let (name, polls) = busiest.map_or((Cow::Borrowed("nobody"), 0), |task| (task.name.clone(), task.polls_here.1));
            return Err(FailureKind::NoProgress { task: name, polls, at: now });
        }
        state.trace.record(now, Kind::Polled, number, 0);
        Ok(state.tasks.get_mut(number as usize).and_then(|task| task.begin_poll(now)))
    }

    /// Gives a pending task its body back, unless its time has come.
    fn put_back(&self, number: u32, body: Body) -> Result<(), FailureKind> {
        let drop_now = {
            let mut state = self.state.borrow_mut();
            let Some(task) = state.tasks.get_mut(number as usize) else { return Ok(()) };
            task.body = body;
            let polls = task.polls;
            let aborted = task.aborted;
            match task.doom {
                Doom::Later { poll, steps } if poll == polls => {
                    state.doomed.push((number, steps));
                    aborted
                }
                Doom::After { poll } => aborted || poll == polls,
                Doom::Never | Doom::Woken { .. } | Doom::Later { .. } => aborted,
            }
        };
        if drop_now { self.drop_task(number) } else { Ok(()) }
    }

    /// Drops those whose last steps have been counted.
    fn drop_doomed(&self) -> Result<(), FailureKind> {
        if self.state.borrow().doomed.is_empty() {
            return Ok(());
        }
        let mut due = Vec::new();
        self.state.borrow_mut().doomed.retain_mut(|(task, steps)| {
            *steps -= 1;
            if *steps == 0 {
                due.push(*task);
            }
            *steps > 0
        });
        due.into_iter().try_for_each(|task| self.drop_task(task))
    }

    /// Drops a task from outside all tasks.
    fn drop_task(&self, number: u32) -> Result<(), FailureKind> {
        self.set_polling(number);
        let dropped = catch(|| self.abort(number));
        self.set_polling(NOBODY);
        self.collect_woken(number);
        dropped.map_err(|caught| self.panicked(number, caught))
    }

    fn drop_body(&self, number: u32, body: Body) -> Result<(), FailureKind> {
        self.set_polling(number);
        let dropped = catch(|| drop(body));
        self.set_polling(NOBODY);
        dropped.map_err(|caught| self.panicked(number, caught))
    }

    fn end(&self, number: u32, kind: Kind) {
        if let Some(task) = self.state.borrow_mut().tasks.get_mut(number as usize) {
            task.body = Body::Gone;
        }
        self.record(kind, number, 0);
        self.retire(number);
    }

    /// A task is gone: nobody can wake it any more, and somebody may have waited for that.
    fn retire(&self, number: u32) {
        let (waker, labels, waiting) = {
            let mut state = self.state.borrow_mut();
            let Some(task) = state.tasks.get_mut(number as usize) else { return };
            let gone = (task.waker.take(), mem::take(&mut task.labels));
            if !task.background {
                state.live -= 1;
            }
            (gone.0, gone.1, mem::take(&mut state.waiting_for_idle))
        };
        drop((waker, labels));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// After every poll: the invariants, and what a lock may have reported.
    fn check(&self) -> Result<(), FailureKind> {
        if let Some(fault) = self.take_fault() {
            return Err(fault);
        }
        if self.state.borrow().invariants.is_empty() {
            return Ok(());
        }
        let mut invariants = mem::take(&mut self.state.borrow_mut().invariants);
        let broken = catch(|| invariants.iter_mut().find_map(|invariant| (!(invariant.holds)()).then_some(invariant.stated_at)));
        {
            let mut state = self.state.borrow_mut();
            // Those that were added meanwhile come behind.
            invariants.append(&mut state.invariants);
            state.invariants = invariants;
        }
        match broken {
            Ok(None) => Ok(()),
            Ok(Some(stated_at)) => Err(FailureKind::InvariantBroken { stated_at }),
            Err(caught) => Err(self.panicked(NOBODY, caught)),
        }
    }

    fn panicked(&self, number: u32, caught: Caught) -> FailureKind {
        let task = self.state.borrow().tasks.get(number as usize).map(|task| task.name.clone());
        *self.panic.borrow_mut() = Some(caught.payload);
        FailureKind::Panicked {
            task: task.unwrap_or(Cow::Borrowed("an invariant")),
            message: caught.message,
            location: caught.location,
        }
    }

    /// Drops every task, in the order in which they were spawned.
    pub(crate) fn clear(self: &Rc<Self>) {
        let _entered = super::inner::enter(Rc::clone(self));
        let mut next = 0;
        loop {
            let count = self.state.borrow().tasks.len();
            let Ok(number) = u32::try_from(next) else { break };
            if next >= count {
                break;
            }
            // The world is over; a panic has nobody left to tell.
            let _ = catch(|| self.abort(number));
            next += 1;
        }
        let (invariants, fresh) = {
            let mut state = self.state.borrow_mut();
            (mem::take(&mut state.invariants), mem::take(&mut state.fresh))
        };
        let _ = catch(|| drop((invariants, fresh)));
        self.shared().clear();
    }
}
