use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::TimeoutError;
use crate::alarm::Alarm;
use crate::deadline::Deadline;
use crate::operation::Fallible;
use crate::time::{Clock, duration, nanos};

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
        Self { operation: Some(operation), after: nanos(after), alarm: Alarm::new(), clock }
    }

    /// Gives the operation time until then. If that has passed already, an operation that is ready at once still ends well.
    pub const fn at_with_clock(clock: C, deadline: Deadline, operation: F) -> Self {
        Self { operation: Some(operation), after: u64::MAX, alarm: Alarm::set_to(deadline.instant()), clock }
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
        let mut this = self.project();
        let Some(operation) = this.operation.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(outcome) = operation.poll(cx) {
            this.operation.set(None);
            return Poll::Ready(outcome.into_result().map_err(TimeoutError::Failed));
        }
        let after = duration(*this.after);
        let deadline = this.alarm.at();
        let fired = if deadline.is_never() {
            this.alarm.poll_for(this.clock, after, cx)
        } else {
            this.alarm.poll_until(this.clock, deadline, cx)
        };
        fired.map(|()| {
            this.operation.set(None);
            Err(TimeoutError::TimedOut { after: deadline.is_never().then_some(after) })
        })
    }
}

impl<F: fmt::Debug, C: Clock> fmt::Debug for Timeout<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("operation", &self.operation).field("at", &self.alarm.at()).finish_non_exhaustive()
    }
}
