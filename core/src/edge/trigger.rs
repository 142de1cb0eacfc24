use core::fmt;
use core::future::Future;
use core::mem::{replace, take};
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::BUDGET;
use super::error::DriveError;
use super::gate::{Gate, Mode, State};
use super::machine::{Decision, Starting};
use super::terms::Terms;
use crate::alarm::Alarm;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::time::{Clock, Instant};

/// Callers leave a value and go on; one task takes the values, and owns the operation.
#[derive(Debug)]
pub struct Trigger<V> {
    /// What was flushed, until the driver comes for it.
    flushed: Option<V>,
    /// The newest, until the driver comes for it.
    pending: Option<V>,
    /// Whether somebody takes the values.
    driven: bool,
    /// Of the driver, while it waits and has not been woken.
    waker: Option<Waker>,
    /// When the driver looks again by itself.
    looks_at: Instant,
}

impl<V> Mode for Trigger<V> {
    const NEW: Self = Self { flushed: None, pending: None, driven: false, waker: None, looks_at: Instant::MAX };
    type Dropped = [Option<V>; 2];

    fn cancel(&mut self) -> [Option<V>; 2] {
        [self.flushed.take(), self.pending.take()]
    }

    fn flush(&mut self) -> [Option<V>; 2] {
        match self.pending.take() {
            Some(value) => [self.flushed.replace(value), None],
            None => [None, None],
        }
    }

    fn next_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

/// What the driver is told.
enum Turn<V> {
    Take(V),
    Wait { until: Instant },
}

impl<V> State<Trigger<V>> {
    /// A value comes. What it replaces comes back, with the driver's waker if that would look too late.
    #[inline]
    fn trigger(&mut self, terms: &Terms, now: Instant, value: V) -> (Option<V>, Option<Waker>) {
        let mode = &mut self.mode;
        match self.window.defer(terms, now) {
            Decision::Wait { until } => {
                let waker = if until < mode.looks_at { mode.waker.take() } else { None };
                (mode.pending.replace(value), waker)
            }
            Decision::Skip | Decision::Start => (Some(value), None),
        }
    }

    /// The driver asks: takes what starts, or waits from now on. A waker to be dropped comes back.
    fn ask(&mut self, terms: &Terms, now: Instant, waker: Waker) -> (Turn<V>, Option<Waker>) {
        let value = match self.window.tick(terms, now) {
            Some(Starting::Flushed) => self.mode.flushed.take(),
            Some(Starting::Newest) => self.mode.pending.take(),
            None => None,
        };
        if let Some(value) = value {
            return (Turn::Take(value), Some(waker));
        }
        let until = self.window.next_deadline();
        self.mode.looks_at = until;
        (Turn::Wait { until }, self.mode.waker.replace(waker))
    }
}

impl<P: Platform, K, V> Gate<P, K, Trigger<V>> {
    /// Leaves a value for whoever [runs](Gate::run) this. It may be called from anywhere: another task or thread, and an interrupt handler, if the platform's lock keeps those out.
    ///
    /// A value that is replaced by a newer one is dropped, here; so is one that could have started, if nobody has come for it. A wrong configuration is told to whoever drives.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static LEVEL: Throttle<Trigger<u16>> = checked!(Throttle::triggered(ms(50)));
    ///
    /// fn on_interrupt(level: u16) { LEVEL.trigger(level); }
    ///
    /// aplomb_sim::block_on(async {
    ///     on_interrupt(1);
    ///     assert_eq!(LEVEL.next().await, Ok(1), "the first at once");
    ///     for level in 2..100 {
    ///         on_interrupt(level);
    ///     }
    ///     assert_eq!(LEVEL.next().await, Ok(99), "and the newest when the interval is over");
    /// });
    /// ```
    #[inline]
    pub fn trigger(&self, value: V) {
        let Self { clock, terms, state, .. } = self;
        let now = clock.now();
        let (_older, waker) = state.with(|state| state.trigger(terms, now, value));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for the next value that starts.
    ///
    /// It is for an operation that borrows: a driver's `&mut`, for example. What is due while nobody waits starts when somebody does, with the newest value.
    ///
    /// # Errors
    ///
    /// [`DriveError::Busy`] while another task waits here or [runs](Gate::run) this; [`DriveError::Config`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// struct Display { shown: u32 }
    ///
    /// impl Display {
    ///     async fn show(&mut self, number: u32) { self.shown = number; }
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let knob: Debounce<Trigger<u32>> = Debounce::triggered(ms(20));
    ///     let mut display = Display { shown: 0 };
    ///     for position in 1..=5 {
    ///         knob.trigger(position);
    ///     }
    ///     display.show(knob.next().await.unwrap()).await;
    ///     assert_eq!(display.shown, 5);
    /// });
    /// ```
    pub fn next(&self) -> Next<'_, P, K, V> {
        Next { driver: Driver::new(self), alarm: Alarm::new() }
    }

    /// Runs the operation with each value that starts, one at a time, for ever: what is due while it runs starts when it has ended, with the newest value.
    ///
    /// # Errors
    ///
    /// It ends with [`DriveError::Busy`] if another task drives this already, or with [`DriveError::Config`]; else never.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static SAVE: Debounce<Trigger<String>> = checked!(Debounce::triggered(ms(500)));
    ///
    /// async fn save(text: String) { println!("saved {text:?}"); }
    ///
    /// aplomb_sim::block_on(async {
    ///     aplomb_sim::spawn("driver", async { SAVE.run(save).await });
    ///     SAVE.trigger("dra".to_owned());
    ///     SAVE.trigger("draft".to_owned());
    /// });
    /// ```
    pub fn run<O, Fut>(&self, operation: O) -> Run<'_, P, K, V, O, Fut>
    where
        O: FnMut(V) -> Fut,
        Fut: Future<Output = ()>,
    {
        Run { driver: Driver::new(self), operation, running: None, alarm: Alarm::new() }
    }
}

/// The right to take the values, from its first use until it is given up or dropped.
struct Driver<'g, P: Platform, K, V> {
    gate: &'g Gate<P, K, Trigger<V>>,
    drives: bool,
}

impl<'g, P: Platform, K, V> Driver<'g, P, K, V> {
    fn new(gate: &'g Gate<P, K, Trigger<V>>) -> Self {
        Self { gate, drives: false }
    }

    fn poll_value(
        &mut self,
        mut alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<V, DriveError>> {
        let Gate { clock, terms, state, .. } = self.gate;
        if !self.drives {
            if let Some(error) = terms.config_error() {
                return Poll::Ready(Err(DriveError::Config(error)));
            }
            if state.with(|state| replace(&mut state.mode.driven, true)) {
                return Poll::Ready(Err(DriveError::Busy));
            }
            self.drives = true;
        }
        let mut now = clock.now();
        loop {
            let waker = cx.waker().clone();
            let (turn, _unused) = state.with(|state| state.ask(terms, now, waker));
            match turn {
                Turn::Take(value) => return Poll::Ready(Ok(value)),
                Turn::Wait { until } => {
                    ready!(alarm.as_mut().poll_until(clock, until.earlier(P::Clock::TICK), cx));
                    now = now.max(until);
                }
            }
        }
    }
}

impl<P: Platform, K, V> Driver<'_, P, K, V> {
    /// Another may drive.
    fn give_up(&mut self) {
        if take(&mut self.drives) {
            drop(self.gate.state.with(|state| {
                state.mode.driven = false;
                state.mode.waker.take()
            }));
        }
    }
}

impl<P: Platform, K, V> Drop for Driver<'_, P, K, V> {
    fn drop(&mut self) {
        self.give_up();
    }
}

pin_project! {
    /// Waits for a value; made by [`Gate::next`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: a value is taken at the very poll that returns it, which also makes way for the next who waits.
    #[must_use = "futures do nothing unless polled"]
    pub struct Next<'g, P: Platform, K, V> {
        driver: Driver<'g, P, K, V>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
    }
}

impl<P: Platform, K, V> Future for Next<'_, P, K, V> {
    type Output = Result<V, DriveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let value = ready!(this.driver.poll_value(this.alarm.as_mut(), cx));
        this.alarm.disarm();
        this.driver.give_up();
        Poll::Ready(value)
    }
}

pin_project! {
    /// Runs an operation with each value that starts; made by [`Gate::run`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the operation that runs, whose value is lost with it. What is pending stays, for whoever runs this next. If the operation panics, another may run this at once; polled again, this goes on with the next value.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'g, P: Platform, K, V, O, Fut> {
        operation: O,
        #[pin]
        running: Option<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
        // The last to be dropped: whoever drives next finds what this held free.
        driver: Driver<'g, P, K, V>,
    }
}

impl<P, K, V, O, Fut> Future for Run<'_, P, K, V, O, Fut>
where
    P: Platform,
    O: FnMut(V) -> Fut,
    Fut: Future<Output = ()>,
{
    type Output = DriveError;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DriveError> {
        clear_at_panic(self, Self::give_up, |run| run.poll_values(cx))
    }
}

impl<P, K, V, O, Fut> Run<'_, P, K, V, O, Fut>
where
    P: Platform,
    O: FnMut(V) -> Fut,
    Fut: Future<Output = ()>,
{
    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.alarm.disarm();
        this.running.set(None);
        this.driver.give_up();
    }

    fn poll_values(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DriveError> {
        let mut this = self.project();
        let mut budget = BUDGET;
        loop {
            if let Some(running) = this.running.as_mut().as_pin_mut() {
                ready!(running.poll(cx));
                this.running.set(None);
                budget -= 1;
                if budget == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            match ready!(this.driver.poll_value(this.alarm.as_mut(), cx)) {
                Ok(value) => this.running.set(Some((this.operation)(value))),
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}

impl<P: Platform, K, V> fmt::Debug for Next<'_, P, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("drives", &self.driver.drives).finish_non_exhaustive()
    }
}

impl<P: Platform, K, V, O, Fut> fmt::Debug for Run<'_, P, K, V, O, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (drives, runs) = (self.driver.drives, self.running.is_some());
        f.debug_struct("Run").field("drives", &drives).field("runs", &runs).finish_non_exhaustive()
    }
}
