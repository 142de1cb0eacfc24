use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::algorithm::Algorithm;
use super::error::LimitError;
use super::event::Event;
use super::limit::AdaptiveLimit;
use super::permit::Permit;
use crate::alarm::Alarm;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::semaphore::{self, Lender, SleepOf, poll_patiently};

pin_project! {
    /// Waits until the limit that `B` points to allows another call; made by [`AdaptiveLimit::acquire`] and [`acquire_owned`](AdaptiveLimit::acquire_owned).
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, which is free at once. A permit that had been granted already goes to the next.
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

impl<B: Deref<Target: Lender>> Acquire<B> {
    pub(super) const fn new(limit: B) -> Self {
        Self { permit: semaphore::Acquire::new(limit, 1), alarm: Alarm::new() }
    }
}

impl<P, A, J, S, O, B> Future for Acquire<B>
where
    P: Platform,
    A: Algorithm,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = AdaptiveLimit<P, A, J, S, O>>,
{
    type Output = Result<Permit<B>, LimitError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let limit = ready!(poll_patiently(this.permit, this.alarm.as_mut(), cx))?;
        let permit = Permit::new(limit);
        this.alarm.as_mut().disarm();
        if O::LISTENS && !this.alarm.at().is_never() {
            permit.limit().admitted(this.alarm.at());
        }
        Poll::Ready(Ok(permit))
    }
}

impl<P, A, J, S, O, B> Acquire<B>
where
    P: Platform,
    A: Algorithm,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = AdaptiveLimit<P, A, J, S, O>>,
{
    /// Ends at once, if the limit allows another call and nobody waits, or none is to be had; else it is handed back, for its owner to pin or box, and to await. So only who has to wait pays for that.
    ///
    /// # Errors
    ///
    /// Itself, if it has to wait. Within, those of [`acquire`](AdaptiveLimit::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let api: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1);
    /// let first = api.acquire().at_once();
    /// assert!(matches!(first, Ok(Ok(_))));
    /// let second = api.acquire().at_once().unwrap_err();
    /// drop(first);
    /// assert!(aplomb_sim::block_on(second).is_ok());
    /// ```
    pub fn at_once(mut self) -> Result<Result<Permit<B>, LimitError>, Self> {
        let Some(limit) = self.permit.lender().filter(|_| !self.permit.waits()) else { return Err(self) };
        match limit.enter(true) {
            Ok(true) => self.permit.end().map(|limit| Ok(Permit::new(limit))).ok_or(self),
            Ok(false) => Err(self),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl<B: Deref<Target: Lender>> fmt::Debug for Acquire<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("permit", &self.permit).finish_non_exhaustive()
    }
}
