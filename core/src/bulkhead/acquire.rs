use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::error::BulkheadError;
use super::event::Event;
use super::settings::Bulkhead;
use crate::alarm::Alarm;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::semaphore::{self, AcquireError, Lender, Patient, Permit, SleepOf, TryAcquireError, poll_patiently};
use crate::time::{Clock, Instant, duration};

impl<P: Platform, S: Storage, O: SharedObserver<Event>> Bulkhead<P, S, O> {
    /// Waits for a place, and takes it: for work that is no single operation. [`run`](Bulkhead::run) does so for one.
    ///
    /// # Errors
    ///
    /// [`BulkheadError::QueueFull`], at once; [`BulkheadError::TimedOut`] after [`max_wait`](Bulkhead::max_wait); [`BulkheadError::Closed`]; [`BulkheadError::NoPlaces`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static UPLOADS: Bulkhead = checked!(Bulkhead::new(2).max_wait(secs(1)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let (_first, _second) = (UPLOADS.acquire().await, UPLOADS.acquire().await);
    ///     let third = UPLOADS.acquire().await;
    ///     assert!(third.is_err_and(|error| error.is_timeout()));
    /// });
    /// ```
    pub const fn acquire(&self) -> Acquire<&Self> {
        Self::acquire_owned(self)
    }

    /// As [`acquire`](Bulkhead::acquire), of a bulkhead that `this` points to: an `Arc` or `Rc` of it, which the permit keeps.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Bulkhead::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let uploads: Arc<Bulkhead> = Arc::new(Bulkhead::new(2));
    ///     let place = Bulkhead::acquire_owned(Arc::clone(&uploads)).await?;
    ///     aplomb_sim::spawn("upload", async move { drop(place) }).await.unwrap();
    ///     assert_eq!(uploads.snapshot().running, 0);
    ///     Ok::<_, BulkheadError>(())
    /// })?;
    /// # Ok::<_, BulkheadError>(())
    /// ```
    pub const fn acquire_owned<B: Deref<Target = Self>>(this: B) -> Acquire<B> {
        Acquire { permit: semaphore::Acquire::new(this, 1), alarm: Alarm::new() }
    }

    /// Takes a place, if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`BulkheadError::Busy`]; [`BulkheadError::Closed`]; [`BulkheadError::NoPlaces`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static REPORTS: Bulkhead = checked!(Bulkhead::new(1));
    ///
    /// let place = REPORTS.try_acquire()?;
    /// assert_eq!(REPORTS.try_acquire().unwrap_err(), BulkheadError::Busy);
    /// drop(place);
    /// assert!(REPORTS.try_acquire().is_ok());
    /// # Ok::<_, BulkheadError>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<&Self>, BulkheadError> {
        Self::try_acquire_owned(self)
    }

    /// As [`try_acquire`](Bulkhead::try_acquire), of a bulkhead that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Bulkhead::try_acquire).
    #[inline]
    pub fn try_acquire_owned<B: Deref<Target = Self>>(this: B) -> Result<Permit<B>, BulkheadError> {
        this.enter(false)?;
        Ok(Permit::new(this, 1))
    }
}

impl<P: Platform, S: Storage, O: SharedObserver<Event>> Bulkhead<P, S, O> {
    /// Whether one who comes has a place. If not, it is to be waited for.
    #[inline]
    pub(super) fn enter(&self, waits: bool) -> Result<bool, BulkheadError> {
        if let Some(error) = self.closed_to_all() {
            return Err(error);
        }
        if waits {
            self.semaphore.admit(1).map_err(|error| self.refusal(error))
        } else {
            self.semaphore.take(1).map(|()| true).map_err(|error| self.denial(error))
        }
    }

    /// Why there is no place now.
    #[cold]
    fn denial(&self, error: TryAcquireError) -> BulkheadError {
        self.rejected(match error {
            TryAcquireError::TooMany { .. } => self.no_places(),
            TryAcquireError::NoPermits { .. } => BulkheadError::Busy,
            TryAcquireError::Closed => BulkheadError::Closed,
        })
    }

    fn admitted(&self, since: Instant) {
        let waited = self.clock.now().saturating_duration_since(since);
        self.observer.observe(&Event::Admitted { waited });
    }

    fn rejected(&self, reason: BulkheadError) -> BulkheadError {
        self.observer.observe(&Event::Rejected { reason });
        reason
    }

    /// There never were any, or all were forgotten.
    fn no_places(&self) -> BulkheadError {
        self.built_wrong().map_or(BulkheadError::NoPlaces, BulkheadError::Config)
    }
}

pin_project! {
    /// Waits for a place in the bulkhead that `B` points to; made by [`Bulkhead::acquire`] and [`acquire_owned`](Bulkhead::acquire_owned).
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, which is free at once. A place that had been granted already goes to the next.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<B>
    where
        B: Deref,
        B::Target: Lender,
    {
        permit: semaphore::Acquire<B>,
        #[pin]
        alarm: Alarm<SleepOf<B>>,
    }
}

impl<P, S, O, B> Future for Acquire<B>
where
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = Bulkhead<P, S, O>>,
{
    type Output = Result<Permit<B>, BulkheadError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let bulkhead = ready!(poll_patiently(this.permit, this.alarm.as_mut(), cx))?;
        let permit = Permit::new(bulkhead, 1);
        this.alarm.as_mut().disarm();
        if O::LISTENS && !this.alarm.at().is_never() {
            permit.lender().admitted(this.alarm.at());
        }
        Poll::Ready(Ok(permit))
    }
}

impl<P, S, O, B> Acquire<B>
where
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = Bulkhead<P, S, O>>,
{
    /// Ends at once, if a place is free and nobody waits, or none is to be had; else it is handed back, for its owner to pin or box, and to await. So only who has to wait pays for that.
    ///
    /// # Errors
    ///
    /// Itself, if it has to wait. Within, those of [`acquire`](Bulkhead::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let desk: Bulkhead = Bulkhead::new(1);
    /// let first = desk.acquire().at_once();
    /// assert!(matches!(first, Ok(Ok(_))));
    /// let second = desk.acquire().at_once().unwrap_err();
    /// drop(first);
    /// assert!(aplomb_sim::block_on(second).is_ok());
    /// ```
    pub fn at_once(mut self) -> Result<Result<Permit<B>, BulkheadError>, Self> {
        let Some(bulkhead) = self.permit.lender().filter(|_| !self.permit.waits()) else { return Err(self) };
        match bulkhead.enter(true) {
            Ok(true) => self.permit.end().map(|bulkhead| Ok(Permit::new(bulkhead, 1))).ok_or(self),
            Ok(false) => Err(self),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl<P: Platform, S: Storage, O: SharedObserver<Event>> Patient for Bulkhead<P, S, O> {
    type Error = BulkheadError;
    const LISTENS: bool = O::LISTENS;

    fn clock(&self) -> &P::Clock {
        &self.clock
    }

    fn patience(&self) -> Duration {
        duration(self.max_wait)
    }

    #[inline]
    fn closed_to_all(&self) -> Option<BulkheadError> {
        self.queue_error().map(|error| self.rejected(BulkheadError::Config(error)))
    }

    /// Why one who would wait gets no place.
    #[cold]
    fn refusal(&self, refused: AcquireError) -> BulkheadError {
        self.rejected(match refused {
            AcquireError::TooMany { .. } => self.no_places(),
            AcquireError::QueueFull { waiting } => BulkheadError::QueueFull { waiting },
            AcquireError::Closed => BulkheadError::Closed,
        })
    }

    fn timed_out(&self, after: Duration) -> BulkheadError {
        self.rejected(BulkheadError::TimedOut { after })
    }

    fn waits(&self) {
        self.observer.observe(&Event::Waiting { waiting: self.semaphore.waiting() });
    }
}

impl<B: Deref<Target: Lender>> fmt::Debug for Acquire<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("permit", &self.permit).finish_non_exhaustive()
    }
}
