//! The clock of the world that runs on this thread.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::{Ambient, Clock, Instant, Sleep};

use super::inner;
use super::timers::{Shared, TimerKey};

/// The clock of the world that runs on this thread: it stands while anything can run, and then goes to the next
/// timer.
///
/// It has no tick, and takes no time for a poll: its instants are exact to the nanosecond. Every world begins at
/// [`Instant::ORIGIN`]; outside a world that is the time, too.
///
/// # Examples
///
/// ```
/// use aplomb::Clock;
/// use aplomb_sim::{SimClock, block_on};
/// use core::time::Duration;
///
/// block_on(async {
///     let before = SimClock.now();
///     SimClock.sleep_until(before + Duration::from_secs(3600)).await;
///     assert_eq!(SimClock.now() - before, Duration::from_secs(3600));
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimClock;

impl Clock for SimClock {
    type Sleep = SimSleep;

    fn now(&self) -> Instant {
        inner::now()
    }

    fn sleep_until(&self, at: Instant) -> SimSleep {
        SimSleep { at, armed: None }
    }
}

impl Ambient for SimClock {
    const CLOCK: Self = Self;
}

/// The present instant of the world that runs on this thread; [`Instant::ORIGIN`] outside a world.
///
/// # Examples
///
/// ```
/// use aplomb_sim::{block_on, now, sleep};
/// use core::time::Duration;
///
/// let waited = block_on(async {
///     let before = now();
///     sleep(Duration::from_millis(20)).await;
///     now() - before
/// });
/// assert_eq!(waited, Duration::from_millis(20));
/// ```
#[must_use]
pub fn now() -> Instant {
    SimClock.now()
}

/// Waits for `duration` of virtual time, from now on; [`Duration::MAX`] is for ever.
///
/// # Cancel safety
///
/// Dropping the future cancels its timer.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// aplomb_sim::block_on(aplomb_sim::sleep(Duration::from_secs(86_400)));
/// ```
pub fn sleep(duration: Duration) -> SimSleep {
    SimClock.sleep_until(SimClock.now() + duration)
}

/// Waits until `at`, in virtual time; [`Instant::MAX`] is never.
///
/// # Cancel safety
///
/// Dropping the future cancels its timer.
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// aplomb_sim::block_on(aplomb_sim::sleep_until(Instant::from_nanos(1)));
/// ```
pub fn sleep_until(at: Instant) -> SimSleep {
    SimClock.sleep_until(at)
}

/// A sleep on the [`SimClock`].
///
/// # Cancel safety
///
/// Dropping it cancels its timer, wherever that happens.
///
/// # Panics
///
/// It panics when polled outside a world, where it would wait for ever.
///
/// # Examples
///
/// ```
/// use aplomb::{Clock, Sleep};
/// use aplomb_sim::{SimClock, block_on, now};
/// use core::{pin::pin, time::Duration};
///
/// block_on(async {
///     let mut sleep = pin!(SimClock.sleep_until(now() + Duration::from_secs(1)));
///     sleep.as_mut().await;
///     sleep.as_mut().reset(now() + Duration::from_secs(1));
///     sleep.await;
///     assert_eq!(now().as_nanos(), 2_000_000_000);
/// });
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is polled"]
pub struct SimSleep {
    at: Instant,
    armed: Option<Armed>,
}

/// A timer that was registered; it may have fired since.
struct Armed {
    key: TimerKey,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Armed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Armed").field("at", &self.key.0).field("world", &self.shared.number()).finish()
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(world) = inner::current() else {
            panic!(
                "a sleep of the simulated clock was polled outside a world: use aplomb_sim::block_on, Explore or World::enter"
            );
        };
        if self.at.is_never() {
            return Poll::Pending;
        }
        if world.now() >= self.at {
            self.disarm();
            return Poll::Ready(());
        }
        let pending = self
            .armed
            .as_ref()
            .is_some_and(|armed| armed.shared.number() == world.number() && armed.shared.update(armed.key, cx.waker()));
        if !pending {
            // Either it is new, or its timer fired and the clock was set back since, or it comes from another world.
            self.disarm();
            let key = world.shared().register(self.at, world.polling(), cx.waker().clone());
            self.armed = Some(Armed { key, shared: Arc::clone(world.shared()) });
        }
        Poll::Pending
    }
}

impl Sleep for SimSleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        if at != self.at {
            self.disarm();
            self.at = at;
        }
    }
}

impl SimSleep {
    fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            armed.shared.cancel(armed.key);
        }
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
