use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb::{Ambient, Clock, Instant, Sleep};

use crate::ticks::Driver;

/// The clock of embassy's time driver, which the application chooses together with its tick rate.
///
/// An instant is rounded up to the next tick, so that no sleep ends early.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbassyClock;

impl Ambient for EmbassyClock {
    const CLOCK: Self = Self;
}

impl Clock for EmbassyClock {
    type Sleep = EmbassySleep;

    #[inline]
    fn now(&self) -> Instant {
        Driver::instant(embassy_time_driver::now())
    }

    #[inline]
    fn sleep_until(&self, at: Instant) -> EmbassySleep {
        EmbassySleep { tick: Driver::at_or_after(at) }
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
    tick: u64,
}

impl Future for EmbassySleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if embassy_time_driver::now() >= self.tick {
            return Poll::Ready(());
        }
        embassy_time_driver::schedule_wake(self.tick, cx.waker());
        Poll::Pending
    }
}

impl Sleep for EmbassySleep {
    #[inline]
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.tick = Driver::at_or_after(at);
    }
}
