use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::marker::PhantomData;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::FlightError;
use super::event::Event;
use super::outcome::{AsIs, Converted, Outcome};
use super::settings::{SingleFlight, Survives};
use super::with_deadline::{Late, Timed, WithDeadline};
use super::with_shared::{MaybeShared, WithShared};
use crate::deadline::Deadline;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::flights::{Aborts, Board, Ended, Flights, Role, Stands};

/// An operation that outlives the caller who began it.
pub type Work<R> = Pin<Box<dyn Future<Output = R> + Send>>;

impl<P, K, T, E, S, H, const SHARDS: usize, O> SingleFlight<P, K, T, E, Survives, S, H, SHARDS, O>
where
    P: Platform,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
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
        SurvivingRun::new(self, key, operation)
    }

    /// As [`run`](SingleFlight::run), and makes what is shared of what the operation ends with, by [`Into`]: what cannot be cloned is put into an `Arc` so.
    ///
    /// # Errors
    ///
    /// As [`run`](SingleFlight::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::io;
    /// use std::sync::Arc;
    ///
    /// static REPORTS: SingleFlight<u32, Arc<[u8]>, Arc<io::Error>, Survives> = SingleFlight::surviving();
    ///
    /// async fn report(year: u32) -> io::Result<Vec<u8>> { Ok(vec![0; 1_000]) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let report = REPORTS.run_into(&2025, || report(2025)).await;
    ///     assert_eq!(report.unwrap().len(), 1_000);
    /// });
    /// ```
    pub const fn run_into<'q, Q, F, Fut, R, X>(&self, key: &'q Q, operation: F) -> SurvivingRun<'_, 'q, Self, Q, F, Converted>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, X>> + Send + 'static,
        R: Into<T> + 'static,
        X: Into<E> + 'static,
        T: Clone + 'static,
        E: Clone + 'static,
    {
        SurvivingRun::new(self, key, operation)
    }
}

/// How an operation is put into a box. It is implemented for [`AsIs`] and [`Converted`].
pub trait Boxed<Fut, T, E> {
    #[doc(hidden)]
    fn boxed(running: Fut) -> Work<Result<T, E>>;
}

impl<Fut: Future<Output = Result<T, E>> + Send + 'static, T, E> Boxed<Fut, T, E> for AsIs {
    fn boxed(running: Fut) -> Work<Result<T, E>> {
        Box::pin(running)
    }
}

impl<Fut, R, X, T, E> Boxed<Fut, T, E> for Converted
where
    Fut: Future<Output = Result<R, X>> + Send + 'static,
    R: Into<T>,
    X: Into<E>,
    T: 'static,
    E: 'static,
{
    fn boxed(running: Fut) -> Work<Result<T, E>> {
        Box::pin(Converting { running, outcome: PhantomData::<fn() -> Result<T, E>> })
    }
}

pin_project! {
    /// An operation that ends with what is shared.
    struct Converting<Fut, T> {
        #[pin]
        running: Fut,
        outcome: PhantomData<fn() -> T>,
    }
}

impl<Fut, T, E> Future for Converting<Fut, Result<T, E>>
where
    Fut: Future,
    Converted: Outcome<Fut::Output, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        self.project().running.poll(cx).map(Converted::of)
    }
}

/// A call that shares its run with others of its key, and leaves it to them; made by [`run`](SingleFlight::run) and [`run_into`](SingleFlight::run_into) of a [surviving](SingleFlight::surviving) one.
///
/// # Cancel safety
///
/// Dropping it harms no other caller. If its operation is under way, the caller that has waited longest goes on with it; if there is none, it is dropped. Polled after its end, it is pending for ever.
#[must_use = "futures do nothing unless polled"]
pub struct SurvivingRun<'f, 'q, F: Flights, Q: ?Sized, O, C = AsIs> {
    key: &'q Q,
    /// None once it has started, or has ended.
    operation: Option<O>,
    is_shared: bool,
    outcome: PhantomData<fn() -> C>,
    role: Role<'f, F>,
}

impl<F: Flights, Q: ?Sized, O, C> Unpin for SurvivingRun<'_, '_, F, Q, O, C> {}

impl<'f, 'q, F: Flights, Q: ?Sized, O, C> SurvivingRun<'f, 'q, F, Q, O, C> {
    const fn new(flights: &'f F, key: &'q Q, operation: O) -> Self {
        Self { key, operation: Some(operation), is_shared: false, outcome: PhantomData, role: Role::new(flights) }
    }

    /// Tells too whether the result went to several callers. As [`Run::with_shared`](super::Run::with_shared).
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<F, Q, O, Fut, C, T, E> SurvivingRun<'_, '_, F, Q, O, C>
where
    F: Board<Q> + Timed + Flights<Outcome = Result<T, E>, Work = Work<Result<T, E>>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    C: Boxed<Fut, T, E>,
    T: Clone,
    E: Clone,
{
    /// Waits no longer than until that deadline, and ends with [`FlightError::Deadline`] then. It is this caller's alone: what it has begun goes on for those who wait for it.
    pub const fn deadline_at(self, deadline: Deadline) -> WithDeadline<Self, F::Sleep> {
        WithDeadline::new(self, deadline)
    }
}

impl<F, Q, O, Fut, C, T, E> Future for SurvivingRun<'_, '_, F, Q, O, C>
where
    F: Board<Q> + Flights<Outcome = Result<T, E>, Work = Work<Result<T, E>>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    C: Boxed<Fut, T, E>,
    T: Clone,
    E: Clone,
{
    type Output = Result<T, FlightError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if matches!(this.role.stands(), Stands::Outside) && this.operation.is_none() {
            return Poll::Pending;
        }
        if let Err(ended) = ready!(this.role.poll_lead(this.key, cx)) {
            this.operation = None;
            this.is_shared = matches!(ended, Ended::Landed(_));
            return Poll::Ready(ended.into_result());
        }
        let flights = this.role.flights();
        // What panics is not handed over: the next one starts anew.
        let work = this.role.work.take();
        let mut aborts = Aborts(Some(&mut this.role));
        let work = match (work, this.operation.take()) {
            (Some(work), _unused) => Some(work),
            (None, Some(operation)) => {
                flights.tell(Event::Started);
                Some(C::boxed(operation()))
            }
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
            this.is_shared = role.land(&outcome);
        }
        drop(aborts);
        flights.tell(Event::of(&outcome, this.is_shared));
        Poll::Ready(outcome.map_err(FlightError::Failed))
    }
}

impl<F, Q, O, Fut, C, T, E> Late for SurvivingRun<'_, '_, F, Q, O, C>
where
    F: Board<Q> + Timed + Flights<Outcome = Result<T, E>, Work = Work<Result<T, E>>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    C: Boxed<Fut, T, E>,
    T: Clone,
    E: Clone,
{
    type Timed = F;

    fn timed(&self) -> &F {
        self.role.flights()
    }

    fn follows(&self) -> bool {
        self.role.follows()
    }

    fn leave(self: Pin<&mut Self>) -> Self::Output {
        let this = self.get_mut();
        let leaves = Aborts(Some(&mut this.role));
        // Whatever of the caller's code panics as it is dropped, it has left.
        this.operation = None;
        if let Some(outcome) = leaves.give_up() {
            this.is_shared = true;
            return outcome.map_err(FlightError::Failed);
        }
        this.role.flights().tell(Event::Rejected { reason: FlightError::Deadline });
        Err(FlightError::Deadline)
    }
}

impl<F: Flights, Q: ?Sized, O, C> MaybeShared for SurvivingRun<'_, '_, F, Q, O, C> {
    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<F: Flights, Q: ?Sized, O, C> fmt::Debug for SurvivingRun<'_, '_, F, Q, O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SurvivingRun").field("stage", &self.role.stage()).finish_non_exhaustive()
    }
}
