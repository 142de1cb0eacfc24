use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::TimeoutError;
use crate::alarm::Alarm;
use crate::deadline::Deadline;
use crate::operation::{Fallible, end};
use crate::platform::SMALL;
use crate::time::{Clock, Instant, duration, nanos};

pin_project! {
    /// An operation with a limit to its time.
    ///
    /// The adapters' `timeout`, `timeout_at` and `TimeoutExt` make one with their own clock.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the operation and the timer. Polled after its end, it is pending for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::timeout::{Timeout, TimeoutError};
    /// use aplomb_sim::SimClock;
    /// use core::{future::pending, time::Duration};
    ///
    /// let after = Duration::from_millis(50);
    /// let late = aplomb_sim::block_on(Timeout::with_clock(SimClock, after, pending::<Result<(), &str>>()));
    /// assert_eq!(late, Err(TimeoutError::TimedOut { after: Some(after) }));
    ///
    /// let failed = aplomb_sim::block_on(Timeout::with_clock(SimClock, after, async { Err::<(), _>("refused") }));
    /// assert_eq!(failed, Err(TimeoutError::Failed("refused")));
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F, C: Clock> {
        #[pin]
        operation: Option<F>,
        // Nanoseconds; unused with a deadline.
        after: u64,
        // Set to the deadline, if there is one.
        #[pin]
        alarm: Alarm<C::Sleep>,
        clock: C,
    }
}

impl<F, C> Timeout<F, C>
where
    F: Future<Output: Fallible>,
    C: Clock,
{
    /// Gives the operation so much time, from its first poll on.
    pub const fn with_clock(clock: C, after: Duration, operation: F) -> Self {
        Self::of_run(clock, nanos(after), Instant::MAX, operation)
    }

    /// Gives the operation time until then. If that has passed already, an operation that is ready at once still ends well.
    pub const fn at_with_clock(clock: C, deadline: Deadline, operation: F) -> Self {
        Self::of_run(clock, u64::MAX, deadline.instant(), operation)
    }
}

impl<F, C> Future for Timeout<F, C>
where
    F: Future<Output: Fallible>,
    C: Clock,
{
    type Output = Result<<F::Output as Fallible>::Value, TimeoutError<<F::Output as Fallible>::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_by(|operation, cx| operation.poll(cx).map(Fallible::into_result), cx)
    }
}

impl<O, C: Clock> Timeout<O, C> {
    /// What has been started already, with so many nanoseconds for it, or, where those are `u64::MAX`, until a deadline; for [`poll_by`](Timeout::poll_by).
    pub(crate) const fn of_run(clock: C, after: u64, deadline: Instant, run: O) -> Self {
        Self { operation: Some(run), after, alarm: Alarm::set_to(deadline), clock }
    }

    /// Polls what is limited in the way that is given, and then the time.
    #[inline]
    pub(crate) fn poll_by<T, E>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut O>, &mut Context<'_>) -> Poll<Result<T, E>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, TimeoutError<E>>> {
        let mut this = self.project();
        let Some(operation) = this.operation.as_mut().as_pin_mut() else { return Poll::Pending };
        let polled = poll(operation, cx);
        let free = |_: Result<&T, &E>| {
            this.alarm.as_mut().disarm();
            this.operation.set(None);
        };
        if let ended @ Poll::Ready(_) = end(polled, free, TimeoutError::Failed) {
            return ended;
        }
        let fired = match this.alarm.at() {
            // Set to nothing yet.
            Instant::MAX if SMALL => this.alarm.poll_until(this.clock, this.clock.now().saturating_add_nanos(*this.after), cx),
            Instant::MAX => this.alarm.poll_for(this.clock, duration(*this.after), cx),
            at => this.alarm.poll_until(this.clock, at, cx),
        };
        fired.map(|()| {
            this.operation.set(None);
            Err(TimeoutError::TimedOut { after: (*this.after != u64::MAX).then(|| duration(*this.after)) })
        })
    }
}

impl<F: fmt::Debug, C: Clock> fmt::Debug for Timeout<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("operation", &self.operation).field("at", &self.alarm.at()).finish_non_exhaustive()
    }
}
