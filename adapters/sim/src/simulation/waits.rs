//! The futures that wait for something about the world itself.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::inner;

/// Waits until all other tasks have ended: see [`Sim::run_until_idle`](crate::Sim::run_until_idle).
///
/// # Cancel safety
///
/// Nothing is lost by dropping it.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Sim, block_on, now, sleep, spawn};
/// use core::time::Duration;
///
/// block_on(async {
///     spawn("long", sleep(Duration::from_secs(9)));
///     Sim.run_until_idle().await;
///     assert_eq!(now().as_nanos(), 9_000_000_000);
/// });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct UntilIdle {
    label: Label,
}

impl UntilIdle {
    pub(crate) fn new() -> Self {
        Self { label: Label::NONE }
    }
}

impl Future for UntilIdle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = inner::expect_current();
        let idle = {
            let state = world.state.borrow();
            let me = state.tasks.get(world.polling() as usize).is_some_and(|task| !task.background);
            state.live == usize::from(me)
        };
        if idle {
            self.label.clear();
            return Poll::Ready(());
        }
        self.label.set(|| Cow::Borrowed("all other tasks to end"));
        enlist(&mut world.state.borrow_mut().waiting_for_idle, cx.waker());
        Poll::Pending
    }
}

/// Waits until no other task can run at this instant: see [`Sim::settle`](crate::Sim::settle).
///
/// # Cancel safety
///
/// Nothing is lost by dropping it.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{Sim, block_on, spawn};
///
/// block_on(async {
///     let quick = spawn("quick", async { Sim.yield_now().await });
///     Sim.settle().await;
///     assert!(quick.is_finished());
/// });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Settle {
    asked: bool,
}

impl Settle {
    pub(crate) fn new() -> Self {
        Self { asked: false }
    }
}

impl Future for Settle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = inner::expect_current();
        // Woken for another reason, it waits on: its waker is still in the list.
        if self.asked && world.state.borrow().ready.is_empty() {
            return Poll::Ready(());
        }
        self.asked = true;
        enlist(&mut world.state.borrow_mut().waiting_to_settle, cx.waker());
        Poll::Pending
    }
}

/// Lets others run first: see [`Sim::yield_now`](crate::Sim::yield_now).
///
/// # Cancel safety
///
/// Nothing is lost by dropping it.
///
/// # Examples
///
/// ```
/// aplomb_sim::block_on(async { aplomb_sim::Sim.yield_now().await });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct YieldNow {
    yielded: bool,
}

impl YieldNow {
    pub(crate) fn new() -> Self {
        Self { yielded: false }
    }
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Says what `future` waits for, while it is pending: the text stands behind the task in the report of a deadlock.
///
/// # Cancel safety
///
/// As `future`.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{World, waiting_for};
///
/// let world = World::new();
/// world.spawn("client", waiting_for("an answer", core::future::pending::<()>()));
/// let failure = world.run().unwrap_err();
/// assert!(failure.to_string().contains("waits for an answer"));
/// ```
pub fn waiting_for<F: Future>(what: impl Into<Cow<'static, str>>, future: F) -> WaitingFor<F> {
    WaitingFor { future, what: what.into(), label: Label::NONE }
}

/// The mark in the task's list; dropping it takes it out.
#[derive(Debug)]
struct Label {
    task: u32,
    number: Option<u64>,
}

impl Label {
    const NONE: Self = Self { task: 0, number: None };

    fn set(&mut self, what: impl FnOnce() -> Cow<'static, str>) {
        if self.number.is_none()
            && let Some(world) = inner::current()
        {
            let mut state = world.state.borrow_mut();
            state.labels += 1;
            let number = state.labels;
            if let Some(task) = state.tasks.get_mut(world.polling() as usize) {
                task.labels.push((number, what()));
                *self = Self { task: world.polling(), number: Some(number) };
            }
        }
    }

    fn clear(&mut self) {
        if let Some(number) = self.number.take()
            && let Some(world) = inner::current()
            && let Ok(mut state) = world.state.try_borrow_mut()
            && let Some(task) = state.tasks.get_mut(self.task as usize)
        {
            task.labels.retain(|(label, _)| *label != number);
        }
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        self.clear();
    }
}

pin_project! {
    /// A future with a label: see [`waiting_for`].
    ///
    /// # Cancel safety
    ///
    /// As the future inside.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct WaitingFor<F> {
        #[pin]
        future: F,
        what: Cow<'static, str>,
        label: Label,
    }
}

impl<F: Future> Future for WaitingFor<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            this.label.clear();
        } else {
            this.label.set(|| this.what.clone());
        }
        polled
    }
}

/// Adds a waker that is not there yet. They are those of tasks of this world: to clone one runs no foreign code.
fn enlist(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|other| other.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}
