use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::algorithm::Algorithm;
use super::error::RateLimitError;
use super::event::Event;
use super::limiter::RateLimiter;
use super::line::{Asked, Turn};
use super::lines::{Find, Lines, LinkOf, SpotOf, wake};
use super::permit::Permit;
use crate::alarm::Alarm;
use crate::deadline::Deadline;
use crate::observe::SharedObserver;
use crate::platform::{Platform, SMALL};
use crate::storage::Storage;
use crate::sync::wait_list::Key;
use crate::time::{Clock, Instant, nanos};

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> RateLimiter<P, A, S, O> {
    /// As [`acquire`](RateLimiter::acquire), of a limiter that `this` points to: an `Arc` or `Rc` of it, which the permit keeps, into whatever task it goes.
    ///
    /// # Errors
    ///
    /// As [`acquire`](RateLimiter::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: Arc<RateLimiter> = Arc::new(RateLimiter::new(Rate::per_second(100)).max_concurrent(1));
    ///     let permit = RateLimiter::acquire_owned(Arc::clone(&api), 1).await?;
    ///     let call = aplomb_sim::spawn("call", async move { drop(permit) });
    ///     assert_eq!(api.snapshot().running, Some(1));
    ///     call.await.unwrap();
    ///     assert_eq!(api.snapshot().running, Some(0));
    ///     Ok::<_, RateLimitError>(())
    /// })?;
    /// # Ok::<_, RateLimitError>(())
    /// ```
    pub const fn acquire_owned<B: Deref<Target = Self>>(this: B, n: u32) -> Acquire<B, ()> {
        Self::acquire_owned_by(this, n, Deadline::NEVER)
    }

    /// As [`acquire_owned`](RateLimiter::acquire_owned), and waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_by`](RateLimiter::acquire_by).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: Arc<RateLimiter> = Arc::new(RateLimiter::new(Rate::per_second(1)));
    ///     RateLimiter::acquire_owned_by(Arc::clone(&api), 1, deadline(ms(500))).await?;
    ///     let late = RateLimiter::acquire_owned_by(api, 1, deadline(ms(500))).await;
    ///     assert!(late.unwrap_err().is_timeout());
    ///     Ok::<_, RateLimitError>(())
    /// })?;
    /// # Ok::<_, RateLimitError>(())
    /// ```
    pub const fn acquire_owned_by<B: Deref<Target = Self>>(this: B, n: u32, deadline: Deadline) -> Acquire<B, ()> {
        Acquire::new(this, (), n, deadline.instant())
    }
}

/// The timer of what `B` points to.
pub(super) type SleepOf<B> = <<<<B as Deref>::Target as Lines>::Platform as Platform>::Clock as Clock>::Sleep;

pin_project! {
    /// Waits for permits of the limiter that `B` points to; made by [`RateLimiter::acquire`](super::RateLimiter::acquire), [`acquire_owned`](super::RateLimiter::acquire_owned) and their likes.
    ///
    /// Whoever is first in the queue has the one timer that runs, and wakes the next one when it has its permits.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, and nothing is spent: permits are taken at the very poll that returns them. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<B, K>
    where
        B: Deref,
        B::Target: Lines,
    {
        // None after the end.
        lines: Option<B>,
        key: K,
        permits: u32,
        deadline: Instant,
        place: Option<Place<B>>,
        #[pin]
        alarm: Alarm<SleepOf<B>>,
    }

    impl<B, K> PinnedDrop for Acquire<B, K>
    where
        B: Deref,
        B::Target: Lines,
    {
        fn drop(this: Pin<&mut Self>) {
            if this.place.is_some() {
                this.leave();
            }
        }
    }
}

/// What came of waiting.
struct Waited<B: Deref<Target: Lines>> {
    /// Where the permits were taken, and when; or why they were not.
    result: Result<(SpotOf<B>, Instant), RateLimitError>,
    /// How long it took, if it did wait and somebody listens.
    time: Option<Duration>,
    /// Who is to be woken.
    next: Option<Waker>,
    /// Wakers that aren't needed any more: dropped when all else is done, since that is foreign code and may panic.
    unused: [Option<Waker>; 2],
}

impl<B: Deref<Target: Lines>> Waited<B> {
    const fn not(error: RateLimitError) -> Self {
        Self { result: Err(error), time: None, next: None, unused: [None, None] }
    }
}

/// A place in the queue.
struct Place<B: Deref<Target: Lines>> {
    spot: SpotOf<B>,
    key: Key<LinkOf<B::Target>>,
    since: Instant,
}

impl<B: Deref<Target: Lines>> Clone for Place<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Deref<Target: Lines>> Copy for Place<B> {}

impl<B: Deref<Target: Lines>, K> Acquire<B, K> {
    pub(crate) const fn new(lines: B, key: K, permits: u32, deadline: Instant) -> Self {
        Self { lines: Some(lines), key, permits, deadline, place: None, alarm: Alarm::new() }
    }

    /// Gives up its place in the queue. Whoever is first then goes on, before anybody learns of it.
    // Apart, so that there is little to do where one is dropped that need not wait.
    #[cold]
    #[inline(never)]
    fn leave(self: Pin<&mut Self>) {
        let this = self.project();
        if let (Some(lines), Some(place)) = (&*this.lines, this.place.take()) {
            let now = lines.clock().now();
            if let Some((_unused, next)) = lines.with(place.spot, now, |desk| desk.leave(place.key)) {
                wake(next);
            }
        }
    }

    /// It has ended, and has no place.
    #[inline]
    fn end(self: Pin<&mut Self>) -> Option<B> {
        self.project().lines.take()
    }
}

impl<B, K> Future for Acquire<B, K>
where
    B: Deref<Target: Lines>,
    K: Find<B::Target>,
{
    type Output = Result<Permit<B>, RateLimitError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(lines) = &self.lines else { return Poll::Pending };
        let now = lines.clock().now();
        if self.place.is_none() && !SMALL {
            // Without a waker first: most find their permits there. Their way is straight, and all else stands aside.
            match self.take(&**lines, now) {
                Ok((spot, Some(taken))) => {
                    let permits = self.permits;
                    let Some(lines) = self.end() else { return Poll::Pending };
                    return Poll::Ready(Ok(Permit::new(lines, spot, permits, taken)));
                }
                Ok((_, None)) => {}
                Err(error) => return self.conclude(Waited::not(error)),
            }
        }
        let waited = ready!(self.as_mut().poll_waiting(now, cx));
        self.conclude(waited)
    }
}

impl<B, K> Acquire<B, K>
where
    B: Deref<Target: Lines>,
    K: Find<B::Target>,
{
    /// Ends at once, if the permits are there and nobody waits, or there is no room for their key; else it is handed back, for its owner to pin or box, and to await. So only who has to wait pays for that.
    ///
    /// # Errors
    ///
    /// Itself, if it has to wait. Within, [`RateLimitError::TableFull`] of a keyed limiter.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    ///     let first = limiter.acquire(1).at_once();
    ///     assert!(matches!(first, Ok(Ok(_))));
    ///     if let Err(second) = limiter.acquire(1).at_once() {
    ///         Box::pin(second).await.unwrap();
    ///     }
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 100_000_000);
    /// });
    /// ```
    pub fn at_once(mut self) -> Result<Result<Permit<B>, RateLimitError>, Self> {
        let Some(lines) = self.lines.as_ref().filter(|_| self.place.is_none()) else { return Err(self) };
        match self.take(&**lines, lines.clock().now()) {
            Ok((spot, Some(taken))) => {
                self.lines.take().map(|lines| Ok(Permit::new(lines, spot, self.permits, taken))).ok_or(self)
            }
            Ok((_, None)) => Err(self),
            Err(reason) => {
                lines.observer().observe(&Event::Rejected { reason });
                Ok(Err(reason))
            }
        }
    }

    /// Takes the permits, if they are there and nobody waits. Says as of when.
    #[inline]
    fn take(&self, lines: &B::Target, now: Instant) -> Result<(SpotOf<B>, Option<Instant>), RateLimitError> {
        match self.key.try_take(lines, now, self.permits) {
            Some((spot, taken)) => Ok((spot, Some(taken))),
            None => self.take_slowly(lines, now),
        }
    }

    #[inline(never)]
    fn take_slowly(&self, lines: &B::Target, now: Instant) -> Result<(SpotOf<B>, Option<Instant>), RateLimitError> {
        let permits = self.permits;
        match self.key.try_take_packed(lines, now, permits) {
            Some((spot, taken)) => Ok((spot, Some(taken))),
            None => self.key.find(lines, now, |desk| desk.takes(permits)),
        }
    }

    /// It has ended: whoever is first now is woken, and the observer told.
    #[inline(never)]
    fn conclude(self: Pin<&mut Self>, waited: Waited<B>) -> Poll<Result<Permit<B>, RateLimitError>> {
        let Waited { result, time, next, unused } = waited;
        let this = self.project();
        let Some(lines) = this.lines.take() else { return Poll::Pending };
        let finish = || {
            wake(next);
            this.alarm.disarm();
            drop(unused);
        };
        match result {
            Ok((spot, taken)) => {
                // Should what follows panic, they are held already.
                let permit = Permit::new(lines, spot, *this.permits, taken);
                finish();
                if let Some(waited) = time {
                    permit.lines().observer().observe(&Event::Admitted { waited });
                }
                Poll::Ready(Ok(permit))
            }
            Err(reason) => {
                finish();
                lines.observer().observe(&Event::Rejected { reason });
                Poll::Ready(Err(reason))
            }
        }
    }

    /// Takes a place in the queue, or asks there for its turn. When it is ready, it has none.
    #[inline(never)]
    fn poll_waiting(mut self: Pin<&mut Self>, mut now: Instant, cx: &mut Context<'_>) -> Poll<Waited<B>> {
        let listens = const { <<B::Target as Lines>::Observer as SharedObserver<Event>>::LISTENS };
        let this = self.as_mut().project();
        let Some(lines) = &*this.lines else { return Poll::Pending };
        let mut alarm = this.alarm;
        loop {
            let (waker, permits, deadline, place) = (cx.waker().clone(), *this.permits, *this.deadline, *this.place);
            // A line in which somebody waits is never gone: it is the same one each time.
            let asked = this.key.find(&**lines, now, |desk| {
                let prospect = (listens && place.is_none()).then(|| desk.prospect(permits));
                (desk.ask(place.map(|place| place.key), permits, deadline, waker), prospect)
            });
            let (spot, (Asked { turn, unused, next }, prospect)) = match asked {
                Ok(asked) => asked,
                Err(error) => return Poll::Ready(Waited::not(error)),
            };
            let result = match turn {
                Turn::Wait { key, until } => {
                    this.place.get_or_insert(Place { spot, key, since: now });
                    if let Some((ahead, at_least)) = prospect {
                        lines.observer().observe(&Event::Waiting { ahead, at_least });
                    }
                    let tick = const { nanos(<<<B::Target as Lines>::Platform as Platform>::Clock as Clock>::TICK) };
                    if now < deadline.saturating_add_nanos(tick) {
                        let (clock, at) = (lines.clock(), until.min(deadline));
                        ready!(alarm.as_mut().poll_until(clock, at, cx));
                        now = clock.now().max(at.saturating_add_nanos(tick));
                        continue;
                    }
                    *this.place = None;
                    let expired = lines.with(spot, now, |desk| desk.expire(key, permits));
                    let [replaced, _] = unused;
                    let (error, [registered, next]) =
                        expired.unwrap_or((RateLimitError::Deadline { retry_after: None }, [None, None]));
                    return Poll::Ready(Waited { result: Err(error), time: None, next, unused: [registered, replaced] });
                }
                Turn::Admitted(taken) => Ok((spot, taken)),
                Turn::Refused(error) => Err(error),
            };
            let time = this.place.take().filter(|_| listens).map(|place| now.saturating_duration_since(place.since));
            return Poll::Ready(Waited { result, time, next, unused });
        }
    }
}

impl<B: Deref<Target: Lines>, K> fmt::Debug for Acquire<B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, waits) = (self.permits, self.place.is_some());
        f.debug_struct("Acquire").field("permits", &permits).field("waits", &waits).finish_non_exhaustive()
    }
}
