use core::future::Future;
use core::num::NonZeroU64;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use aplomb::{Ambient, Clock, Instant, Sleep};

use crate::ticks::Driver;

/// The clock of embassy's time driver, which the application chooses together with its tick rate.
///
/// It tells whole ticks, rounded down. A sleep waits for the first tick that is not before its instant, and for one more, which makes up for what the reading lacked that the instant was counted from: no time that is waited for ends
/// early, and none ends more than two ticks late.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbassyClock;

impl Ambient for EmbassyClock {
    const CLOCK: Self = Self;
}

impl Clock for EmbassyClock {
    type Sleep = EmbassySleep;

    const RESOLUTION: Duration = Driver::TICK;

    const TICK: Duration = Driver::TICK;

    /// A driver's ticks only go forward.
    const IS_STEADY: bool = true;

    // Out of line on small machines, where each pattern reads it in several places.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn now(&self) -> Instant {
        Driver::instant(embassy_time_driver::now())
    }

    #[inline]
    fn sleep_until(&self, at: Instant) -> EmbassySleep {
        EmbassySleep::until(at)
    }
}

/// A wake-up from embassy's timer queue: eight bytes.
///
/// The queue keeps one entry for each task, the earliest; a sleep that is pending enters its own at every poll.
///
/// # Cancel safety
///
/// There is nothing to lose. The queue may wake the task once for nothing.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct EmbassySleep {
    /// The tick that it waits for; that is never the first, so that an `Option` of it takes no further word.
    tick: NonZeroU64,
}

impl EmbassySleep {
    fn until(at: Instant) -> Self {
        Self { tick: Driver::over(at) }
    }
}

impl Future for EmbassySleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let tick = self.tick.get();
        if embassy_time_driver::now() >= tick {
            return Poll::Ready(());
        }
        embassy_time_driver::schedule_wake(tick, cx.waker());
        Poll::Pending
    }
}

impl Sleep for EmbassySleep {
    #[inline]
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        *self = Self::until(at);
    }
}
