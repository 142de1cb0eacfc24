//! How a pin is read, whatever machine it is read for.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use embedded_hal::digital::InputPin;
use embedded_hal_async::digital::Wait;

use super::reading::Reading;
use super::{Edge, Gesture, Gestures, LevelDebouncer};
use crate::alarm::Alarm;
use crate::time::{Clock, Instant, nanos};
use crate::yielding::yield_now;

/// A pin, and the machine that is told its level.
pub(super) struct Watch<C, I, M> {
    pub(super) clock: C,
    pub(super) pin: I,
    pub(super) machine: M,
    pub(super) active_low: bool,
    /// What the machine has still to be told, to its end, before the pin is read anew.
    untold: Option<Sample>,
}

/// The level that a pin had.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    level: bool,
}

impl<C, I, M> Watch<C, I, M> {
    pub(super) const fn new(clock: C, pin: I, machine: M) -> Self {
        Self { clock, pin, machine, active_low: false, untold: None }
    }
}

impl<C: Clock, I: InputPin + Wait, M: Machine> Watch<C, I, M> {
    /// Waits for what the machine tells next.
    pub(super) async fn next(&mut self) -> Result<M::Told, I::Error> {
        let mut alarm = pin!(Alarm::new());
        let mut now = self.clock.now();
        loop {
            if let Some(told) = self.tell() {
                return Ok(told);
            }
            let level = self.pin.is_high()? != self.active_low;
            self.untold = Some(Sample { at: now, level });
            if let Some(told) = self.tell() {
                return Ok(told);
            }
            now = self.wait_while(level, alarm.as_mut()).await?;
        }
    }

    fn tell(&mut self) -> Option<M::Told> {
        let Sample { at, level } = self.untold?;
        let told = self.machine.read(Reading { now: at, tick: nanos(C::TICK) }, level);
        if told.is_none() {
            self.untold = None;
        }
        told
    }

    /// Waits as long as the pin has that level, and the machine asks for no sample; says what time it is then.
    async fn wait_while(&mut self, level: bool, mut alarm: Pin<&mut Alarm<C::Sleep>>) -> Result<Instant, I::Error> {
        let Self { clock, pin, machine, active_low, untold } = self;
        let due = machine.next_deadline().unwrap_or(Instant::MAX);
        let for_high = level == *active_low;
        let mut leaving = pin!(async move { if for_high { pin.wait_for_high().await } else { pin.wait_for_low().await } });
        let mut at_once = true;
        let left = poll_fn(|cx| {
            if let Poll::Ready(outcome) = leaving.as_mut().poll(cx) {
                return Poll::Ready(outcome.map(|()| true));
            }
            at_once = false;
            alarm.as_mut().poll_until(clock, due, cx).map(|()| Ok(false))
        })
        .await?;
        let now = clock.now();
        if !left {
            // So late it is, even if the clock does not say so yet.
            return Ok(now.max(due + C::TICK));
        }
        // It may be back already.
        *untold = Some(Sample { at: now, level: !level });
        if !at_once {
            return Ok(now);
        }
        // It changes as fast as it is read, or its answers contradict each other.
        yield_now().await;
        Ok(clock.now())
    }
}

/// What is told the level.
pub(super) trait Machine {
    type Told;

    fn read(&mut self, reading: Reading, level: bool) -> Option<Self::Told>;

    fn next_deadline(&self) -> Option<Instant>;
}

impl Machine for LevelDebouncer {
    type Told = Edge;

    fn read(&mut self, reading: Reading, level: bool) -> Option<Edge> {
        self.read(reading, level)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }
}

impl Machine for Gestures {
    type Told = Gesture;

    fn read(&mut self, reading: Reading, pressed: bool) -> Option<Gesture> {
        self.read(reading, pressed)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }
}
