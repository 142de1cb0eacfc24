use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::BUDGET;
use super::machine::{Decision, Window};
use super::terms::Terms;
use crate::alarm::Alarm;
use crate::config::ConfigError;
use crate::time::{Clock, Instant, nanos};

pin_project! {
    /// A stream of which only those items come through that an edge machine lets start; made by the adapters' `debounce`, `throttle_first`, `throttle_latest` and `audit`.
    ///
    /// Items that are ready at the same poll came at the same time: one reading of the clock serves them all.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the item that is pending.
    #[must_use = "streams do nothing unless polled"]
    pub struct EdgeStream<S: Stream, C: Clock> {
        clock: C,
        terms: Terms,
        window: Window,
        newest: Option<S::Item>,
        ended: bool,
        #[pin]
        stream: S,
        #[pin]
        alarm: Alarm<C::Sleep>,
    }
}

impl<S: Stream, C: Clock> EdgeStream<S, C> {
    /// The items of `stream` that start by these terms.
    ///
    /// # Errors
    ///
    /// As of [`Terms::check`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::edge::Terms;
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::{StreamExt, stream};
    ///
    /// let both = Terms::debounce(ms(20)).leading(true);
    /// let items = aplomb_sim::block_on(async { stream::iter(1..=5).edges(both).unwrap().collect::<Vec<_>>().await });
    /// assert_eq!(items, [1, 5]);
    /// ```
    pub fn with_clock(clock: C, terms: Terms, stream: S) -> Result<Self, ConfigError> {
        Ok(Self::by(clock, terms.check()?, stream))
    }

    /// The newest item, when there was none for so long.
    pub const fn debounce(clock: C, wait: Duration, stream: S) -> Self {
        Self::by(clock, Terms::debounce(wait), stream)
    }

    /// The first item, and then none for so long.
    pub const fn throttle_first(clock: C, interval: Duration, stream: S) -> Self {
        Self::by(clock, Terms::throttle(interval).trailing(false), stream)
    }

    /// The first item, and the newest at the end of each interval.
    pub const fn throttle_latest(clock: C, interval: Duration, stream: S) -> Self {
        Self::by(clock, Terms::throttle(interval), stream)
    }

    /// The newest item, so long after the first.
    pub const fn audit(clock: C, interval: Duration, stream: S) -> Self {
        Self::by(clock, Terms::audit(interval), stream)
    }

    const fn by(clock: C, terms: Terms, stream: S) -> Self {
        let terms = terms.tick(C::TICK);
        Self { clock, terms, window: Window::new(), newest: None, ended: false, stream, alarm: Alarm::new() }
    }
}

impl<S: Stream, C: Clock> Stream for EdgeStream<S, C> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let mut reading = None;
        let mut budget = BUDGET;
        while !*this.ended {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let now = *reading.get_or_insert_with(|| this.clock.now());
                    match this.window.call(this.terms, now) {
                        Decision::Start => {
                            *this.newest = None;
                            return Poll::Ready(Some(item));
                        }
                        Decision::Wait { .. } => *this.newest = Some(item),
                        Decision::Skip => {}
                    }
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
            budget -= 1;
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if *this.ended && this.terms.ends_early() {
            this.window.abandon();
            this.alarm.disarm();
            return Poll::Ready(this.newest.take());
        }
        if !this.window.is_pending() {
            if !*this.ended {
                return Poll::Pending;
            }
            this.alarm.disarm();
            return Poll::Ready(None);
        }
        let mut now = reading.unwrap_or_else(|| this.clock.now());
        loop {
            if this.window.tick(this.terms, now).is_some() {
                return Poll::Ready(this.newest.take());
            }
            // A timer that is set is left alone: when it is over, the burst is looked at again.
            let looks_at = this.window.next_deadline().earlier(C::TICK).min(this.alarm.at());
            ready!(this.alarm.as_mut().poll_until(this.clock, looks_at, cx));
            now = now.max(looks_at.saturating_add_nanos(nanos(C::TICK)));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let pending = usize::from(self.newest.is_some());
        let most = if self.ended { Some(0) } else { self.stream.size_hint().1 };
        (0, most.and_then(|most| most.checked_add(pending)))
    }
}

impl<S: Stream, C: Clock> FusedStream for EdgeStream<S, C> {
    fn is_terminated(&self) -> bool {
        self.ended && self.newest.is_none()
    }
}

impl<S: Stream, C: Clock> fmt::Debug for EdgeStream<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeStream").field("terms", &self.terms).field("window", &self.window).finish_non_exhaustive()
    }
}

pin_project! {
    /// All items of a stream, one at a time, never closer than an interval; made by the adapters' `pace`.
    ///
    /// The stream is asked for an item only when one may come through: what has a buffer fills it, what can wait, waits. That also goes for its end: it is told of an interval after the last item. Without an interval, all comes through as it is, and no
    /// clock is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses no item but those that the stream itself holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::{StreamExt, stream};
    ///
    /// aplomb_sim::block_on(async {
    ///     let all: Vec<_> = stream::iter(["a", "b", "c"]).pace(ms(50)).map(|item| (item, aplomb_sim::now().as_nanos() / 1_000_000)).collect().await;
    ///     assert_eq!(all, [("a", 0), ("b", 50), ("c", 100)]);
    /// });
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct PaceStream<S, C: Clock> {
        clock: C,
        interval: Duration,
        // When the next item may come; the origin, at once.
        next: Instant,
        ended: bool,
        #[pin]
        stream: S,
        #[pin]
        alarm: Alarm<C::Sleep>,
    }
}

impl<S: Stream, C: Clock> PaceStream<S, C> {
    /// The items of `stream`, never closer than `interval`.
    pub const fn with_clock(clock: C, interval: Duration, stream: S) -> Self {
        Self { clock, interval, next: Instant::ORIGIN, ended: false, stream, alarm: Alarm::new() }
    }
}

impl<S: Stream, C: Clock> Stream for PaceStream<S, C> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if *this.next != Instant::ORIGIN {
            ready!(this.alarm.as_mut().poll_until(this.clock, *this.next, cx));
            *this.next = Instant::ORIGIN;
        }
        let item = ready!(this.stream.poll_next(cx));
        match item {
            Some(_) if this.interval.is_zero() => {}
            Some(_) => *this.next = this.clock.now() + *this.interval,
            None => *this.ended = true,
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended { (0, Some(0)) } else { self.stream.size_hint() }
    }
}

impl<S: Stream, C: Clock> FusedStream for PaceStream<S, C> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<S, C: Clock> fmt::Debug for PaceStream<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interval, next) = (self.interval, self.next);
        f.debug_struct("PaceStream").field("interval", &interval).field("next", &next).finish_non_exhaustive()
    }
}
