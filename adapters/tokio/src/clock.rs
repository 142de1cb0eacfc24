use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::{Ambient, Clock, Instant, Sleep};
use pin_project_lite::pin_project;
use tokio::task::coop::{has_budget_remaining, unconstrained};

/// tokio's clock, which stands still under `tokio::time::pause`.
///
/// It tells the time anywhere; only a sleep needs a runtime, with its time driver enabled, and only when it is polled.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::{Clock, TokioClock};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let before = TokioClock.now();
/// tokio::time::sleep(Duration::from_secs(3_600)).await; // takes no time: the clock is paused
/// assert_eq!(TokioClock.now() - before, Duration::from_secs(3_600));
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioClock;

impl Ambient for TokioClock {
    const CLOCK: Self = Self;
}

impl Clock for TokioClock {
    type Sleep = TokioSleep;

    const RESOLUTION: Duration = Duration::from_millis(1);

    #[inline]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std().into()
    }

    #[inline]
    fn sleep_until(&self, at: Instant) -> TokioSleep {
        TokioSleep { sleep: tokio::time::sleep_until(instant(at)) }
    }

    #[inline]
    fn sleep_for(&self, duration: Duration) -> TokioSleep {
        TokioSleep { sleep: tokio::time::sleep(duration) }
    }
}

/// tokio's instant for ours; for what it cannot tell, one that is far enough away.
fn instant(at: Instant) -> tokio::time::Instant {
    const FAR: Duration = Duration::from_hours(24 * 365 * 30);
    Option::<std::time::Instant>::from(at).map_or_else(|| tokio::time::Instant::now() + FAR, tokio::time::Instant::from_std)
}

pin_project! {
    /// tokio's timer, outside the cooperative budget: an operation that uses the budget up at every poll could otherwise keep its own timeout from firing.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes the timer out of tokio's wheel.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TokioSleep {
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl Future for TokioSleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.project().sleep;
        if has_budget_remaining() { sleep.poll(cx) } else { pin!(unconstrained(sleep)).poll(cx) }
    }
}

impl Sleep for TokioSleep {
    #[inline]
    fn reset(self: Pin<&mut Self>, at: Instant) {
        self.project().sleep.reset(instant(at));
    }
}
