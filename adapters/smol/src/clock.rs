use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::{Ambient, Clock, Instant, Sleep};
use async_io::Timer;
use pin_project_lite::pin_project;

/// The system's monotonic clock, with async-io's timers.
///
/// No runtime has to be entered: async-io drives its timers on a thread of its own where no executor does.
///
/// # Examples
///
/// ```
/// use aplomb_smol::{Clock, SmolClock};
///
/// let before = SmolClock.now();
/// assert!(SmolClock.now() >= before);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SmolClock;

impl Ambient for SmolClock {
    const CLOCK: Self = Self;
}

impl Clock for SmolClock {
    type Sleep = SmolSleep;

    #[inline]
    fn now(&self) -> Instant {
        std::time::Instant::now().into()
    }

    #[inline]
    fn sleep_until(&self, at: Instant) -> SmolSleep {
        SmolSleep { timer: Option::from(at).map_or_else(Timer::never, Timer::at) }
    }

    #[inline]
    fn sleep_for(&self, duration: Duration) -> SmolSleep {
        SmolSleep { timer: Timer::after(duration) }
    }
}

pin_project! {
    /// async-io's timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes the timer out of the reactor.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct SmolSleep {
        #[pin]
        timer: Timer,
    }
}

impl Future for SmolSleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll(cx).map(|_instant| ())
    }
}

impl Sleep for SmolSleep {
    #[inline]
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let timer = self.project().timer.get_mut();
        match Option::from(at) {
            Some(at) => timer.set_at(at),
            None => *timer = Timer::never(),
        }
    }
}
