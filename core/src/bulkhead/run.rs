use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::Acquire;
use super::error::BulkheadError;
use super::event::Event;
use super::settings::Bulkhead;
use crate::observe::SharedObserver;
use crate::operation::{Drive, Held};
use crate::panicking::clear_at_panic;
use crate::platform::{Platform, SMALL};
use crate::storage::Storage;
use crate::sync::semaphore::{Lender, Permit};

impl<P: Platform, S: Storage, O: SharedObserver<Event>> Bulkhead<P, S, O> {
    /// Runs the operation when there is a place for it.
    ///
    /// It is started once, so that it may borrow mutably whatever it needs, and be a closure of any kind.
    ///
    /// # Errors
    ///
    /// [`BulkheadError::QueueFull`], at once; [`BulkheadError::TimedOut`] after [`max_wait`](Bulkhead::max_wait); [`BulkheadError::Closed`]; or the operation's own, as [`BulkheadError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static FLASH: Bulkhead = checked!(Bulkhead::new(1).max_waiting(4).max_wait(ms(50)));
    ///
    /// struct Driver { writes: u32 }
    /// impl Driver {
    ///     async fn write(&mut self, page: &mut [u8]) -> Result<u32, std::io::Error> {
    ///         page[0] = 1;
    ///         self.writes += 1;
    ///         Ok(self.writes)
    ///     }
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let (mut driver, mut page) = (Driver { writes: 0 }, [0; 64]);
    ///     let writes = FLASH.run(|| driver.write(&mut page)).await;
    ///     assert_eq!(writes.unwrap(), 1);
    /// });
    /// ```
    #[inline]
    pub const fn run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::waiting(self, operation)
    }

    /// Runs the operation if there is a place for it now.
    ///
    /// # Errors
    ///
    /// [`BulkheadError::Busy`] if no place is free, or others wait for it; [`BulkheadError::Closed`]; or the operation's own, as [`BulkheadError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static REPORTS: Bulkhead = checked!(Bulkhead::new(1));
    ///
    /// async fn report() -> Result<&'static str, std::io::Error> { Ok("all is well") }
    ///
    /// aplomb_sim::block_on(async {
    ///     let _place = REPORTS.acquire().await;
    ///     let refused = REPORTS.try_run(report).await.unwrap_err();
    ///     assert!(matches!(refused, BulkheadError::Busy));
    /// });
    /// ```
    #[inline]
    pub const fn try_run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run { stage: Stage::Start { bulkhead: Some(self), waits: false, operation: Some(operation) } }
    }
}

pin_project! {
    /// An operation that waits for a place in a bulkhead, and has it while it runs; made by [`Bulkhead::run`] and [`Bulkhead::try_run`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the operation has started gives up the place in the queue, which is free at once: nothing starts. Dropping it later drops the operation, and then gives its place to the next; if the operation panics, that happens at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<B, F, Fut>
    where
        B: Deref,
        B::Target: Lender,
    {
        #[pin]
        stage: Stage<B, F, Fut>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<B, F, Fut>
    where
        B: Deref,
        B::Target: Lender,
    {
        Start { bulkhead: Option<B>, waits: bool, operation: Option<F> },
        Wait { #[pin] acquire: Acquire<B>, operation: Option<F> },
        // Dropped in this order: the place is free when what had it is gone.
        Running { #[pin] operation: Fut, permit: Permit<B> },
        Ended,
    }
}

impl<P, S, O, B, F, Fut, T, E> Future for Run<B, F, Fut>
where
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = Bulkhead<P, S, O>>,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, BulkheadError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |run| run.poll_driven(&mut Held, cx))
    }
}

impl<P, S, O, B, F, Fut> Run<B, F, Fut>
where
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    B: Deref<Target = Bulkhead<P, S, O>>,
{
    /// One that waits, and that `seed` starts.
    pub(crate) const fn waiting(bulkhead: B, seed: F) -> Self {
        Self { stage: Stage::Start { bulkhead: Some(bulkhead), waits: true, operation: Some(seed) } }
    }

    /// Whatever it has is gone: its operation, or its place in the queue.
    fn give_up(self: Pin<&mut Self>) {
        self.project().stage.set(Stage::Ended);
    }

    /// Whoever polls it so drops it if that panics.
    // The way of one who finds a place is straight, and that of one who has to wait stands aside.
    #[inline]
    pub(crate) fn poll_driven<D, T, E>(
        self: Pin<&mut Self>,
        drive: &mut D,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, BulkheadError<E>>>
    where
        D: Drive<F, Fut, Output = Result<T, E>>,
    {
        let mut stage = self.project().stage;
        if let StageProjection::Start { bulkhead, waits, operation } = stage.as_mut().project() {
            let (Some(bulkhead), Some(operation)) = (bulkhead.take(), operation.take()) else { return Poll::Pending };
            // On a small machine, who may wait goes there in any case.
            match if *waits && SMALL { Ok(false) } else { bulkhead.enter(*waits) } {
                Ok(true) => {
                    let permit = Permit::new(bulkhead, 1);
                    stage.set(Stage::Running { operation: drive.start(operation), permit });
                }
                Ok(false) => {
                    stage.set(Stage::Wait { acquire: Bulkhead::acquire_owned(bulkhead), operation: Some(operation) });
                }
                Err(error) => return Poll::Ready(Err(error.of_operation())),
            }
        }
        if let StageProjection::Wait { acquire, operation } = stage.as_mut().project() {
            let permit = ready!(acquire.poll(cx)).map_err(BulkheadError::of_operation)?;
            let Some(operation) = operation.take() else { return Poll::Pending };
            stage.set(Stage::Running { operation: drive.start(operation), permit });
        }
        let StageProjection::Running { operation, .. } = stage.as_mut().project() else { return Poll::Pending };
        let outcome = ready!(drive.poll_run(operation, cx));
        // The next one has its turn before the caller goes on.
        stage.set(Stage::Ended);
        Poll::Ready(outcome.map_err(BulkheadError::Failed))
    }
}

impl<B: Deref<Target: Lender>, F, Fut> fmt::Debug for Run<B, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start { .. } => "not yet polled",
            Stage::Wait { .. } => "waiting",
            Stage::Running { .. } => "running",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}
