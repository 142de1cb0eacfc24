use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::FlightError;
use super::event::Event;
use super::outcome::{AsIs, Converted, Outcome};
use super::settings::{Restarts, SingleFlight};
use super::with_deadline::{Late, Timed, WithDeadline};
use super::with_shared::{MaybeShared, WithShared};
use crate::deadline::Deadline;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::flights::{Aborts, Board, Ended, Flights, Role, Stands};

impl<P, K, T, E, S, H, const SHARDS: usize, O> SingleFlight<P, K, T, E, Restarts, S, H, SHARDS, O>
where
    P: Platform,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    /// Ends with what the operation ends with, or with a clone of what that of a concurrent call with the same key does, and then drops this one unstarted.
    ///
    /// # Errors
    ///
    /// [`FlightError::Full`] and [`FlightError::QueueFull`], at once; or a clone of the operation's own, as [`FlightError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static TILES: SingleFlight<(u32, u32), Vec<u8>, &str> = SingleFlight::new();
    ///
    /// async fn render(x: u32, y: u32) -> Result<Vec<u8>, &'static str> { Ok(vec![0; 256]) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let tile = TILES.run(&(3, 5), || render(3, 5)).await?;
    /// # assert_eq!(tile.len(), 256);
    /// # Ok::<_, FlightError<&str>>(()) }).unwrap();
    /// ```
    pub const fn run<'q, Q, F, Fut>(&self, key: &'q Q, operation: F) -> Run<'_, 'q, Self, Q, F, Fut>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Clone,
        E: Clone,
    {
        Run::new(self, key, operation)
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
    /// static CONFIGS: SingleFlight<String, Arc<[u8]>, Arc<io::Error>> = SingleFlight::new();
    ///
    /// async fn read(path: &str) -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let refused = CONFIGS.run_into("app.toml", || read("app.toml")).await.unwrap_err();
    ///     assert_eq!(refused.inner().unwrap().kind(), io::ErrorKind::NotFound);
    /// });
    /// ```
    pub const fn run_into<'q, Q, F, Fut, R, X>(&self, key: &'q Q, operation: F) -> Run<'_, 'q, Self, Q, F, Fut, Converted>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, X>>,
        R: Into<T>,
        X: Into<E>,
        T: Clone,
        E: Clone,
    {
        Run::new(self, key, operation)
    }
}

pin_project! {
    /// A call that shares its run with others of its key; made by [`run`](SingleFlight::run) and [`run_into`](SingleFlight::run_into).
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller. If its operation is under way, that is dropped, and the caller that has waited longest starts its own. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'f, 'q, F: Flights, Q: ?Sized, O, Fut, C = AsIs> {
        key: &'q Q,
        // None once it has started, or has ended.
        operation: Option<O>,
        #[pin]
        running: Option<Fut>,
        is_shared: bool,
        outcome: PhantomData<fn() -> C>,
        // The last to be dropped: whoever is woken by that finds what this held free.
        role: Role<'f, F>,
    }
}

impl<'f, 'q, F: Flights, Q: ?Sized, O, Fut, C> Run<'f, 'q, F, Q, O, Fut, C> {
    pub(crate) const fn new(flights: &'f F, key: &'q Q, operation: O) -> Self {
        let role = Role::new(flights);
        Self { key, operation: Some(operation), running: None, is_shared: false, outcome: PhantomData, role }
    }

    /// Tells too whether the result went to several callers.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static RATES: SingleFlight<&str, f64> = SingleFlight::new();
    ///
    /// aplomb_sim::block_on(async {
    ///     let ask = || RATES.run(&"EUR", || async { aplomb_sim::sleep(ms(80)).await; Ok(1.09) }).with_shared();
    ///     let (one, other) = zip(ask(), ask()).await;
    ///     assert!(one.is_shared && other.is_shared);
    ///     assert_eq!(one.result, Ok(1.09));
    /// });
    /// ```
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<F, Q, O, Fut, C, T, E> Run<'_, '_, F, Q, O, Fut, C>
where
    F: Board<Q> + Timed + Flights<Outcome = Result<T, E>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    C: Outcome<Fut::Output, T, E>,
    T: Clone,
    E: Clone,
{
    /// Waits no longer than until that deadline, and ends with [`FlightError::Deadline`] then. It is this caller's alone: if it leads, it hands over to the one that has waited longest.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// static RATES: SingleFlight<&str, u32> = SingleFlight::new();
    ///
    /// aplomb_sim::block_on(async {
    ///     let ask = || RATES.run(&"EUR", || async { aplomb_sim::sleep(ms(80)).await; Ok(109) });
    ///     let (hurried, patient) = zip(ask().deadline_at(deadline(ms(50))), ask()).await;
    ///     assert_eq!(hurried, Err(FlightError::Deadline));
    ///     assert_eq!(patient, Ok(109), "begun anew, by the other one");
    /// });
    /// ```
    pub const fn deadline_at(self, deadline: Deadline) -> WithDeadline<Self, F::Sleep> {
        WithDeadline::new(self, deadline)
    }
}

impl<F, Q, O, Fut, C, T, E> Future for Run<'_, '_, F, Q, O, Fut, C>
where
    F: Board<Q> + Flights<Outcome = Result<T, E>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    C: Outcome<Fut::Output, T, E>,
    T: Clone,
    E: Clone,
{
    type Output = Result<T, FlightError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(
            self,
            |run| drop(run.give_up()),
            |run| {
                let mut this = run.project();
                if matches!(this.role.stands(), Stands::Outside) && this.operation.is_none() {
                    return Poll::Pending;
                }
                if let Err(ended) = ready!(this.role.poll_lead(*this.key, cx)) {
                    *this.operation = None;
                    *this.is_shared = matches!(ended, Ended::Landed(_));
                    return Poll::Ready(ended.into_result());
                }
                let flights = this.role.flights();
                if let Some(operation) = this.operation.take() {
                    flights.tell(Event::Started);
                    this.running.set(Some(operation()));
                }
                let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
                let ended = ready!(running.poll(cx));
                this.running.set(None);
                let outcome = C::of(ended);
                *this.is_shared = this.role.land(&outcome);
                flights.tell(Event::of(&outcome, *this.is_shared));
                Poll::Ready(outcome.map_err(FlightError::Failed))
            },
        )
    }
}

impl<F: Flights, Q: ?Sized, O, Fut, C> Run<'_, '_, F, Q, O, Fut, C> {
    /// Leaves, as when it is dropped. What has landed for it by then.
    fn give_up(self: Pin<&mut Self>) -> Option<F::Outcome> {
        let mut this = self.project();
        // Whatever of the caller's code panics as it is dropped, the next one leads.
        let leaves = Aborts(Some(this.role));
        *this.operation = None;
        this.running.set(None);
        leaves.give_up()
    }
}

impl<F, Q, O, Fut, C, T, E> Late for Run<'_, '_, F, Q, O, Fut, C>
where
    F: Board<Q> + Timed + Flights<Outcome = Result<T, E>>,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    C: Outcome<Fut::Output, T, E>,
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

    fn leave(mut self: Pin<&mut Self>) -> Self::Output {
        let flights = self.role.flights();
        if let Some(outcome) = self.as_mut().give_up() {
            *self.project().is_shared = true;
            return outcome.map_err(FlightError::Failed);
        }
        flights.tell(Event::Rejected { reason: FlightError::Deadline });
        Err(FlightError::Deadline)
    }
}

impl<F: Flights, Q: ?Sized, O, Fut, C> MaybeShared for Run<'_, '_, F, Q, O, Fut, C> {
    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<F: Flights, Q: ?Sized, O, Fut, C> fmt::Debug for Run<'_, '_, F, Q, O, Fut, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("stage", &self.role.stage()).finish_non_exhaustive()
    }
}
