use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::error::FlightError;
use super::settings::{SingleFlight, Survives};
use super::with_shared::{MaybeShared, WithShared};
use crate::key::{KeyHash, ToKey};
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::flights::{Aborts, Board, Flights, News, Role, Stands};

/// An operation that outlives the caller who began it.
pub type Work<R> = Pin<Box<dyn Future<Output = R> + Send>>;

impl<P, K, T, E, S, H, const SHARDS: usize> SingleFlight<P, K, T, E, Survives, S, H, SHARDS>
where
    P: Platform,
    S: Storage,
    H: KeyHash,
{
    /// Ends with what the operation ends with, or with a clone of what that of a concurrent call with the same key does, and then drops this one unstarted.
    ///
    /// An operation that is started is put into a box.
    ///
    /// # Errors
    ///
    /// [`FlightError::Full`] and [`FlightError::QueueFull`], at once; or a clone of the operation's own, as [`FlightError::Failed`].
    pub const fn run<'q, Q, F, Fut>(&self, key: &'q Q, operation: F) -> SurvivingRun<'_, 'q, Self, Q, F>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Clone,
        E: Clone,
    {
        SurvivingRun { key, operation: Some(operation), is_shared: false, role: Role::new(self) }
    }
}

/// A call that shares its run with others of its key, and leaves it to them; made by [`run`](SingleFlight::run) of a [surviving](SingleFlight::surviving) one.
///
/// # Cancel safety
///
/// Dropping it harms no other caller. If its operation is under way, the caller that has waited longest goes on with it; if there is none, it is dropped. Polled after its end, it is pending for ever.
#[must_use = "futures do nothing unless polled"]
pub struct SurvivingRun<'f, 'q, F: Flights, Q: ?Sized, O> {
    key: &'q Q,
    /// None once it has started, or has ended.
    operation: Option<O>,
    is_shared: bool,
    role: Role<'f, F>,
}

impl<F: Flights, Q: ?Sized, O> Unpin for SurvivingRun<'_, '_, F, Q, O> {}

impl<F: Flights, Q: ?Sized, O> SurvivingRun<'_, '_, F, Q, O> {
    /// Tells too whether the result went to several callers. As [`Run::with_shared`](super::Run::with_shared).
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<F, Q, O, Fut, T, E> Future for SurvivingRun<'_, '_, F, Q, O>
where
    F: Board<Q> + Flights<Outcome = Result<T, E>, Work = Work<Result<T, E>>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Clone,
    E: Clone,
{
    type Output = Result<T, FlightError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let ticket = loop {
            match this.role.stands() {
                Stands::Leads(ticket) => break ticket,
                Stands::Follows(place) => {
                    if let News::Landed(outcome) = ready!(this.role.poll_news(place, cx)) {
                        this.is_shared = true;
                        this.operation = None;
                        return Poll::Ready(outcome.map_err(FlightError::Failed));
                    }
                }
                Stands::Outside if this.operation.is_none() => return Poll::Pending,
                Stands::Outside => match this.role.flights().board(this.key, cx.waker()) {
                    Ok((hash, stands)) => {
                        this.role.take(hash, stands);
                        // It is woken when there is news.
                        if let Stands::Follows(_) = stands {
                            return Poll::Pending;
                        }
                    }
                    Err(error) => {
                        this.operation = None;
                        return Poll::Ready(Err(error.of_operation()));
                    }
                },
            }
        };
        // What panics is not handed over: the next one starts anew.
        let work = this.role.work.take();
        let mut aborts = Aborts(Some(&mut this.role));
        let work = match (work, this.operation.take()) {
            (Some(work), _unused) => Some(work),
            (None, Some(operation)) => Some(Box::pin(operation()) as Work<_>),
            (None, None) => None,
        };
        let Some(mut work) = work else { return Poll::Pending };
        let Poll::Ready(outcome) = work.as_mut().poll(cx) else {
            if let Some(role) = &mut aborts.0 {
                role.work = Some(work);
            }
            forget(aborts);
            return Poll::Pending;
        };
        drop(work);
        if let Some(role) = &mut aborts.0 {
            this.is_shared = role.land(ticket, &outcome);
        }
        Poll::Ready(outcome.map_err(FlightError::Failed))
    }
}

impl<F: Flights, Q: ?Sized, O> MaybeShared for SurvivingRun<'_, '_, F, Q, O> {
    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<F: Flights, Q: ?Sized, O> fmt::Debug for SurvivingRun<'_, '_, F, Q, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SurvivingRun").field("stage", &self.role.stage()).finish_non_exhaustive()
    }
}
