//! The one place that touches a [`Sleep`].

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use crate::time::{Clock, Instant, Sleep};

pin_project! {
    /// A timer that is set lazily, set anew rather than replaced, and keeps the laws that the runtimes' sleeps demand.
    ///
    /// A future that has to wait polls its alarm *after* its operation was found pending, at every poll that stays pending, and with the instant it waits for. It pays for no timer before that, and none at all
    /// for [`Instant::MAX`]. Eight laws hold, and are tested on every adapter:
    ///
    /// 1. The sleep is made in a poll, not before: a constructor works outside a runtime, and a ready operation costs no timer.
    /// 2. It is polled at every poll that stays pending: embassy's timer queue forgets a timer that isn't.
    /// 3. It is never polled after it was ready, unless it was set anew.
    /// 4. A new instant resets it, in whatever state it is, instead of making another.
    /// 5. [`Instant::MAX`] registers nothing.
    /// 6. When it is ready, its instant has come, even if the clock, being coarser than the timer, does not say so yet: what is told to a machine is `max(now, at)`.
    /// 7. Dropping it cancels, and so does [disarming](Alarm::disarm) it. A stray wake-up may follow, and is harmless.
    /// 8. It is ready when its time has come, however much of its task's cooperative budget an operation has used up: that is the adapter's part.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::{Clock, alarm::Alarm};
    /// use aplomb_sim::SimClock;
    /// use core::{future::poll_fn, pin::pin, time::Duration};
    ///
    /// aplomb_sim::block_on(async {
    ///     let mut alarm = pin!(Alarm::new());
    ///     let at = SimClock.now() + Duration::from_millis(20);
    ///     poll_fn(|cx| alarm.as_mut().poll_until(&SimClock, at, cx)).await;
    ///     assert_eq!(SimClock.now(), at);
    /// });
    /// ```
    pub struct Alarm<S> {
        // What the sleep is set to; until there is one, what its owner has put here.
        at: Instant,
        #[pin]
        sleep: Option<S>,
    }
}

impl<S> Alarm<S> {
    /// An alarm that is set to nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::set_to(Instant::MAX)
    }

    /// An alarm that will be polled until `at`. It only keeps that in mind, for [`at`](Alarm::at) to tell.
    #[must_use]
    pub const fn set_to(at: Instant) -> Self {
        Self { at, sleep: None }
    }

    /// What it is set to; [`Instant::MAX`] if to nothing, or after it was ready.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// Waits for nothing any more: gives up its timer, if it has one. What it was set to, it keeps in mind.
    ///
    /// Whoever ends calls it, since a future that has ended may be kept.
    #[inline]
    pub fn disarm(self: Pin<&mut Self>) {
        let mut sleep = self.project().sleep;
        // Most have ended without.
        if sleep.is_some() {
            sleep.set(None);
        }
    }
}

impl<S: Sleep> Alarm<S> {
    /// Waits until `at`, which may be another instant at each poll.
    ///
    /// # Cancel safety
    ///
    /// There is nothing to lose: the next poll says anew what is waited for.
    // Kept out of line on small machines, where every pattern that waits comes by.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub fn poll_until<C: Clock<Sleep = S>>(self: Pin<&mut Self>, clock: &C, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if at.is_never() {
            return Poll::Pending;
        }
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) if *this.at != at => sleep.reset(at),
            Some(_) => {}
            None => this.sleep.set(Some(clock.sleep_until(at))),
        }
        *this.at = at;
        let Some(sleep) = this.sleep.as_pin_mut() else { return Poll::Pending };
        let fired = sleep.poll(cx);
        if fired.is_ready() {
            // No longer set to anything, so that another poll would set it anew.
            *this.at = Instant::MAX;
        }
        fired
    }
}

impl<S: Sleep> Alarm<S> {
    /// Waits for so long, counted from the first of these polls. It is for those who need not know the instant: runtimes save the way there and back.
    ///
    /// # Cancel safety
    ///
    /// The time that has been waited for is kept in the alarm.
    #[inline]
    pub fn poll_for<C: Clock<Sleep = S>>(self: Pin<&mut Self>, clock: &C, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if time == Duration::MAX {
            return Poll::Pending;
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(clock.sleep_for(time)));
        }
        let Some(sleep) = this.sleep.as_mut().as_pin_mut() else { return Poll::Pending };
        let fired = sleep.poll(cx);
        if fired.is_ready() {
            this.sleep.set(None);
        }
        fired
    }
}

impl<S> Default for Alarm<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Alarm<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("at", &self.at).field("armed", &self.sleep.is_some()).finish()
    }
}
