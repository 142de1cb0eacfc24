use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::RateLimitError;
use super::line::{Asked, Joined, Turn};
use super::lines::{Find, Lines, LinkOf, wake};
use super::permit::Permit;
use crate::alarm::Alarm;
use crate::platform::Platform;
use crate::sync::wait_list::Key;
use crate::time::{Clock, Instant};

type SleepOf<L> = <<<L as Lines>::Platform as Platform>::Clock as Clock>::Sleep;

pin_project! {
    /// Waits for permits; made by [`RateLimiter::acquire`](super::RateLimiter::acquire) and its likes.
    ///
    /// Whoever is first in the queue has the one timer that runs, and wakes the next one when it has its permits.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, and nothing is spent: permits are taken at the very poll that returns them. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<'l, L: Lines, K> {
        lines: &'l L,
        // None after the end.
        key: Option<K>,
        permits: u32,
        deadline: Instant,
        place: Option<Place<'l, L>>,
        #[pin]
        alarm: Alarm<SleepOf<L>>,
    }
}

/// A place in the queue, which is given up when this is dropped.
struct Place<'l, L: Lines> {
    lines: &'l L,
    spot: L::Spot,
    key: Key<LinkOf<L>>,
}

impl<L: Lines> Drop for Place<'_, L> {
    fn drop(&mut self) {
        let now = self.lines.clock().now();
        if let Some((_unused, next)) = self.lines.with(self.spot, now, |desk| desk.leave(self.key)) {
            wake(next);
        }
    }
}

impl<'l, L: Lines, K: Find<L>> Acquire<'l, L, K> {
    pub(super) const fn new(lines: &'l L, key: K, permits: u32, deadline: Instant) -> Self {
        Self { lines, key: Some(key), permits, deadline, place: None, alarm: Alarm::new() }
    }
}

impl<'l, L: Lines, K: Find<L>> Future for Acquire<'l, L, K> {
    type Output = Result<Permit<'l, L>, RateLimitError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(key) = self.key else { return Poll::Pending };
        let lines = self.lines;
        let now = lines.clock().now();
        if self.place.is_none() {
            let permits = self.permits;
            if let Some(spot) = key.try_take(lines, now, permits) {
                *self.as_mut().project().key = None;
                return Poll::Ready(Ok(Permit::new(lines, spot, permits)));
            }
        }
        self.poll_under_lock(key, now, cx)
    }
}

impl<'l, L: Lines, K: Find<L>> Acquire<'l, L, K> {
    fn end<R>(self: Pin<&mut Self>, result: R) -> Poll<R> {
        let this = self.project();
        *this.key = None;
        // Outside the lock, and before the caller learns of it: the next one goes on.
        drop(this.place.take());
        Poll::Ready(result)
    }

    /// It has ended, and its place is no longer there.
    fn forget_place(self: Pin<&mut Self>) {
        let this = self.project();
        *this.key = None;
        core::mem::forget(this.place.take());
    }

    // Kept out of line, so that the short way is short.
    #[inline(never)]
    fn poll_under_lock(
        mut self: Pin<&mut Self>,
        key: K,
        mut now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<'l, L>, RateLimitError>> {
        let lines = self.lines;
        if self.place.is_none() {
            let (permits, deadline) = (self.permits, self.deadline);
            // Without a waker first: most find their permits there.
            match key.find(lines, now, |desk| desk.takes(permits)) {
                Ok((spot, true)) => return self.end(Ok(Permit::new(lines, spot, permits))),
                Ok((_, false)) => {}
                Err(error) => return self.end(Err(error)),
            }
            let waker = cx.waker().clone();
            match key.find(lines, now, |desk| desk.join(permits, deadline, waker)) {
                Ok((spot, (Ok(Joined::Waits(key)), _unused))) => {
                    *self.as_mut().project().place = Some(Place { lines, spot, key });
                }
                Ok((spot, (Ok(Joined::Admitted), _unused))) => return self.end(Ok(Permit::new(lines, spot, permits))),
                Ok((_, (Err(error), _unused))) => return self.end(Err(error)),
                Err(error) => return self.end(Err(error)),
            }
        }
        loop {
            let Some(&Place { spot, key, .. }) = self.place.as_ref() else { return Poll::Pending };
            let waker = cx.waker().clone();
            // A line in which somebody waits is never gone.
            let Some(Asked { turn, unused: _unused, next }) = lines.with(spot, now, |desk| desk.ask(key, waker)) else {
                return Poll::Pending;
            };
            let until = match turn {
                Turn::Wait { until } => until,
                Turn::Admitted => {
                    let permit = Permit::new(lines, spot, self.permits);
                    self.as_mut().forget_place();
                    wake(next);
                    return Poll::Ready(Ok(permit));
                }
                Turn::Refused(error) => {
                    self.as_mut().forget_place();
                    wake(next);
                    return Poll::Ready(Err(error));
                }
            };
            if now >= self.deadline {
                return self.end(Err(RateLimitError::Deadline));
            }
            let at = until.min(self.deadline);
            let clock = lines.clock();
            ready!(self.as_mut().project().alarm.poll_until(clock, at, cx));
            now = clock.now().max(at);
        }
    }
}

impl<L: Lines, K> fmt::Debug for Acquire<'_, L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, waits) = (self.permits, self.place.is_some());
        f.debug_struct("Acquire").field("permits", &permits).field("waits", &waits).finish_non_exhaustive()
    }
}
