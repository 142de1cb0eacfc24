use core::fmt;
use core::future::{Future, IntoFuture};
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::acquire::SleepOf;
use super::algorithm::Algorithm;
use super::error::RateLimitError;
use super::event::Event;
use super::limiter::RateLimiter;
use super::line::InAdvance;
use super::lines::{Lines, LinkOf, SpotOf, wake};
use crate::alarm::Alarm;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::{Clock, Instant};

/// Permits that were taken in advance, and the instant from which they may be used; made by [`RateLimiter::reserve`](super::RateLimiter::reserve).
///
/// `B` points to the limiter that they are of: it is a reference, or an `Arc`, `Rc` or the like, whose reservations are *owned* and go wherever that goes.
///
/// Await it, or wait by other means. Dropped before its instant, it gives the permits back, as far as later reservations do not rest on them (as `Cancel` does in Go's `x/time/rate`); after that it has spent them.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// let limiter: RateLimiter = RateLimiter::new(Rate::per_second(1));
/// aplomb_sim::block_on(async {
///     let first = limiter.reserve(1).unwrap();
///     let second = limiter.reserve(1).unwrap();
///     assert_eq!((first.delay(), second.delay()), (secs(0), secs(1)));
///     drop(second);
///     let again = limiter.reserve(1).unwrap();
///     assert_eq!(again.delay(), secs(1), "the second's time is free again");
///     again.await;
///     assert_eq!(aplomb_sim::now().as_nanos(), 1_000_000_000);
/// });
/// ```
#[must_use = "dropped before its instant, a reservation gives its permits back"]
pub struct Reservation<B: Deref<Target: Lines>> {
    lines: B,
    spot: SpotOf<B>,
    permits: u32,
    /// On the clock.
    at: Instant,
    made: InAdvance<LinkOf<B::Target>>,
    /// Whether it has been waited for.
    has_come: bool,
}

impl<P: Platform, A: Algorithm, S: Storage, O: SharedObserver<Event>> RateLimiter<P, A, S, O> {
    /// As [`reserve`](RateLimiter::reserve), of a limiter that `this` points to: an `Arc` or `Rc` of it, which the reservation keeps, into whatever task it goes.
    ///
    /// # Errors
    ///
    /// As [`reserve`](RateLimiter::reserve).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let mails: Arc<RateLimiter> = Arc::new(RateLimiter::with_burst(Rate::per_second(1), 1));
    ///     for _ in 0..3 {
    ///         let turn = RateLimiter::reserve_owned(Arc::clone(&mails), 1)?;
    ///         aplomb_sim::spawn("mail", async move { turn.await }).await.unwrap();
    ///     }
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 2_000_000_000);
    ///     Ok::<_, RateLimitError>(())
    /// })?;
    /// # Ok::<_, RateLimitError>(())
    /// ```
    pub fn reserve_owned<B: Deref<Target = Self>>(this: B, n: u32) -> Result<Reservation<B>, RateLimitError> {
        let reserved = this.serve(this.clock.now(), |desk| desk.reserve(n).map(|made| (desk.steady.on_clock(made.at), made)));
        match reserved {
            Ok((at, made)) => Ok(Reservation::new(this, (), n, at, made)),
            Err(error) => Err(this.rejected(error)),
        }
    }
}

impl<B: Deref<Target: Lines>> Reservation<B> {
    pub(super) const fn new(lines: B, spot: SpotOf<B>, permits: u32, at: Instant, made: InAdvance<LinkOf<B::Target>>) -> Self {
        Self { lines, spot, permits, at, made, has_come: false }
    }

    /// From when on the permits may be used.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// How long that is from now.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.at.saturating_duration_since(self.lines.clock().now())
    }

    /// How many permits they are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.permits
    }
}

impl<B: Deref<Target: Lines>> Drop for Reservation<B> {
    fn drop(&mut self) {
        let next = self.lines.with(self.spot, self.lines.clock().now(), |desk| {
            // It has come to its instant, even if a clock that is coarser than its timer does not say so yet.
            let at = if self.has_come { desk.now } else { self.made.at };
            desk.give_back(self.permits, at, &self.made)
        });
        wake(next.flatten());
    }
}

impl<B: Deref<Target: Lines>> IntoFuture for Reservation<B> {
    type Output = ();
    type IntoFuture = Reserved<B>;

    fn into_future(self) -> Reserved<B> {
        Reserved { reservation: Some(self), alarm: Alarm::new() }
    }
}

pin_project! {
    /// Waits until a [`Reservation`] may be used; made by awaiting it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the reservation, which gives its permits back.
    #[must_use = "futures do nothing unless polled"]
    pub struct Reserved<B>
    where
        B: Deref,
        B::Target: Lines,
    {
        // None after the end.
        reservation: Option<Reservation<B>>,
        #[pin]
        alarm: Alarm<SleepOf<B>>,
    }
}

impl<B: Deref<Target: Lines>> Future for Reserved<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(reservation) = this.reservation.as_ref() else { return Poll::Pending };
        let clock = reservation.lines.clock();
        if clock.now() < reservation.at {
            ready!(this.alarm.as_mut().poll_until(clock, reservation.at, cx));
        }
        this.alarm.disarm();
        if let Some(mut reservation) = this.reservation.take() {
            reservation.has_come = true;
        }
        Poll::Ready(())
    }
}

impl<B: Deref<Target: Lines>> fmt::Debug for Reservation<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("permits", &self.permits).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<B: Deref<Target: Lines>> fmt::Debug for Reserved<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("reservation", &self.reservation).finish_non_exhaustive()
    }
}
