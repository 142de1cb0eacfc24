use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::with_shared::{MaybeShared, WithShared};
use crate::alarm::Alarm;
use crate::deadline::Deadline;
use crate::time::{Instant, Sleep};

/// What has a clock by which its callers can be late. It is implemented for those of this crate only.
pub trait Timed {
    /// Its clock's timer.
    type Sleep: Sleep;

    #[doc(hidden)]
    fn poll_until(&self, alarm: Pin<&mut Alarm<Self::Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

/// A call that can be late. It is implemented for those of this crate only.
pub trait Late: Future {
    /// By whose clock.
    type Timed: Timed;

    #[doc(hidden)]
    fn timed(&self) -> &Self::Timed;

    /// Whether it waits for another one's operation.
    #[doc(hidden)]
    fn follows(&self) -> bool;

    /// It is late: ends with what has landed for it by then, or leaves, as when it is dropped.
    #[doc(hidden)]
    fn leave(self: Pin<&mut Self>) -> Self::Output;
}

pin_project! {
    /// A call that shares its run with others, until a deadline; made by `deadline_at` of such a call.
    ///
    /// Its operation is polled first: what is ready at the very deadline, or at once, is in time. No timer is set before it has to wait. Who comes to lead when its time is up starts nothing, and hands over.
    ///
    /// # Cancel safety
    ///
    /// As of the call within.
    // The timer is a parameter, and not asked of the call: whoever spawns a task has the compiler prove it for any lifetimes, and a call is late only where they are the same.
    #[must_use = "futures do nothing unless polled"]
    pub struct WithDeadline<R, S> {
        #[pin]
        run: R,
        // Never, once it has ended.
        deadline: Instant,
        #[pin]
        alarm: Alarm<S>,
    }
}

impl<R, S> WithDeadline<R, S> {
    pub(crate) const fn new(run: R, deadline: Deadline) -> Self {
        Self { run, deadline: deadline.instant(), alarm: Alarm::new() }
    }
}

impl<R: MaybeShared, S> WithDeadline<R, S> {
    /// Tells too whether the result went to several callers.
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<R: Late<Timed: Timed<Sleep = S>>, S: Sleep> Future for WithDeadline<R, S> {
    type Output = R::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Who has waited may lead by now.
        let follows = this.run.follows();
        let mut polled = if follows { Poll::Pending } else { this.run.as_mut().poll(cx) };
        if polled.is_pending() {
            let is_late = this.run.timed().poll_until(this.alarm.as_mut(), *this.deadline, cx).is_ready();
            polled = match () {
                () if is_late => Poll::Ready(this.run.leave()),
                () if follows => this.run.poll(cx),
                () => Poll::Pending,
            };
        }
        if polled.is_pending() {
            return Poll::Pending;
        }
        *this.deadline = Instant::MAX;
        this.alarm.disarm();
        polled
    }
}

impl<R: MaybeShared, S> MaybeShared for WithDeadline<R, S> {
    fn is_shared(&self) -> bool {
        self.run.is_shared()
    }
}

impl<R: fmt::Debug, S> fmt::Debug for WithDeadline<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithDeadline").field("run", &self.run).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
